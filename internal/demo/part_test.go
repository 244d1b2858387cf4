package demo

import (
	"context"
	"errors"
	"testing"
)

func TestPartThatEndsByItselfEndsTheDay(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, result := range map[string]error{"without an error": nil, "with one": broken} {
		ctx, fail := context.WithCancelCause(t.Context())
		p := startPart(ctx, "it", fail, func(context.Context) error { return result })
		<-ctx.Done()
		if cause := context.Cause(ctx); result != nil && !errors.Is(cause, result) {
			t.Errorf("%s: the cause is %v", name, cause)
		}
		if err := p.end(); !errors.Is(err, result) {
			t.Errorf("%s: it ended with %v", name, err)
		}
	}
}

func TestPartOutlivesTheDayUntilItIsEnded(t *testing.T) {
	t.Parallel()
	day, fail := context.WithCancelCause(t.Context())
	p := startPart(day, "it", fail, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
	stop := errors.New("stop")
	fail(stop)
	if p.stop(); p.end() != nil {
		t.Error("it did not end in order")
	}
	if cause := context.Cause(day); !errors.Is(cause, stop) {
		t.Errorf("the day's cause is %v", cause)
	}
}
