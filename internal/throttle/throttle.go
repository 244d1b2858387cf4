// Package throttle samples what is logged: where every request or record meets the
// same trouble, one line a second says it, and how many it stands for.
package throttle

import (
	"sync"
	"time"
)

// logEvery is how often one kind of trouble is logged: when the database is
// down every request meets it.
const logEvery = time.Second

// Log says when to log one kind of trouble again. Its zero value is ready, and it is
// safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// Next reports whether to log now, and how often it said no since it last said
// yes.
func (l *Log) Next() (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= logEvery {
		skipped, l.skipped, l.last = l.skipped, 0, now
		return skipped, true
	}
	l.skipped++
	return 0, false
}
