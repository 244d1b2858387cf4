package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

var (
	//go:embed queries/lock_progress.sql
	lockProgressSQL string
	//go:embed queries/reached.sql
	reachedSQL string
	//go:embed queries/make_progress.sql
	makeProgressSQL string
	//go:embed queries/highest_log.sql
	highestLogSQL string
	//go:embed queries/furthest_place.sql
	furthestPlaceSQL string
	//go:embed queries/known_dead_letters.sql
	knownDeadLettersSQL string
	//go:embed queries/set_progress.sql
	setProgressSQL string
)

// setProgressSettings are of one transaction that may read a log between its
// statements. The name is not like those of the services, which end a session of
// theirs that holds a lock and waits for its client: this one is to wait, and the
// server ends it if it has stopped; see connectOwner.
const setProgressSettings = `set local application_name = 'monedero set-progress'; set local lock_timeout = '30s';
set local statement_timeout = 0`

// ProgressSetter is a [repair.Setter] with a connection of its own. It is for one
// goroutine.
type ProgressSetter struct {
	conn       *pgx.Conn
	deployment Deployment
}

var _ repair.Setter = (*ProgressSetter)(nil)

// NewProgressSetter connects as the owner of the schema, who is the user of the URL.
// Close ends the connection.
func NewProgressSetter(ctx context.Context, url string, d Deployment) (*ProgressSetter, error) {
	conn, err := connectOwner(ctx, url, "partitions")
	if err != nil {
		return nil, err
	}
	return &ProgressSetter{conn: conn, deployment: d}, nil
}

// Close ends the connection, which rolls back whatever is not committed.
func (s *ProgressSetter) Close(ctx context.Context) { _ = s.conn.Close(context.WithoutCancel(ctx)) }

// Set is that of [repair.Setter].
func (s *ProgressSetter) Set(ctx context.Context, partition int, do func(repair.Standing, repair.Setting) error) error {
	if _, err := s.conn.PgConn().Exec(ctx, beginSQL+";"+setProgressSettings).ReadAll(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	t := setting{conn: s.conn, partition: partition}
	standing, err := t.lock(ctx, s.deployment)
	if err == nil {
		err = do(standing, &t)
	}
	if err != nil {
		return errors.Join(err, s.rollback(ctx))
	}
	tag, err := s.conn.Exec(ctx, "commit")
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Severity == "ERROR":
		return fmt.Errorf("commit: %w", err)
	case err != nil:
		return fmt.Errorf("%w (commit: %w)", repair.ErrMaybeMoved, err)
	case tag.String() != "COMMIT":
		return errNotCommitted
	}
	return nil
}

// rollback leaves the connection fit for another transaction, or closes it.
func (s *ProgressSetter) rollback(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, err := s.conn.Exec(ctx, "rollback"); err != nil && !s.conn.IsClosed() {
		return s.conn.Close(ctx)
	}
	return nil
}

// setting is one open transaction.
type setting struct {
	conn      *pgx.Conn
	partition int
	position  int64     // of the partition's last operation
	at        time.Time // by the database's clock
}

// lock locks the progress and reads where it stands. A missing one is made: what is
// written down needs it.
func (t *setting) lock(ctx context.Context, d Deployment) (repair.Standing, error) {
	s := repair.Standing{Claim: processor.Claim{Partition: t.partition, Partitions: d.Partitions, ClusterID: d.ClusterID}}
	err := t.read(ctx, &s)
	if errors.Is(err, pgx.ErrNoRows) {
		if s.Made, err = t.make(ctx, d); err == nil {
			err = t.read(ctx, &s)
		}
	}
	switch {
	case err != nil:
		return s, fmt.Errorf("lock progress: %w", err)
	case s.Topic != d.Topic:
		return s, fmt.Errorf("%w: its row is of the topic %q, not of %q", repair.ErrMove, s.Topic, d.Topic)
	}
	if err := t.conn.QueryRow(ctx, reachedSQL, t.partition, s.Log).Scan(&s.Reached); err != nil {
		return s, fmt.Errorf("read earlier moves: %w", err)
	}
	return s, nil
}

func (t *setting) read(ctx context.Context, s *repair.Standing) error {
	var hash []byte
	err := t.conn.QueryRow(ctx, lockProgressSQL, t.partition).Scan(&s.Topic, &s.Log, &s.Epoch, &s.NextOffset, &hash, &t.position, &s.Goal, &t.at)
	s.LastRecord = recordHash(hash)
	return err
}

