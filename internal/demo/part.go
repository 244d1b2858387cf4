package demo

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// part is something that runs beside the day until it is ended.
type part struct {
	stop context.CancelFunc
	done errgroup.Group
}

// startPart runs it. It goes on when ctx ends, so that parts can be ended in
// order; when it returns by itself, fail is told why, and nobody else.
func startPart(ctx context.Context, name string, fail context.CancelCauseFunc, run func(context.Context) error) *part {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{stop: stop}
	p.done.Go(func() error {
		err := run(ctx)
		switch {
		case ctx.Err() == nil && err == nil:
			fail(fmt.Errorf("%s ended by itself", name))
		case ctx.Err() == nil:
			fail(fmt.Errorf("%s: %w", name, err))
		case err != nil:
			return fmt.Errorf("end %s: %w", name, err)
		}
		return nil
	})
	return p
}

// end stops it, waits until it has returned, and says how that failed.
func (p *part) end() error {
	p.stop()
	return p.done.Wait()
}
