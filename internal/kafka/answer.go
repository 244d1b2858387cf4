package kafka

import (
	"context"
	"sync"
	"time"
)

// answer is what Kafka said last. It is asked by one caller at a time, for all who wait.
type answer[T any] struct {
	mu   sync.Mutex
	last *asked[T]
}

// asked is one time that Kafka was asked.
type asked[T any] struct {
	at    time.Time
	done  chan struct{} // closed once value and err are set
	value T
	err   error
}

func (a *asked[T]) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// get is an answer, or an error, to what was asked at since or later. It asks where there
// is none. Others wait for the same: one caller who goes away does not spoil it.
func (a *answer[T]) get(ctx context.Context, since time.Time, ask func(context.Context) (T, error)) (T, error) {
	for {
		a.mu.Lock()
		last := a.last
		if last == nil || last.at.Before(since) && last.ended() {
			last = &asked[T]{at: time.Now(), done: make(chan struct{})}
			a.last = last
			go func() {
				defer close(last.done)
				last.value, last.err = ask(context.WithoutCancel(ctx))
			}()
		}
		a.mu.Unlock()
		select {
		case <-last.done:
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
		if !last.at.Before(since) {
			return last.value, last.err
		}
	}
}
