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
	//go:embed queries/count_dead_letters.sql
	countDeadLettersSQL string
	//go:embed queries/set_progress.sql
	setProgressSQL string
)

// setProgressSettings are of one transaction that may read a long log between its
// statements. The name is not like those of the services, which end a session of
// theirs that holds a lock and waits for its client: this one is to wait, and the
// server ends it if it has stopped; see connectOwner.
const setProgressSettings = `set local application_name = 'monedero set-progress'; set local lock_timeout = '30s';
set local statement_timeout = 0`

// ErrMove says that a progress is not moved as asked, because what is on record or
// in the log would not bear it. Nothing was changed.
var ErrMove = errors.New("the progress stays as it is")

// ErrMaybeMoved says that nobody knows whether the progress was moved: the answer to
// the commit was lost.
var ErrMaybeMoved = errors.New("it is unknown whether the progress was moved: look at `monedero partitions` before you do anything more")

// Move says where a person wants a progress to stand, and why.
type Move struct {
	Partition int
	Anchor    Anchor // what Offset counts from
	Offset    int64  // of the next record to settle
	DryRun    bool   // only say what it would do; the partition waits meanwhile
	NewLog    bool   // the log is another one than the one on record
	By        string
	Reason    string
}

// Anchor is what the offset of a move counts from.
type Anchor int

// The anchors.
const (
	FromZero  Anchor = iota // the offset itself
	FromStart               // the first offset of the log
	FromHere                // where the progress stands
	FromEnd                 // the offset behind the last record
)

// Log is the partition's log in Kafka, as moving a progress reads it.
type Log interface {
	// Bounds are the first offset of the log and the one behind its last record.
	Bounds(ctx context.Context) (start, end int64, err error)
	// Hash is of the record at the offset, which lies in the log; nil: a gap.
	Hash(ctx context.Context, offset int64) (*record.Hash, error)
	// Skip reads records that are passed over, from an offset on and none at or after
	// the end: at least one offset, and no more items than fit into one [ledger.Book].
	// Missing is how many of these offsets hold nothing that can be read, and are no gaps.
	Skip(ctx context.Context, c processor.Claim, from, end int64) (slice processor.Slice, missing int64, err error)
}

// Moved is what moving a progress did.
type Moved struct {
	Made     bool         // there was no progress: From is zero
	From, To ledger.Place // of the next record to settle, before and after
	Epoch    int64
	Passed   int64 // offsets passed over that are in the log
	Missing  int64 // offsets passed over that are in the log no more, or cannot be read
	Failed   int64 // records passed over that became failed operations
	Dead     int64 // records passed over that became dead letters and no more
	Known    int64 // records passed over that had their outcome before, or were dead letters
}

