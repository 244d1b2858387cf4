package demo

import (
	"slices"
	"sync"
	"time"
)

// latencies collects durations, every one of them. It is safe for concurrent
// use.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// spread is what is said of the durations.
func (l *latencies) spread() Spread {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Sorted(slices.Values(l.all))
	return Spread{Count: len(sorted), P50: quantile(sorted, 50), P99: quantile(sorted, 99)}
}

// Spread is the median and the 99th percentile of Count durations: the smallest
// of them that at least 50 and 99 in a hundred do not exceed.
type Spread struct {
	Count    int
	P50, P99 time.Duration
}

// quantile is the nearest-rank percentile of sorted durations; zero of none.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}
