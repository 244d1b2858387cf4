package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// numberMark stands in a request for a number that no other request has.
	numberMark = "{number}"
	// numberDigits: every number is as long, and so is every request.
	numberDigits = 16
	// answerTimeout is for the answers that are still due at the end.
	answerTimeout = time.Minute
	// refusedPause is how long who was refused waits: an ingest that is crowded is for a moment.
	refusedPause = 200 * time.Millisecond
)

// calls are what callers do: each sends one request after the other over a
// connection of its own, and waits for each answer.
type calls struct {
	Address  string        `json:"address"`
	Callers  int           `json:"callers"`
	For      time.Duration `json:"for"`      // 0: each caller sends one request
	Apart    time.Duration `json:"apart"`    // how long after one caller the next one begins
	Requests []string      `json:"requests"` // whole, as on the wire, in turn
	Status   int           `json:"status"`   // that every answer must have
	Final    bool          `json:"final"`    // every answer must tell an outcome; who is refused asks again
}

// called is what came of it.
type called struct {
	Requests int           `json:"requests"`
	Took     time.Duration `json:"took"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Fault    string        `json:"fault,omitempty"`
}

// rate is requests a second.
func (c called) rate() float64 { return float64(c.Requests) / c.Took.Seconds() }

// runCallers makes the calls that it is told, over and over. It neither parses nor
// builds more than it must: it runs on the machine that is measured.
func runCallers(ctx context.Context, c *child) error {
	var numbers atomic.Int64
	numbers.Store(time.Now().UnixMicro())
	return obey(ctx, c, func(todo calls) called {
		done, err := todo.make(ctx, &numbers)
		if err != nil {
			done.Fault = err.Error()
		}
		return done
	})
}

func (c calls) make(ctx context.Context, numbers *atomic.Int64) (called, error) {
	if c.Callers < 1 || len(c.Requests) == 0 {
		return called{}, errors.New("there is nobody to call, or nothing to ask")
	}
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, c.Callers)
	began := time.Now()
	for i := range c.Callers {
		group.Go(func() (err error) {
			if err := pause(ctx, time.Duration(i)*c.Apart); err != nil {
				return err
			}
			took[i], err = c.call(ctx, i, began, numbers)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return called{}, err
	}
	ended := time.Since(began)
	all := slices.Concat(took...)
	slices.Sort(all)
	return called{
		Requests: len(all), Took: ended, P50: all[len(all)/2], P99: all[len(all)*99/100],
	}, nil
}

// call is one caller.
func (c calls) call(ctx context.Context, caller int, began time.Time, numbers *atomic.Int64) (took []time.Duration, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written that is not answered
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if err := conn.SetDeadline(began.Add(c.For + answerTimeout)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	for i := caller; ; i += c.Callers {
		request := strings.ReplaceAll(c.Requests[i%len(c.Requests)], numberMark, fmt.Sprintf("%0*d", numberDigits, numbers.Add(1)))
		start := time.Now()
		for served := false; !served; {
			if _, err := conn.Write([]byte(request)); err != nil {
				return nil, err
			}
			if served, err = c.answer(in); err != nil {
				return nil, err
			}
			if !served {
				if err := pause(ctx, refusedPause); err != nil {
					return nil, err
				}
			}
		}
		now := time.Now()
		took = append(took, now.Sub(start))
		if now.Sub(began) >= c.For {
			return took, nil
		}
	}
}

// answer reads one. It reports whether it is no refusal.
func (c calls) answer(in *bufio.Reader) (served bool, err error) {
	head, err := readAnswerHead(in)
	if err != nil {
		return false, err
	}
	refused := c.Final && head.status == http.StatusServiceUnavailable
	if !refused && (c.Final || head.status != c.Status) {
		body, err := in.Peek(min(head.length, in.Size()))
		if err != nil {
			return false, err
		}
		if head.status != c.Status {
			return false, fmt.Errorf("want status %d, not %d: %s", c.Status, head.status, body)
		}
		if !bytes.Contains(body, []byte(isDone)) {
			return false, fmt.Errorf("no outcome: %s", body)
		}
	}
	_, err = in.Discard(head.length)
	return !refused, err
}

// isDone is in the body of an operation that is decided.
const isDone = `"done":true`

// answerHead is what the callers must know of the head of an answer.
type answerHead struct {
	status, length int
	last           bool // the connection is closed after it
}

// readAnswerHead reads the head of an answer, which has a length.
func readAnswerHead(in *bufio.Reader) (head answerHead, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return head, err
	}
	status, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("HTTP/1.1 ")), []byte(" "))
	if head.status, err = strconv.Atoi(string(status)); err != nil {
		return head, fmt.Errorf("read an answer: %w", err)
	}
	head.length = -1
	for len(line) > len("\r\n") {
		if line, err = in.ReadSlice('\n'); err != nil {
			return head, err
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if head.length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return head, fmt.Errorf("read an answer: %w", err)
			}
		}
		head.last = head.last || string(line) == "Connection: close\r\n"
	}
	if head.length < 0 {
		return head, errors.New("an answer does not say how long it is")
	}
	return head, nil
}

// call has the callers' part make calls, and waits until they are through.
func (p *part) call(ctx context.Context, c calls) (called, error) {
	if err := p.tell(c); err != nil {
		return called{}, err
	}
	return p.called(ctx)
}

func (p *part) called(ctx context.Context) (done called, err error) {
	if err := p.hear(ctx, &done); err != nil {
		return called{}, err
	}
	if done.Fault != "" {
		return called{}, errors.New(done.Fault)
	}
	return done, nil
}
