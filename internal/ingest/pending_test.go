package ingest_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// tick lets the stack's clock go like the real one, until the test ends.
func (s *stack) tick() {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case now := <-time.After(5 * time.Millisecond):
				s.clock.advance(now.Sub(last))
				last = now
			}
		}
	})
	s.t.Cleanup(func() { close(stop); wg.Wait() })
}

// estimates polls the last of so many charges of one wallet while a processor settles them. It returns how far off each
// estimate was, as a part of the time that it really took, for those that spoke of a second or more; and how many polls there were.
func (s *stack) estimates(p people, charges int, settle func()) (off []float64, polls int) {
	s.t.Helper()
	var batch strings.Builder
	for i := range charges {
		fmt.Fprintln(&batch, p.item(fmt.Sprint(i), 1))
	}
	last := ""
	for line := range strings.Lines(p.shop.post(batchPath, asBatch(), batch.String()).want(s.t, http.StatusOK).body) {
		if !strings.Contains(line, `"status":202`) {
			s.t.Fatal(line)
		}
		last = line
	}
	charged := answer{body: last}
	path := "/v1/operations/" + charged.text("operation.id") + "?offset=" + charged.text("operation.offset")
	settle()
	type said struct {
		at time.Time
		in time.Duration
	}
	var all []said
	for got := p.shop.get(path); got.text("status") == "pending"; got = p.shop.get(path) {
		polls++
		if in, err := strconv.Atoi(got.text("decided_in_seconds")); err == nil {
			all = append(all, said{time.Now(), time.Duration(in) * time.Second})
		}
		time.Sleep(100 * time.Millisecond)
	}
	decided := time.Now()
	for _, x := range all {
		if took := decided.Sub(x.at); took > time.Second {
			off = append(off, math.Abs(x.in.Seconds()-took.Seconds())/took.Seconds())
		}
	}
	slices.Sort(off)
	return off, polls
}

// TestPendingSaysHowLongItTakes has a processor that needs its time: a pending operation says how much of that there is,
// once that is known.
func TestPendingSaysHowLongItTakes(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.tick()
	off, polls := s.estimates(s.people("Ada"), 1000, func() {
		s.settleAs(25, func() { time.Sleep(200 * time.Millisecond) })
	})
	if len(off) < polls/3 {
		t.Fatalf("%d estimates in %d polls", len(off), polls)
	}
	// It speaks in whole seconds, rounded up, of some that are few.
	if median := off[len(off)/2]; median > 0.5 {
		t.Errorf("half of %d estimates are off by more than %.0f %%", len(off), 100*median)
	} else {
		t.Logf("half of %d estimates are off by %.0f %% at most", len(off), 100*median)
	}
}
