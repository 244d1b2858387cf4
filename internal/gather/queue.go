// Package gather lets what comes while something is under way go together in the next one: where
// each has a cost whatever is in it, a few large ones cost less than many small ones, and nobody
// waits longer for that than for the one under way.
package gather

import (
	"slices"
	"sync"
	"time"
)

// Queue gathers items, and hands them to one worker at a time. The zero value is ready for use;
// it is safe for concurrent use.
type Queue[T comparable] struct {
	Every time.Duration // a worker takes no sooner after the last time; zero: at once

	mu      sync.Mutex
	waiting []T
	busy    bool      // there is a worker
	taken   time.Time // when it took last
}

// Add puts the item at the end. It reports whether there is no worker: then the caller starts one,
// who calls Take until that returns nothing.
func (q *Queue[T]) Add(item T) (start bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, item)
	start, q.busy = !q.busy, true
	return start
}

// Waiting is how many wait.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Withdraw takes the item back. It reports whether the item was still waiting.
func (q *Queue[T]) Withdraw(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, item)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// Take waits until the next may be taken, and takes those that fit, which is asked of each in the order
// in which they came; the first one is taken in any case. The rest waits on. Where nothing waits it returns nothing, and the
// worker ends.
func (q *Queue[T]) Take(fits func(T) bool) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if wait := time.Until(q.taken.Add(q.Every)); wait > 0 && len(q.waiting) > 0 {
		q.mu.Unlock()
		time.Sleep(wait)
		q.mu.Lock()
	}
	var taken []T
	left := q.waiting[:0]
	for _, item := range q.waiting {
		if fits(item) || len(taken) == 0 {
			taken = append(taken, item)
		} else {
			left = append(left, item)
		}
	}
	clear(q.waiting[len(left):])
	q.waiting, q.busy = left, len(taken) > 0
	if q.busy {
		q.taken = time.Now()
	}
	return taken
}
