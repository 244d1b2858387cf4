package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/throttle"
)

// The limits of the checks of Kafka.
const (
	checkTimeout = 3 * time.Second
	checkEvery   = 2 * time.Second
	recheckEvery = 500 * time.Millisecond // while the last check failed
	maxFailures  = 2                      // in a row: then nothing is submitted; one may only have been slow
	maxRefusals  = 3                      // submissions in a row: then the service is not ready; one wallet's partition may have been slow
	refusedFor   = 5 * time.Second        // after the last of them; who sends none finds out no other way
)

var errUnchecked = errors.New("kafka was not checked yet")

// health says whether the service lives and whether it should get requests. It
// is ready while Kafka answers, is the one that the database knows, and takes what is submitted. Nothing is
// submitted before it was seen to be that one, nor while it is another one or
// fails for longer. The database itself may be down: charges are accepted all
// the same.
type health struct {
	queue    Queue
	log      *slog.Logger
	draining atomic.Bool

	mu   sync.Mutex // one check at a time tells what came of it
	last atomic.Pointer[checkState]

	refusals atomic.Int32            // submissions that failed in a row
	refused  atomic.Pointer[refused] // the last of them
}

// refused is a submission that failed.
type refused struct {
	at  time.Time
	err error
}

// checkState is what the checks have come to.
type checkState struct {
	checked  bool  // and it was the right one, once at least
	err      error // of the last check
	failures int   // in a row
}

func newHealth(q Queue, log *slog.Logger) *health {
	h := &health{queue: q, log: log}
	h.last.Store(&checkState{})
	return h
}

// run checks until ctx ends.
func (h *health) run(ctx context.Context) error {
	for {
		pause := checkEvery
		if h.check(ctx) != nil {
			pause = recheckEvery
		}
		if throttle.Pause(ctx, pause); ctx.Err() != nil {
			return nil
		}
	}
}

func (h *health) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := h.queue.Check(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.last.Load()
	switch {
	case err != nil && last.err == nil:
		h.log.WarnContext(ctx, "kafka is not usable", "err", err)
	case err == nil && last.err != nil:
		h.log.InfoContext(ctx, "kafka is usable again")
	}
	now := &checkState{checked: true}
	if err != nil {
		now = &checkState{checked: last.checked, err: err, failures: last.failures + 1}
	}
	h.last.Store(now)
	return err
}

// usable fails while nothing may be submitted. Before the first check it makes
// that check.
func (h *health) usable(ctx context.Context) error {
	last := h.last.Load()
	err := last.err
	switch {
	case last.failures >= maxFailures, errors.Is(err, ErrWrongQueue):
	case !last.checked:
		err = h.check(ctx)
	default:
		return nil
	}
	if err != nil {
		return &queueError{err: err}
	}
	return nil
}

// submitted notes what came of a submission.
func (h *health) submitted(err error) {
	if err == nil {
		if h.refusals.Load() != 0 {
			h.refusals.Store(0)
		}
		return
	}
	h.refused.Store(&refused{at: time.Now(), err: err})
	h.refusals.Add(1)
}

// ready fails with the reason why the service should get no requests.
func (h *health) ready() error {
	if h.draining.Load() {
		return refuse(CodeDraining, "the service is finishing its last requests")
	}
	last := h.last.Load()
	switch {
	case last.err != nil:
		return &queueError{err: last.err}
	case !last.checked:
		return &queueError{err: errUnchecked}
	}
	if r := h.refused.Load(); h.refusals.Load() >= maxRefusals && time.Since(r.at) < refusedFor {
		return &queueError{err: fmt.Errorf("charges are not taken: %w", r.err)}
	}
	return nil
}

// Ready fails with the reason why the service should get no requests, as
// /readyz does.
func (s *Server) Ready() error { return s.health.ready() }

// live answers as long as the process can answer at all.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) { healthy(w) }

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.health.ready(); err != nil {
		s.problem(r.Context(), err).write(w)
		return
	}
	healthy(w)
}

func healthy(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("ok\n"))
}
