package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A process that is stopped inside a transaction keeps its locks, and no timeout
// of the server frees them while it is inside COPY or between the statements of
// a pipeline. So whoever waits longer than lockPatience for a lock looks for the
// session that is in the way, and ends it once it has waited for its client for
// idlePatience. Both together are less than the 2 s in which a partition is to
// move on.
const (
	lockPatience  = 500 * time.Millisecond
	idlePatience  = time.Second
	blockersEvery = 100 * time.Millisecond
)

// terminateTimeout bounds the statement that ends a session.
const terminateTimeout = 2 * time.Second

var (
	//go:embed queries/blockers.sql
	blockersSQL string
	//go:embed queries/terminate.sql
	terminateSQL string
)

// keepUnblocked ends the sessions that block the statements of a connection, until the
// returned function is called. It must be called before the connection is released.
func (s *Store) keepUnblocked(ctx context.Context, conn *pgx.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	pid := *backendOf(conn.PgConn())
	ended := make(chan struct{})
	timer := time.AfterFunc(lockPatience, func() {
		defer close(ended)
		s.unblock(ctx, pid)
	})
	return func() {
		cancel()
		if !timer.Stop() {
			<-ended
		}
	}
}

// session names a session of another process, in one state.
type session struct {
	pid          int32
	start, state time.Time
}

// unblock ends the sessions that the backend waits for, once each has been seen
// idle for long enough: in every look, not only in the first and the last one.
func (s *Store) unblock(ctx context.Context, pid int32) {
	idleSince := map[session]time.Time{}
	for ctx.Err() == nil {
		blockers, err := s.blockers(ctx, pid)
		if err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "look for the blocking session", "err", err)
			}
			blockers = nil
		}
		still := make(map[session]time.Time, len(blockers))
		for _, b := range blockers {
			since, seen := idleSince[b]
			if !seen {
				since = time.Now()
			}
			still[b] = since
			if time.Since(since) >= idlePatience {
				s.terminate(ctx, b)
			}
		}
		idleSince = still
		select {
		case <-ctx.Done():
		case <-time.After(blockersEvery):
		}
	}
}

func (s *Store) blockers(ctx context.Context, pid int32) ([]session, error) {
	rows, err := s.unblockers.Query(ctx, blockersSQL, pid)
	if err != nil {
		return nil, fmt.Errorf("read blocking sessions: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b session, err error) {
		err = row.Scan(&b.pid, &b.start, &b.state)
		return b, err
	})
}

// terminate ends a session and says so. The statement that waited goes on at once,
// which must not take the answer away: hence a time of its own.
func (s *Store) terminate(ctx context.Context, b session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateTimeout)
	defer cancel()
	var ended bool
	err := s.unblockers.QueryRow(ctx, terminateSQL, b.pid, b.start, b.state).Scan(&ended)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !ended:
		// It has gone on or ended by itself since it was seen.
	case err != nil:
		s.log.WarnContext(ctx, "end the blocking session", "err", err)
	default:
		s.log.WarnContext(ctx, "ended a session that held a lock and waited for its client", "pid", b.pid)
	}
}
