package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTraffic sends to a server that takes, refuses, fails and breaks off by turns, and that
// decides at the third poll.
func TestTraffic(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	polled, bodies := map[string]int{}, map[string]bool{}
	var arrived atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, is := strings.CutPrefix(r.URL.Path, "/v1/operations/"); is {
			mu.Lock()
			polled[id]++
			n := polled[id]
			mu.Unlock()
			fmt.Fprintf(w, `{"id":"%s","done":%t}`, id, n >= 3)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		bodies[string(body)] = true
		mu.Unlock()
		switch n := arrived.Add(1); n % 5 {
		case 1: // decided before it is answered
			fmt.Fprintf(w, `{"object":"operation","id":"op_%d","done":true}`, n)
		case 2:
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, `{"object":"operation","id":"op_%d","done":false}`, n)
		case 3:
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"code":"overloaded"}`)
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"code":"queue_unavailable"}`)
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	body := `{"n":"` + numberMark + `"}`
	todo := traffic{
		Address: server.Listener.Addr().String(), Rate: 500, For: 200 * time.Millisecond, Follow: true, Storm: 4,
		Submissions: []string{fmt.Sprintf("POST /v1/charges HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body)-len(numberMark)+numberDigits, body)},
		Polls:       []string{getOperation(idMark, "key", "")},
	}
	var number atomic.Int64
	p := todo.send(t.Context(), &number)
	if p.Fault != "" {
		t.Fatal(p.Fault)
	}
	if p.Taken != 40 || p.refused() != 20 || p.Unknown != 40 || p.NotSent != 0 || len(bodies) != 100 {
		t.Errorf("%+v, %d bodies", p, len(bodies))
	}
	if p.Answers["202"] != 20 || p.Answers["200"] != 20 || p.Answers["503"] != 40 || p.Answers[noAnswer] != 20 || p.InTime > p.Taken {
		t.Errorf("answers %v, in time %d", p.Answers, p.InTime)
	}
	if p.Accept.Count != 40 || p.Refused.Count != 20 || p.Late.Count != 100 || p.Unseen != 0 {
		t.Errorf("%+v", p)
	}
	// Half of what arrives is followed, whatever becomes of it.
	if n := p.Outcome.Count; n < 10 || n > 30 || p.Polls < 40*4 || p.PollsRefused != 0 {
		t.Errorf("%d outcomes, %d polls, %d refused", n, p.Polls, p.PollsRefused)
	}
}

// TestTrafficThatIsWrong: what no load explains is a fault.
func TestTrafficThatIsWrong(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	todo := traffic{
		Address: server.Listener.Addr().String(), Rate: 100, For: 100 * time.Millisecond,
		Submissions: []string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"}, Polls: []string{""},
	}
	var number atomic.Int64
	if p := todo.send(t.Context(), &number); !strings.Contains(p.Fault, "404") {
		t.Errorf("%+v", p)
	}
}

func TestFollowedIsHalf(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 8, 64} {
		counts := map[int]int{}
		for i := range 1_024 {
			if followed(i) {
				counts[i%partitions]++
			}
		}
		for p := range partitions {
			if counts[p] != 512/partitions {
				t.Errorf("of %d partitions, %d in %d", partitions, counts[p], p)
			}
		}
	}
}
