package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lagEvery is how often the ends of the partitions are asked for that do not fetch: one that
// waits for the database or is halted fetches nothing, and its lag must grow all
// the same.
const lagEvery = 5 * time.Second

// lag is how far a partition is behind its end, and the gauge that shows it.
type lag struct {
	gauge prometheus.Gauge

	mu        sync.Mutex
	known     bool // the next offset is
	next, end int64
	seen      time.Time // when a fetch said the end last
}

func newLag(gauge prometheus.Gauge) *lag { return &lag{gauge: gauge} }

// set is for who fetches, and was told the end at seen.
func (l *lag) set(position, end int64, seen time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.next, l.end, l.seen = true, position, end, seen
	l.show()
}

func (l *lag) setPosition(position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.next = true, position
	l.show()
}

func (l *lag) setEnd(end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
	l.show()
}

// isFresh reports whether a fetch just said the end.
func (l *lag) isFresh() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.seen) < trustFor
}

func (l *lag) show() {
	if l.known {
		l.gauge.Set(float64(max(0, l.end-l.next)))
	}
}

// watchLag keeps the lag of the partitions until stop ends.
func (s *subscription) watchLag(stop context.Context, partitions []*partition) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop.Done():
			return
		case <-tick.C:
		}
		for _, p := range partitions {
			if p.shown.isFresh() {
				continue
			}
			// Trouble with Kafka is told by the fetches.
			if _, end, err := s.cluster.Offsets(stop, s.topic, p.number); err == nil {
				p.shown.setEnd(end)
			}
		}
	}
}
