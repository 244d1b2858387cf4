package loadgen

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduleDoesNotDrift(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := Schedule{Start: start, Rate: 3, Arrivals: 3_000_000}
	for i, want := range map[int]time.Duration{
		0: 0, 1: 333333333, 2: 666666666, 3: time.Second, 4: time.Second + 333333333, 2_999_999: 999_999*time.Second + 666666666,
	} {
		if got := s.at(i).Sub(start); got != want {
			t.Errorf("arrival %d comes after %v, want %v", i, got, want)
		}
	}
}

// TestEveryArrivalOfAStallIsLate: a server that stands still for a second makes all
// late that came in that second, and nobody else. What was in flight alone would
// show one slow request of two hundred. The clock is that of the bubble.
func TestEveryArrivalOfAStallIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			rate    = 100
			service = 2 * time.Millisecond
			from    = 500 * time.Millisecond // the server stands still from here
			until   = 1500 * time.Millisecond
		)
		s := Schedule{Start: time.Now().Add(leadTime), Rate: rate, Arrivals: 2 * rate}
		l := NewLatencies()
		var mu sync.Mutex
		took := map[int]time.Duration{}
		last := s.Keep(t.Context(), rate*2, func(i int, intended time.Time) {
			if since := time.Since(s.Start); since >= from && since < until {
				time.Sleep(until - since)
			}
			time.Sleep(service)
			mu.Lock()
			defer mu.Unlock()
			took[i] = time.Since(intended)
			l.Add(took[i])
		}, func(int) { t.Error("an arrival was not sent") })
		if want := 1990 * time.Millisecond; last != want {
			t.Errorf("the last one was sent after %v, want %v", last, want)
		}
		if len(took) != s.Arrivals {
			t.Fatalf("%d arrivals were sent", len(took))
		}
		for i, got := range took {
			want := service
			if at := s.at(i).Sub(s.Start); at >= from && at < until {
				want += until - at
			}
			if got != want {
				t.Errorf("arrival %d took %v, want %v", i, got, want)
			}
		}
		// A hundred of two hundred waited, for 10 ms to 1 s: of all, the 90th of a
		// hundred for 800 ms.
		spread := l.Spread()
		for name, pair := range map[string][2]Millis{"p50": {spread.P50, 2}, "p90": {spread.P90, 802}, "max": {spread.Max, 1002}} {
			if got, want := pair[0], pair[1]; got < want*0.998 || got > want*1.002 {
				t.Errorf("%s is %v ms, want %v", name, got, want)
			}
		}
	})
}

// TestLateSendingCounts: what the generator itself is late is part of the latency.
func TestLateSendingCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Schedule{Start: time.Now().Add(-time.Second), Rate: 1, Arrivals: 1}
		s.Keep(t.Context(), 1, func(_ int, intended time.Time) {
			time.Sleep(time.Millisecond)
			if took := time.Since(intended); took != time.Second+time.Millisecond {
				t.Errorf("it took %v", took)
			}
		}, func(int) { t.Error("it was not sent") })
	})
}

func TestArrivalsBeyondTheBoundAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Schedule{Start: time.Now(), Rate: 10, Arrivals: 10}
		var mu sync.Mutex
		sent, over := 0, 0
		s.Keep(t.Context(), 3, func(int, time.Time) {
			mu.Lock()
			sent++
			mu.Unlock()
			time.Sleep(time.Minute)
		}, func(int) { over++ })
		if sent != 3 || over != 7 {
			t.Errorf("%d sent and %d not", sent, over)
		}
	})
}

func TestNothingIsSentOnceItIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := Schedule{Start: time.Now(), Rate: 10, Arrivals: 100}
		var sent int
		s.Keep(ctx, 1, func(i int, _ time.Time) {
			if sent++; i == 5 {
				cancel()
			}
		}, func(int) {})
		if sent != 6 {
			t.Errorf("%d were sent", sent)
		}
	})
}

func TestSpreadOfNothingAndOfTooLong(t *testing.T) {
	t.Parallel()
	l := NewLatencies()
	if s := l.Spread(); s != (Spread{}) {
		t.Errorf("%+v", s)
	}
	l.Add(0)
	l.Add(time.Hour)
	if s := l.Spread(); s.Count != 2 || s.P50 != 0.001 || s.Max < 600_000 || s.Max > 601_000 {
		t.Errorf("%+v", s)
	}
}