// SetProgress moves the progress of a partition, or makes it where it is missing,
// and records who did so and why, in one transaction. It raises the epoch, so that
// no settle under an earlier claim commits any more, and begins the counts anew.
//
// Every record that is passed over and still in the log gets an outcome in the same
// transaction: a failed operation with its dead letter, or a dead letter, as
// [Log.Skip] says. Those are the records from the old position on; of a new log, and
// where there was no progress, those from the start of the log on. Going back changes
// nothing that is on record. It fails with [ErrMove] where the log does not bear it, and
// with [ErrMaybeMoved] where nobody knows what it came to.
//
// It is run by the owner of the schema, and keeps no more than one slice in memory.
func SetProgress(ctx context.Context, url string, d Deployment, m Move, log Log) (Moved, error) {
	conn, err := connectOwner(ctx, url, "partitions")
	if err != nil {
		return Moved{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.PgConn().Exec(ctx, beginSQL+";"+setProgressSettings).ReadAll(); err != nil {
		return Moved{}, fmt.Errorf("begin: %w", err)
	}
	mover := mover{conn: conn, deployment: d, move: m, log: log}
	// Closing the connection rolls back whatever is not committed.
	if err := mover.run(ctx); err != nil {
		return Moved{}, err
	}
	if m.DryRun {
		return mover.moved, nil
	}
	tag, err := conn.Exec(ctx, "commit")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Severity == "ERROR" {
		return Moved{}, fmt.Errorf("commit: %w", err)
	}
	if err != nil {
		return Moved{}, fmt.Errorf("%w (commit: %w)", ErrMaybeMoved, err)
	}
	if tag.String() != "COMMIT" {
		return Moved{}, errNotCommitted
	}
	return mover.moved, nil
}

// mover moves one progress in an open transaction.
type mover struct {
	conn       *pgx.Conn
	deployment Deployment
	move       Move
	log        Log

	start, end int64           // of the log in Kafka
	before     processor.Claim // where the progress stood, or was made
	reached    int64           // the furthest that the progress is known to have come in the log before
	position   int64           // of the partition's last operation
	at         time.Time       // by the database's clock
	moved      Moved
}

func (m *mover) run(ctx context.Context) (err error) {
	if err := m.lock(ctx); err != nil {
		return err
	}
	// The bounds are read under the lock: they hold all that was settled.
	if m.start, m.end, err = m.log.Bounds(ctx); err != nil {
		return err
	}
	switch m.move.Anchor {
	case FromZero:
	case FromStart:
		m.move.Offset += m.start
	case FromHere:
		m.move.Offset += m.before.NextOffset
	case FromEnd:
		m.move.Offset += m.end
	}
	if err := m.check(ctx); err != nil {
		return err
	}
	m.aim()
	if err := m.skip(ctx); err != nil {
		return err
	}
	return m.write(ctx)
}

// lock locks the progress and reads where it stands. A missing one is made: what is
// written down needs it.
func (m *mover) lock(ctx context.Context) error {
	err := m.read(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		if err = m.make(ctx); err == nil {
			err = m.read(ctx)
		}
	}
	c := m.before
	switch {
	case err != nil:
		return fmt.Errorf("lock progress: %w", err)
	case c.Topic != m.deployment.Topic:
		return fmt.Errorf("%w: its row is of the topic %q, not of %q", ErrMove, c.Topic, m.deployment.Topic)
	}
	if err := m.conn.QueryRow(ctx, reachedSQL, c.Partition, c.Log).Scan(&m.reached); err != nil {
		return fmt.Errorf("read earlier moves: %w", err)
	}
	m.reached = max(m.reached, c.NextOffset)
	return nil
}

func (m *mover) read(ctx context.Context) error {
	c := processor.Claim{Partition: m.move.Partition, Partitions: m.deployment.Partitions, ClusterID: m.deployment.ClusterID}
	var hash []byte
	err := m.conn.QueryRow(ctx, lockProgressSQL, c.Partition).Scan(&c.Topic, &c.Log, &c.Epoch, &c.NextOffset, &hash, &m.position, &m.at)
	c.LastRecord = recordHash(hash)
	m.before = c
	return err
}

// nextEpoch is one that was never used: seconds since 1970, as a claim takes it, or
// one more than the last.
func nextEpoch(last int64) int64 { return max(last+1, time.Now().Unix()) }

// aheadOfClaims is more epochs than the claims of one partition ever run ahead of the clock.
const aheadOfClaims = 10_000

// make makes the progress, unless somebody else does so first.
func (m *mover) make(ctx context.Context) error {
	var log int32
	if err := m.conn.QueryRow(ctx, highestLogSQL, m.move.Partition).Scan(&log); err != nil {
		return fmt.Errorf("read the highest log: %w", err)
	}
	// An epoch that nobody can hold a claim of, or remember: claims take one a second, and
	// run ahead of the clock by as many as there are in one second.
	made, err := m.conn.Exec(ctx, makeProgressSQL, m.move.Partition, m.deployment.Topic, log, nextEpoch(0)+aheadOfClaims)
	m.moved.Made = made.RowsAffected() == 1
	return err
}

// check refuses what the log and the record do not bear.
func (m *mover) check(ctx context.Context) error {
	if m.move.Offset < m.start || m.move.Offset > m.end {
		return fmt.Errorf("%w: the log has the offsets %d to %d (the next one), and not %d", ErrMove, m.start, m.end, m.move.Offset)
	}
	why, sure, err := m.another(ctx)
	switch {
	case err != nil:
		return err
	case why != "" && !m.move.NewLog:
		return fmt.Errorf("%w: %s: it is another log (--new-log)", ErrMove, why)
	case why == "" && sure && m.move.NewLog:
		return fmt.Errorf("%w: the log holds the record at offset %d that was settled: it is log %d still (without --new-log)",
			ErrMove, m.before.NextOffset-1, m.before.Log)
	}
	return nil
}

// another says why the log cannot be the one on record; nothing: it may be. It is
// sure where the log holds the record that was settled last.
func (m *mover) another(ctx context.Context) (why string, sure bool, err error) {
	last, want := m.before.NextOffset-1, m.before.LastRecord
	if want != nil && last >= m.start && last < m.end {
		found, err := m.log.Hash(ctx, last)
		switch {
		case err != nil:
			return "", false, err
		case found == nil:
			return fmt.Sprintf("the log holds no record at offset %d any more", last), false, nil
		case *found != *want:
			return fmt.Sprintf("the log holds another record at offset %d than was settled", last), false, nil
		}
		sure = true
	}
	if !m.moved.Made && m.reached <= m.end {
		return "", sure, nil
	}
	// Settling came further than the log reaches, or nobody knows how far: new
	// records would come to places that others have.
	var furthest int64
	if err := m.conn.QueryRow(ctx, furthestPlaceSQL, m.move.Partition, m.before.Log).Scan(&furthest); err != nil {
		return "", false, fmt.Errorf("read the furthest place: %w", err)
	}
	if furthest >= m.end {
		return fmt.Sprintf("offset %d is on record, and the log ends at %d", furthest, m.end), sure, nil
	}
	return "", sure, nil
}

// aim is where the progress is to stand.
func (m *mover) aim() {
	m.moved.To, m.moved.Epoch = ledger.Place{Log: m.before.Log, Offset: m.move.Offset}, nextEpoch(m.before.Epoch)
	if !m.moved.Made {
		m.moved.From = ledger.Place{Log: m.before.Log, Offset: m.before.NextOffset}
	}
	if m.move.NewLog {
		m.moved.To.Log++
	}
}

// skip gives every record that is passed over its outcome.
func (m *mover) skip(ctx context.Context) error {
	from := m.before.NextOffset
	if m.moved.Made || m.move.NewLog {
		from = m.start
	}
	if from < m.start {
		m.moved.Missing = min(m.start, m.move.Offset) - from
		from = m.start
	}
	claim := m.before
	claim.Log = m.moved.To.Log
	for from < m.move.Offset {
		slice, missing, err := m.log.Skip(ctx, claim, from, m.move.Offset)
		if err != nil {
			return err
		}
		if err := m.settle(ctx, claim, slice); err != nil {
			return fmt.Errorf("pass over offsets %d to %d: %w", slice.From, slice.To, err)
		}
		m.moved.Passed += slice.To - slice.From - missing
		m.moved.Missing += missing
		from = slice.To
	}
	return nil
}

// settle records the outcomes of one slice; no wallet is touched.
func (m *mover) settle(ctx context.Context, c processor.Claim, slice processor.Slice) error {
	known := ledger.Known{Decided: map[ledger.OperationID]ledger.Fingerprint{}, Position: m.position}
	rows, err := m.conn.Query(ctx, knownOperationsSQL, c.Partition, ids(touchedBy(slice).operations))
	if err != nil {
		return fmt.Errorf("read known operations: %w", err)
	}
	var id pgtype.UUID
	var fingerprint []byte
	if _, err := pgx.ForEachRow(rows, []any{&id, &fingerprint}, func() error {
		known.Decided[id.Bytes] = ledger.Fingerprint(fingerprint)
		return nil
	}); err != nil {
		return fmt.Errorf("read known operations: %w", err)
	}
	o := outcome{claim: c, slice: slice, book: ledger.NewBook(known, m.at)}
	if err := o.decide(); err != nil {
		return err
	}
	before, err := m.deadLetters(ctx, c, slice)
	if err != nil {
		return err
	}
	m.position = o.book.Position()
	w := writing{partition: c.Partition, log: c.Log, book: o.book, letters: o.letters}
	if err := w.append(ctx, m.conn); err != nil {
		return err
	}
	if err := m.conn.SendBatch(ctx, w.rest()).Close(); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	after, err := m.deadLetters(ctx, c, slice)
	if err != nil {
		return err
	}
	m.moved.Failed += int64(o.tally.Settled)
	m.moved.Dead += after - before
	m.moved.Known += int64(len(slice.Items)-o.tally.Settled) - (after - before)
	return nil
}

// deadLetters counts those of a slice that are dead letters and no more.
func (m *mover) deadLetters(ctx context.Context, c processor.Claim, slice processor.Slice) (n int64, err error) {
	if err := m.conn.QueryRow(ctx, countDeadLettersSQL, c.Partition, c.Log, slice.From, slice.To).Scan(&n); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// write moves the progress and records it.
func (m *mover) write(ctx context.Context) error {
	to := m.moved.To
	var hash []byte
	if to.Offset > m.start {
		h, err := m.log.Hash(ctx, to.Offset-1)
		if err != nil {
			return err
		}
		if h != nil {
			hash = h[:]
		}
	}
	p := m.move.Partition
	if _, err := m.conn.Exec(ctx, setProgressSQL, p, to.Log, to.Offset, m.moved.Epoch, hash, m.position); err != nil {
		return fmt.Errorf("set progress: %w", err)
	}
	return recordProgressSet(ctx, m.conn, p, m.moved, ledger.Person(m.move.By, m.move.Reason))
}
