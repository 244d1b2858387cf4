package kafka

import (
	"errors"
	"sync"
	"time"
)

// The limits of a lane.
const (
	maxQueuedBytes = 8 << 20 // of one partition

	// laneSlowAfter is how long a batch may take before its lane is slow: from then on the
	// lane holds no more than its share of the callers.
	laneSlowAfter = 100 * time.Millisecond
	// laneStuckAfter is for how long attempts may fail before the lane takes nothing more:
	// while another broker comes to lead the partition, they do for some hundred milliseconds.
	laneStuckAfter = time.Second
	// minLaneShare is the least share: with many partitions an even one would be none.
	minLaneShare = 16
)

var (
	// ErrQueueFull says that so much waits to be written to the partition already
	// that nothing is added. The record was not written.
	ErrQueueFull = errors.New("the queue to Kafka is full")
	// ErrQueueStuck says that the partition's last batch failed, or that the one under way fails
	// again and again; one record is on its way to find out when that ends. The record was not
	// written.
	ErrQueueStuck = errors.New("the partition takes no records at present")
	// ErrClosed says that the producer was closed. The record was not written.
	ErrClosed = errors.New("the producer is closed")
)

// notWritten reports whether the error says that the record was not written.
func notWritten(err error) bool {
	return errors.Is(err, ErrQueueFull) || errors.Is(err, ErrQueueStuck) || errors.Is(err, ErrClosed)
}

// laneShare is how many of the callers the records of one slow partition may hold:
// twice an even share, so that where a quarter of the brokers stands still, half of the
// callers are free. No callers: there is no such bound.
func laneShare(callers, partitions int) int {
	if callers == 0 {
		return 0
	}
	return min(max(minLaneShare, 2*callers/partitions), callers/2)
}

// lane is where records keep their order.
type lane struct {
	topic     string
	partition int
}

// queue is what waits to be written to a partition. A goroutine writes it for as
// long as there is something in it.
type queue struct {
	share int // what it holds at most while it is slow; 0: it is bounded in bytes alone, and never stuck

	mu      sync.Mutex
	entries []*entry
	bytes   int
	busy    bool
	closed  bool

	inFlight int       // records of the batch in flight
	since    time.Time // when it was taken
	stuck    bool      // the last batch failed, or the one in flight fails for too long
}

// add puts the entry at the end, or says why not. It reports whether the queue has to
// be drained from now on.
func (q *queue) add(e *entry) (drain bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return false, ErrClosed
	case q.stuck && q.inFlight+len(q.entries) > 0: // who comes first finds out whether it goes on
		return false, ErrQueueStuck
	case len(q.entries) > 0 && q.bytes+e.size > maxQueuedBytes:
		return false, ErrQueueFull
	case q.share > 0 && q.inFlight > 0 && q.inFlight+len(q.entries) >= q.share && time.Since(q.since) > laneSlowAfter:
		return false, ErrQueueFull
	}
	q.entries = append(q.entries, e)
	q.bytes += e.size
	drain, q.busy = !q.busy, true
	return drain, nil
}

// take is the next batch; nil when there is none, and then the queue is no
// longer busy.
func (q *queue) take() []*entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) == 0 {
		q.busy, q.entries, q.inFlight = false, nil, 0
		return nil
	}
	n, bytes := 0, 0
	for n < len(q.entries) && n < maxBatchRecords {
		if n > 0 && bytes+q.entries[n].size > maxBatchBytes {
			break
		}
		bytes += q.entries[n].size
		n++
	}
	batch := q.entries[:n:n]
	q.entries, q.bytes = q.entries[n:], q.bytes-bytes
	q.inFlight, q.since = n, time.Now()
	return batch
}

// failed says that an attempt to write the batch in flight failed; it is tried again.
func (q *queue) failed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.share > 0 && time.Since(q.since) > laneStuckAfter {
		q.stop()
	}
}

// written says what came of the batch in flight; where the broker refused it for a
// record's sake it has not failed.
func (q *queue) written(failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = 0
	q.stuck = false
	if failed && q.share > 0 {
		q.stop()
	}
}

// stop refuses what waits behind a batch that failed or hangs: it would only wait for
// the same.
func (q *queue) stop() {
	q.stuck = true
	for _, e := range q.entries {
		e.finish(0, ErrQueueStuck)
	}
	q.entries, q.bytes = nil, 0
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
