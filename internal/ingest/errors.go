package ingest

import (
	"context"
	"errors"
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
	switch {
	case errors.As(err, &known):
		return known.problem(id)
	case errors.Is(err, ErrNotFound):
		return refuse(CodeNotFound, "there is nothing under this ID that the API key may see").problem(id)
	case errors.Is(err, ErrReused):
		return refuse(CodeKeyReused, "the idempotency key was used before, for a request that says something else").problem(id)
	case errors.As(err, &queue):
		if skipped, ok := s.queueTrouble.next(); ok {
			s.log.WarnContext(ctx, "queue not available", "request_id", id, "err", err, "skipped", skipped)
		}
		return refuse(CodeQueueUnavailable, "whether the request was taken is unknown: send it again under the same idempotency key").problem(id)
	}
	if skipped, ok := s.databaseTrouble.next(); ok {
		s.log.WarnContext(ctx, "database not available", "request_id", id, "err", err, "skipped", skipped)
	}
	return refuse(CodeDatabaseUnavailable, "the database does not answer; whether a change was made is unknown: send it again under the same idempotency key").problem(id)
}
