package postgres

import (
	"context"
	"time"

	"github.com/monedero/monedero/internal/ingest"
)

// The reads of callers take turns, lists and others each among themselves: together
// they leave connections of the pool to keys, look-ups and creations.
const (
	maxLists     = 4 // at once
	maxReads     = 3 // at once, besides lists
	turnPatience = 500 * time.Millisecond
)

// turns holds a token for each read of a kind that runs.
type turns chan struct{}

// take waits for a turn for turnPatience at most, and fails with [ingest.ErrBusy]
// then. The context that it returns is for the read; see outlive. end ends both.
func (t turns) take(ctx context.Context) (read context.Context, end func(), err error) {
	select {
	case t <- struct{}{}:
	default:
		timer := time.NewTimer(turnPatience)
		defer timer.Stop()
		select {
		case t <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-timer.C:
			return nil, nil, ingest.ErrBusy
		}
	}
	read, cancel := outlive(ctx)
	return read, func() {
		cancel()
		<-t
	}, nil
}

// outlive is ctx for as long as its deadline allows, though its caller may be gone
// before: the driver closes a connection on which a statement is broken off, and
// callers who hang up would make new sessions one after the other.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, has := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !has {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}
