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
		if err := p.end(); err != nil {
			t.Errorf("%s: told twice: %v", name, err)
		}
	}
}

func TestPartThatFailsToEndSaysSo(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	day, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	p := startPart(day, "it", fail, func(ctx context.Context) error {
		<-ctx.Done()
		return broken
	})
	if err := p.end(); !errors.Is(err, broken) {
		t.Errorf("it ended with %v", err)
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
