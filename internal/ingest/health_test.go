package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := ask("/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("before the first check: %d", w.Code)
	}
	s.health.last.Store(&checkState{checked: true})
	if w := ask("/readyz"); w.Code != http.StatusOK {
		t.Errorf("after a good check: %d", w.Code)
	}
	s.health.draining.Store(true)
	w := ask("/readyz")
	if w.Code != CodeDraining.Status() || w.Header().Get("Retry-After") == "" {
		t.Errorf("while draining: %d %s", w.Code, w.Body)
	}
	if w := ask("/livez"); w.Code != http.StatusOK {
		t.Errorf("liveness while draining: %d", w.Code)
	}
}

// checked is a queue of which only the check is asked.
type checked struct {
	Queue
	answer func(context.Context) error
	checks atomic.Int64
}

func (c *checked) Check(ctx context.Context) error {
	c.checks.Add(1)
	return c.answer(ctx)
}

// The times are in seconds of virtual time.
func TestHealthFollowsKafka(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer atomic.Pointer[error]
		var well error
		answer.Store(&well)
		queue := &checked{answer: func(context.Context) error { return *answer.Load() }}
		h := newHealth(queue, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.run(ctx) }()
		expect := func(what string, ready, usable bool) {
			t.Helper()
			synctest.Wait()
			if err := h.ready(); (err == nil) != ready {
				t.Errorf("%s: ready: %v", what, err)
			}
			if err := h.usable(ctx); (err == nil) != usable {
				t.Errorf("%s: usable: %v", what, err)
			}
		}
		expect("after the first check", true, true)
		time.Sleep(10 * checkEvery)
		synctest.Wait()
		if queue.checks.Load() != 11 {
			t.Errorf("%d checks in ten pauses", queue.checks.Load())
		}

		down := errors.New("connection refused")
		answer.Store(&down)
		time.Sleep(checkEvery)
		expect("after one failure, which may be only slowness", false, true)
		time.Sleep(recheckEvery)
		expect("after the second one", false, false)
		before := queue.checks.Load()
		time.Sleep(20 * recheckEvery)
		synctest.Wait()
		if n := queue.checks.Load() - before; n != 20 {
			t.Errorf("%d checks in twenty pauses while Kafka is down", n)
		}

		answer.Store(&well)
		time.Sleep(recheckEvery)
		expect("once Kafka is back", true, true)

		wrong := fmt.Errorf("look: %w", ErrWrongQueue)
		answer.Store(&wrong)
		time.Sleep(checkEvery)
		expect("with another cluster, at once", false, false)

		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestHealthGivesUpACheckThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &checked{answer: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		h := newHealth(queue, slog.New(slog.DiscardHandler))
		started := time.Now()
		if err := h.usable(t.Context()); err == nil || time.Since(started) != checkTimeout {
			t.Errorf("after %v: %v", time.Since(started), err)
		}
	})
}
