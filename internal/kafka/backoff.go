package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a delay that doubles from low up to high, with a jitter of half of
// it so that those who failed together do not come back together.
type backoff struct {
	low, high time.Duration
	delay     time.Duration
}

// next is how long to wait now.
func (b *backoff) next() time.Duration {
	b.delay = min(max(2*b.delay, b.low), b.high)
	return b.delay/2 + rand.N(b.delay/2+1)
}

func (b *backoff) reset() { b.delay = 0 }

// sleep waits, and reports whether the whole time went by.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
