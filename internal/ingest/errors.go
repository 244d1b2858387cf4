package ingest

import (
	"context"
	"errors"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// queueError is trouble with the queue: whether a request went in is unknown.
type queueError struct{ err error }

func (e *queueError) Error() string { return "queue: " + e.err.Error() }
func (e *queueError) Unwrap() error { return e.err }

// problem is the one place where an error becomes an answer. What has no meaning
// of its own is trouble of the machinery: logged, and 503.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	id := requestID(ctx)
	var known *refusal
	var queue *queueError
	var invalidKey access.Invalid
	switch {
	case errors.As(err, &known):
		return known.problem(id)
	case errors.As(err, &invalidKey):
		return refuse(CodeUnauthenticated, string(invalidKey)).problem(id)
	case errors.Is(err, access.ErrCrowded):
		s.metrics.shed("key")
		return refuse(CodeOverloaded, "too many API keys are being looked up; the request was not taken: send it again, under the same idempotency key").problem(id)
	case errors.Is(err, ledger.ErrNotFound):
		return refuse(CodeNotFound, "there is nothing under this ID that the API key may see").problem(id)
	case errors.Is(err, ledger.ErrReused):
		return refuse(CodeKeyReused, "the idempotency key was used before, for a request that says something else").problem(id)
	case errors.Is(err, ledger.ErrEnded):
		return refuse(CodeKeyEnded, "the API key is revoked or has expired: create another one").problem(id)
	case errors.Is(err, ErrBusy):
		s.metrics.shed("read")
		return refuse(CodeReadsBusy, "too many reads come before this one; submissions and direct operations are taken all the same").problem(id)
	case errors.Is(err, ErrQueueFull):
		s.metrics.shed("queue")
		return refuse(CodeOverloaded, "too many requests wait for the wallet's part of the queue; this one was not taken: send it again, under the same idempotency key").problem(id)
	case errors.As(err, &queue):
		if !errors.Is(err, errUnchecked) { // that is how every start begins
			s.trouble(ctx, &s.queueTrouble, "queue", err)
		}
		if errors.Is(err, ErrNotTaken) {
			return refuse(CodeQueueUnavailable, "the wallet's part of the queue takes nothing at present; the request was not taken: send it again under the same idempotency key").problem(id)
		}
		return refuse(CodeQueueUnavailable, "whether the request was taken is unknown: send it again under the same idempotency key").problem(id)
	}
	s.trouble(ctx, &s.databaseTrouble, "database", err)
	return refuse(CodeDatabaseUnavailable, "the database does not answer; whether a change was made is unknown: send it again under the same idempotency key").problem(id)
}

// trouble logs what a 503 does not show. A caller who is gone is none.
func (s *Server) trouble(ctx context.Context, t *throttle.Log, part string, err error) {
	if ctx.Err() != nil {
		return
	}
	if skipped, ok := t.Next(); ok {
		s.log.WarnContext(ctx, "part not available", "part", part, "request_id", requestID(ctx), "err", err, "skipped", skipped)
	}
}
