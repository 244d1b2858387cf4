package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEstimatesAreComparedWithWhatItTook: too much and too little count alike, and what is not known is no estimate.
func TestEstimatesAreComparedWithWhatItTook(t *testing.T) {
	t.Parallel()
	decided := time.Now()
	before := func(took time.Duration, in ...int64) said {
		x := said{at: decided.Add(-took)}
		if len(in) > 0 {
			x.in = &in[0]
		}
		return x
	}
	var found estimated
	found.add(&watched{decided: decided, said: []said{
		before(8 * time.Second), before(4*time.Second, 5), before(4*time.Second, 2), before(estimateLeast, 2), before(estimateLeast-time.Millisecond, 9),
	}})
	if diff := cmp.Diff(series{25, 50, 0}, found.off); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(series{25, -50, 0}, found.over); diff != "" || found.answers != 4 {
		t.Errorf("%d answers; %s", found.answers, diff)
	}
}

// TestAllAreWatchedUntilTheyAreDecided asks of two operations, of which one is decided at the third question of it.
func TestAllAreWatchedUntilTheyAreDecided(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer key":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/done":
			fmt.Fprint(w, `{"done":true}`)
		case asked.Add(1) == 1:
			fmt.Fprint(w, `{"done":false}`)
		default:
			fmt.Fprintf(w, `{"done":%v,"decided_in_seconds":3}`, asked.Load() == 3)
		}
	}))
	defer server.Close()
	done, pending := &watched{url: server.URL + "/done"}, &watched{url: server.URL}
	if err := watchAll(t.Context(), "key", []*watched{done, pending}); err != nil {
		t.Fatal(err)
	}
	if len(done.said) != 0 || len(pending.said) != 2 || pending.said[0].in != nil || *pending.said[1].in != 3 || pending.decided.Before(done.decided) {
		t.Errorf("%+v, %+v", done, pending)
	}
	if err := watchAll(t.Context(), "another", []*watched{{url: server.URL}}); err == nil {
		t.Error("an answer that is refused is taken for one")
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	s := series{5, 1, 4, 2, 3, 10, 9, 8, 7, 6}
	for part, want := range map[float64]float64{0: 1, 0.5: 6, 0.9: 10, 1: 10} {
		if got := s.quantile(part); got != want {
			t.Errorf("%v: %v, want %v", part, got, want)
		}
	}
	if got := (series{}).quantile(0.9); got != 0 {
		t.Errorf("of none: %v", got)
	}
}
