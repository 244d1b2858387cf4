package ingest

import (
	"sync"
	"time"
)

// logEvery is how often one kind of trouble is logged: when the database is
// down every request meets it.
const logEvery = time.Second

// throttle says when to log again.
type throttle struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// next reports whether to log now, and how often it said no since it last said
// yes.
func (t *throttle) next() (skipped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.last) >= logEvery {
		skipped, t.skipped, t.last = t.skipped, 0, now
		return skipped, true
	}
	t.skipped++
	return 0, false
}