// make makes the progress, unless somebody else does so first.
func (t *setting) make(ctx context.Context, d Deployment) (bool, error) {
	var log int32
	if err := t.conn.QueryRow(ctx, highestLogSQL, t.partition).Scan(&log); err != nil {
		return false, fmt.Errorf("read the highest log: %w", err)
	}
	made, err := t.conn.Exec(ctx, makeProgressSQL, t.partition, d.Topic, log, repair.FirstEpoch())
	return made.RowsAffected() == 1, err
}

// Furthest reads the partition as a whole.
func (t *setting) Furthest(ctx context.Context, log int32) (furthest int64, err error) {
	if err := t.conn.QueryRow(ctx, furthestPlaceSQL, t.partition, log).Scan(&furthest); err != nil {
		return 0, fmt.Errorf("read the furthest place: %w", err)
	}
	return furthest, nil
}

// Known is that of [repair.Setter].
func (s *ProgressSetter) Known(ctx context.Context, c processor.Claim, slice processor.Slice) (repair.Known, error) {
	return readKnown(ctx, s.conn, c, slice)
}

// Known is that of [repair.Setting].
func (t *setting) Known(ctx context.Context, c processor.Claim, slice processor.Slice) (repair.Known, error) {
	return readKnown(ctx, t.conn, c, slice)
}

func readKnown(ctx context.Context, conn *pgx.Conn, c processor.Claim, slice processor.Slice) (repair.Known, error) {
	known := repair.Known{Decided: map[ledger.OperationID]ledger.Fingerprint{}}
	rows, err := conn.Query(ctx, knownOperationsSQL, c.Partition, ids(readSetOf(slice).operations))
	if err != nil {
		return known, fmt.Errorf("read known operations: %w", err)
	}
	var id pgtype.UUID
	var fingerprint hash
	if _, err := pgx.ForEachRow(rows, []any{&id, &fingerprint}, func() error {
		known.Decided[id.Bytes] = ledger.Fingerprint(fingerprint)
		return nil
	}); err != nil {
		return known, fmt.Errorf("read known operations: %w", err)
	}
	known.Letters, err = knownLetters(ctx, conn, c, slice)
	return known, err
}

// knownLetters are the offsets of the slice at which there are dead letters.
func knownLetters(ctx context.Context, conn *pgx.Conn, c processor.Claim, slice processor.Slice) (map[int64]bool, error) {
	rows, err := conn.Query(ctx, knownDeadLettersSQL, c.Partition, c.Log, slice.From, slice.To)
	if err != nil {
		return nil, fmt.Errorf("read known dead letters: %w", err)
	}
	letters := map[int64]bool{}
	var offset int64
	if _, err := pgx.ForEachRow(rows, []any{&offset}, func() error {
		letters[offset] = true
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read known dead letters: %w", err)
	}
	return letters, nil
}

// Pass is that of [repair.Setting].
func (t *setting) Pass(ctx context.Context, c processor.Claim, slice processor.Slice, known repair.Known) error {
	w, err := decide(ledger.NewBook(ledger.Known{Decided: known.Decided, Position: t.position}, t.at), c, slice)
	if err != nil {
		return err
	}
	t.position = w.book.Position()
	rows, err := encodeOperations([]writeSet{w})
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	w.queue(b)
	if _, err := write(ctx, t.conn, rows, b); err != nil {
		return fmt.Errorf("write what is passed over: %w", err)
	}
	return nil
}

// Move is that of [repair.Setting].
func (t *setting) Move(ctx context.Context, m repair.Moved, goal int64, last *record.Hash, by ledger.Author) error {
	var hash []byte
	if last != nil {
		hash = last[:]
	}
	unfinished, cause := pgtype.Int8{}, pgtype.Text{}
	if goal != m.To.Offset {
		unfinished = pgtype.Int8{Int64: goal, Valid: true}
		cause = pgtype.Text{String: (&processor.UnfinishedMoveError{Goal: goal}).Error(), Valid: true}
	}
	if _, err := t.conn.Exec(ctx, setProgressSQL, t.partition, m.To.Log, m.To.Offset, m.Epoch, hash, t.position, unfinished, cause); err != nil {
		return fmt.Errorf("set progress: %w", err)
	}
	return recordProgressSet(ctx, t.conn, t.partition, m, goal, by)
}
