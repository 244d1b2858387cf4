package loadgen

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a histogram tells apart: microseconds up to ten minutes, with an error of
// a thousandth at most. What is longer counts as ten minutes.
const (
	leastLatency  = time.Microsecond
	mostLatency   = 10 * time.Minute
	latencyDigits = 3
)

// Latencies counts durations. It is safe for concurrent use.
type Latencies struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram // of microseconds
}

// NewLatencies are none yet.
func NewLatencies() *Latencies {
	return &Latencies{histogram: hdrhistogram.New(leastLatency.Microseconds(), mostLatency.Microseconds(), latencyDigits)}
}

// Add counts one more.
func (l *Latencies) Add(d time.Duration) {
	d = min(max(d, leastLatency), mostLatency)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.histogram.RecordValue(d.Microseconds()) // it lies within
}

// Spread is what is said of the durations.
func (l *Latencies) Spread() Spread {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(percentile float64) Millis {
		return Millis(l.histogram.ValueAtQuantile(percentile)) / 1000
	}
	s := Spread{Count: l.histogram.TotalCount()}
	if s.Count > 0 {
		s.P50, s.P90, s.P99, s.P999, s.Max = at(50), at(90), at(99), at(99.9), Millis(l.histogram.Max())/1000
	}
	return s
}

// Millis is a duration in milliseconds.
type Millis float64

// Spread is the percentiles and the longest of Count durations: the smallest
// value that so many in a hundred do not exceed, off by a thousandth at most.
type Spread struct {
	Count int64  `json:"count"`
	P50   Millis `json:"p50_ms"`
	P90   Millis `json:"p90_ms"`
	P99   Millis `json:"p99_ms"`
	P999  Millis `json:"p99_9_ms"`
	Max   Millis `json:"max_ms"`
}
