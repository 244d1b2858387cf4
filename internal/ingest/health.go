package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of the checks of Kafka.
const (
	checkTimeout = 2 * time.Second
	checkEvery   = 2 * time.Second
	recheckEvery = 500 * time.Millisecond // while the last check failed
	maxFailures  = 2                      // in a row: then nothing is submitted; one may only have been slow
)

var errUnchecked = errors.New("kafka was not checked yet")

// health says whether the service lives and whether it should get requests. It
// is ready while Kafka answers and is the one that the database knows. Nothing is
// submitted before it was seen to be that one, nor while it is another one or
// fails for longer. The database itself may be down: charges are accepted all
// the same.
type health struct {
	queue    Queue
	log      *slog.Logger
	draining atomic.Bool

	mu   sync.Mutex // one check at a time tells what came of it
	last atomic.Pointer[verdict]
}

// verdict is what the checks have come to.
type verdict struct {
	checked  bool  // and it was the right one, once at least
	err      error // of the last check
	failures int   // in a row
}

func newHealth(q Queue, log *slog.Logger) *health {
	h := &health{queue: q, log: log}
	h.last.Store(&verdict{})
	return h
}

// run checks until ctx ends.
func (h *health) run(ctx context.Context) error {
	for {
		pause := checkEvery
		if h.check(ctx) != nil {
			pause = recheckEvery
		}
		if sleep(ctx, pause); ctx.Err() != nil {
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
	now := &verdict{checked: true}
	if err != nil {
		now = &verdict{checked: last.checked, err: err, failures: last.failures + 1}
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
