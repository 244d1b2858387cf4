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

// laneKey names a lane: records keep their order in it.
type laneKey struct {
	topic     string
	partition int
}

// lane is what waits to be written to a partition. A goroutine writes it for as
// long as there is something in it.
type lane struct {
	share int // what it holds at most while it is slow; 0: it is bounded in bytes alone, and never stuck

	mu      sync.Mutex
	entries []*entry
	bytes   int
	busy    bool
	closed  bool

	inFlight int       // records of the batch in flight
	since    time.Time // when it was sent, or taken while it waits
	waits    bool      // it was not sent yet
	stuck    bool      // the last batch failed, or the one in flight fails for too long
	apart    int       // how often it has to be quick before it travels with others again
}

// add puts the entry at the end, or says why not. It reports whether the lane has to
// be drained from now on.
func (l *lane) add(e *entry) (drain bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false, ErrClosed
	case l.stuck && l.inFlight+len(l.entries) > 0: // who comes first finds out whether it goes on
		return false, ErrQueueStuck
	case len(l.entries) > 0 && l.bytes+e.size > maxQueuedBytes:
		return false, ErrQueueFull
	case l.share > 0 && l.inFlight > 0 && !l.waits && l.inFlight+len(l.entries) >= l.share && time.Since(l.since) > laneSlowAfter:
		return false, ErrQueueFull
	}
	l.entries = append(l.entries, e)
	l.bytes += e.size
	drain, l.busy = !l.busy, true
	return drain, nil
}

// take is the next batch; nil when there is none, and then the lane is no
// longer busy.
func (l *lane) take() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		l.busy, l.entries, l.inFlight = false, nil, 0
		return nil
	}
	n, bytes := 0, 0
	for n < len(l.entries) && n < maxBatchRecords {
		if n > 0 && bytes+l.entries[n].size > maxBatchBytes {
			break
		}
		bytes += l.entries[n].size
		n++
	}
	batch := l.entries[:n:n]
	l.entries, l.bytes = l.entries[n:], l.bytes-bytes
	l.inFlight, l.since, l.waits = n, time.Now(), true
	return batch
}

// failed says that an attempt to write the batch in flight failed; it is tried again.
func (l *lane) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.share > 0 && time.Since(l.since) > laneStuckAfter {
		l.stop()
	}
}

// written says what came of the batch in flight; where the broker refused it for a
// record's sake it has not failed.
func (l *lane) written(failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight = 0
	l.stuck = false
	if failed && l.share > 0 {
		l.stop()
	}
}

// travelsAlone reports whether the lane's batches go in requests of their own at present.
func (l *lane) travelsAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.apart > 0
}

// sent notes when a request with the batch was sent first: only from then on the partition may be slow.
func (l *lane) sent(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits {
		l.since, l.waits = at, false
	}
}

// answered notes how long a request was in flight. One that failed together with others says nothing of this
// partition: it is as if the batch were taken only now.
func (l *lane) answered(took time.Duration, err error, together bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && together {
		l.since = time.Now()
	}
	switch {
	case err != nil || took > lateAfter:
		l.apart = quickTimes
	case l.apart > 0:
		l.apart--
	}
}

// stop refuses what waits behind a batch that failed or hangs: it would only wait for
// the same.
func (l *lane) stop() {
	l.stuck = true
	for _, e := range l.entries {
		e.finish(0, ErrQueueStuck)
	}
	l.entries, l.bytes = nil, 0
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}
