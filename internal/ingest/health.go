package ingest

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of the readiness check.
const (
	checkTimeout = 2 * time.Second
	checkFor     = time.Second // how long one check answers for
)

// health says whether the service lives and whether it should get requests. It
// is ready while Kafka answers and is the one that the database knows. The
// database itself may be down: charges are accepted all the same.
type health struct {
	queue    Queue
	draining atomic.Bool

	mu        sync.Mutex
	checkedAt time.Time
	err       error
}

func newHealth(q Queue) *health { return &health{queue: q} }

// ready fails with the reason why the service should get no requests.
func (h *health) ready(ctx context.Context) error {
	if h.draining.Load() {
		return refuse(CodeDraining, "the service is finishing its last requests")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.checkedAt) >= checkFor {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		h.err = h.queue.Check(ctx)
		h.checkedAt = time.Now()
	}
	if h.err != nil {
		return &queueError{err: h.err}
	}
	return nil
}

// live answers as long as the process can answer at all.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) { healthy(w) }

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.health.ready(r.Context()); err != nil {
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

// Ready fails with the reason why the service should get no requests, for other
// servers of the same process that are asked about it.
func (s *Server) Ready(ctx context.Context) error { return s.health.ready(ctx) }
