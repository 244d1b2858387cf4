package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask meanwhile, Kafka is asked once, and once more for those who came too
// late for that answer.
func TestAnswersAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last answer[int64]
		var times atomic.Int64
		ask := func(context.Context) (int64, error) {
			time.Sleep(time.Second)
			return times.Add(1), nil
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				want := min(int64(i), 1) + 1
				if got, err := last.get(t.Context(), time.Now(), ask); got != want || err != nil {
					t.Errorf("caller %d got answer %d, %v; want %d", i, got, err, want)
				}
			})
		}
		wg.Wait()
		if got, err := last.get(t.Context(), time.Now().Add(-2*time.Second), ask); got != 2 || err != nil {
			t.Errorf("who takes an old answer got %d, %v", got, err)
		}
	})
}

func TestWhoGoesAwaySpoilsNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last answer[string]
		ask := func(ctx context.Context) (string, error) {
			time.Sleep(time.Second)
			return "answer", ctx.Err()
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		since := time.Now()
		if _, err := last.get(hasty, since, ask); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err: %v", err)
		}
		if got, err := last.get(t.Context(), since, ask); got != "answer" || err != nil {
			t.Errorf("the other got %q, %v", got, err)
		}
	})
}
