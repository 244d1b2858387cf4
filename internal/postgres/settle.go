package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/fence.sql
	fenceSQL string
	//go:embed queries/advance_progress.sql
	advanceProgressSQL string
)

// beginSQL: each statement sees what was committed when it starts. So what is
// read after the locks are held is what the owners of the locks left.
const beginSQL = "begin isolation level read committed"

// rollbackTimeout is how long a rollback may take before the connection is given
// up instead; then the server rolls back by itself.
const rollbackTimeout = time.Second

var errNotCommitted = errors.New("the transaction was rolled back instead of committed")

// Settle is that of [processor.Store]. What several partitions bring while a transaction is
// in flight is settled together in the next one; see joint.go. A transaction takes two
// round trips, or three where there are many operations to write.
//
// A crash before the commit leaves nothing. A crash after it, or a lost answer,
// leaves everything, and the same call again fails with a *MovedError.
func (s *Store) Settle(ctx context.Context, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	if len(slice.Items) > ledger.MaxBatch {
		return processor.Tally{}, fmt.Errorf("%w: %d items in one slice", processor.ErrData, len(slice.Items))
	}
	p := portion{claim: c, slice: slice}
	if len(slice.Items) < jointItems && !s.joints.goesAlone(c.Partition) {
		tally, done, err := s.settleJointly(ctx, p)
		if done {
			return tally, err
		}
	}
	began := time.Now()
	tallies, err := s.transact(ctx, []portion{p}, false)
	if breaksAgain(err) || time.Since(began) > slowAlone {
		s.joints.keepApart(c.Partition)
	}
	if err != nil {
		return processor.Tally{}, err
	}
	return tallies[0], nil
}

// portion is what one partition brings to a transaction.
type portion struct {
	claim processor.Claim
	slice processor.Slice
}

// transact settles all of the portions, or none: one of each partition, in the partitions' order. Hasty, it
// fails where somebody holds a lock for long, or where it has not begun to commit within jointTimeout.
func (s *Store) transact(ctx context.Context, portions []portion, hasty bool) ([]processor.Tally, error) {
	before := ctx // the commit
	if hasty {
		var cancel context.CancelFunc
		before, cancel = context.WithTimeout(ctx, jointTimeout)
		defer cancel()
	}
	conn, err := s.pool.Acquire(before)
	if err != nil {
		return nil, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.keepUnblocked(ctx, conn.Conn())()

	tallies, rows, b, err := s.settle(before, conn, portions, hasty)
	if err == nil {
		err = commit(ctx, conn, rows, b)
	}
	if err != nil {
		rollback(ctx, conn)
		return nil, classified(err)
	}
	return tallies, nil
}

// settle is the transaction up to its commit, which takes the rows and the batch along. This file has the steps in the order in which
// they happen.
func (s *Store) settle(ctx context.Context, conn *pgxpool.Conn, portions []portion, hasty bool) (tallies []processor.Tally, rows []byte, b *pgx.Batch, err error) {
	// Fence, lock, read: the first round trip. A crash leaves locks, until the server
	// notices it or whoever waits for them ends the session; see unblock.go.
	found, err := lockAndRead(ctx, conn, portions, hasty)
	if err != nil {
		return nil, nil, nil, err
	}

	// Decide: in memory. Nobody else changes what was read while the locks are held.
	sets := make([]writeSet, len(portions))
	for i, p := range portions {
		// A replay: an expire that became a dead letter is one again. Few batches hold an expire.
		slice, err := keepDead(ctx, conn.Conn(), p.claim, p.slice)
		if err != nil {
			return nil, nil, nil, err
		}
		book := ledger.NewBook(found[i].known, s.decisionTime(found[i].at))
		book.Expect(len(slice.Items))
		if sets[i], err = decide(book, p.claim, slice); err != nil {
			return nil, nil, nil, p.caused(err)
		}
	}

	// Write many operations: a round trip of its own. Nobody sees them yet, and a crash rolls them back. Few go
	// together with the rest.
	if rows, err = encodeOperations(sets); err != nil {
		return nil, nil, nil, err
	}
	if len(rows) > togetherBytes {
		if err := writeMany(ctx, conn.Conn(), rows); err != nil {
			return nil, nil, nil, err
		}
		rows = nil
	}

	// Write, advance, commit: the last round trip. A crash before the server reads the commit
	// leaves nothing. A crash after that leaves all of it or nothing, and the progress says
	// which: it moves in the same commit. Kafka hears of it only then, so the batch
	// comes again, and finds its progress moved.
	b, tallies = &pgx.Batch{}, make([]processor.Tally, len(portions))
	for i, p := range portions {
		sets[i].queue(b)
		sets[i].advance(b, p.claim, p.slice)
		tallies[i] = sets[i].tally
	}
	return tallies, rows, b, nil
}

// keepDead returns the slice with dead letters in place of the expires that are dead letters on record. Unlike
// other requests that were refused they have no outcome, and what lies behind them was decided without them.
func keepDead(ctx context.Context, conn *pgx.Conn, c processor.Claim, slice processor.Slice) (processor.Slice, error) {
	expires := func(i processor.Item) bool {
		return i.Request != nil && i.Request.Kind == ledger.KindExpire || !i.Expire.IsZero()
	}
	if !slices.ContainsFunc(slice.Items, expires) {
		return slice, nil
	}
	letters, err := knownLetters(ctx, conn, c, slice)
	if err != nil || len(letters) == 0 {
		return slice, err
	}
	slice.Items = slices.Clone(slice.Items)
	for i, item := range slice.Items {
		if expires(item) && letters[item.Record.Offset] {
			slice.Items[i] = processor.Item{Record: item.Record, Fault: "a dead letter already"}
		}
	}
	return slice, nil
}

// locked is what is known of everything that a portion names, and the time at which the
// progress was locked.
type locked struct {
	known ledger.Known
	at    time.Time
}

// lockAndRead begins the transaction: it locks the progress of each portion before any wallet,
// and reads. Nothing in it commits, so the fences can be judged when all of it is back.
func lockAndRead(ctx context.Context, conn *pgxpool.Conn, portions []portion, hasty bool) (found []locked, err error) {
	b := &pgx.Batch{}
	b.Queue(beginSQL)
	if hasty {
		b.Queue(jointLockTimeoutSQL)
	}
	begun := b.Len()
	for _, p := range portions {
		b.Queue(fenceSQL, p.claim.Partition)
	}
	sets := make([]readSet, len(portions))
	for i, p := range portions {
		sets[i] = readSetOf(p.slice)
		sets[i].queue(b, p.claim.Partition, lockWalletsSQL)
	}
	results := conn.SendBatch(ctx, b)
	defer func() {
		if closeErr := results.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("lock and read: %w", closeErr)
		}
	}()
	for range begun {
		if _, err := results.Exec(); err != nil {
			return nil, fmt.Errorf("begin: %w", err)
		}
	}
	found = make([]locked, len(portions))
	positions := make([]int64, len(portions))
	for i, p := range portions {
		if positions[i], found[i].at, err = fence(results.QueryRow(), p.claim, p.slice); err != nil {
			return nil, p.caused(err)
		}
	}
	for i, p := range portions {
		if found[i].known, err = sets[i].read(results); err != nil {
			return nil, p.caused(err)
		}
		found[i].known.Position = positions[i]
	}
	return found, nil
}

// fence compares the progress row with the claim and with what was settled under it: whose
// the partition is, and where it stands. It returns the position of the partition's last
// operation, and the time.
func fence(row pgx.Row, c processor.Claim, slice processor.Slice) (position int64, at time.Time, err error) {
	var now processor.Memory
	switch err := row.Scan(&now.Epoch, &now.Log, &now.MovedEpoch, &now.NextOffset, &position, &at); {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, at, fmt.Errorf("%w: partition %d has no progress row", processor.ErrProgress, c.Partition)
	case err != nil:
		return 0, at, fmt.Errorf("lock progress: %w", err)
	}
	known := c.Memory()
	if slice.From > known.NextOffset {
		known = known.Moved(slice.From)
	}
	switch err := known.Check(now); {
	case err != nil:
		return 0, at, err
	case now.Log == c.Log && now.NextOffset == slice.From:
		return position, at, nil
	case now.Log == c.Log && now.NextOffset > slice.From && now.NextOffset <= slice.To:
		return 0, at, &processor.MovedError{NextOffset: now.NextOffset}
	}
	return 0, at, fmt.Errorf("%w: log %d, offset %d, not log %d, offset %d", processor.ErrProgress, now.Log, now.NextOffset, c.Log, slice.From)
}

// decide takes the items in their order. A panic in the rules is the data's
// fault: the item that causes it is found by trying smaller slices.
func decide(book *ledger.Book, c processor.Claim, slice processor.Slice) (w writeSet, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: deciding panicked: %v", processor.ErrData, p)
		}
	}()
	w = writeSet{partition: c.Partition, log: c.Log, book: book}
	for _, item := range slice.Items {
		at := ledger.Place{Log: c.Log, Offset: item.Record.Offset}
		switch {
		case item.Request != nil:
			w.count(book.Decide(*item.Request, at))
		case item.Refusal != nil:
			v := book.Refuse(*item.Refusal, at)
			w.count(v)
			// A duplicate has the payload of the first one, which is kept.
			if v != ledger.Duplicate {
				w.deadLetters = append(w.deadLetters, deadLetter{item: item, operation: item.Refusal.ID})
			}
		case book.Decided(item.Expire):
			w.count(ledger.Duplicate)
		default:
			w.tally.Dead++
			w.deadLetters = append(w.deadLetters, deadLetter{item: item})
		}
	}
	w.tally.Gaps = int(slice.To-slice.From) - len(slice.Items)
	w.tally.Outcomes = map[processor.OutcomeLabel]int{}
	for _, op := range book.Operations() {
		w.tally.Outcomes[processor.OutcomeLabel{Kind: op.Kind, Reason: op.Reason}]++
	}
	return w, nil
}

func (w *writeSet) count(v ledger.Verdict) {
	switch v {
	case ledger.Settled:
		w.tally.Settled++
	case ledger.Duplicate:
		w.tally.Duplicates++
	case ledger.Conflicting:
		w.tally.Conflicts++
	}
}

// advance queues what moves the progress to the slice's end, under the claim's epoch.
func (w *writeSet) advance(b *pgx.Batch, c processor.Claim, slice processor.Slice) {
	t := &w.tally
	b.Queue(advanceProgressSQL, c.Partition, c.Epoch, slice.From, slice.To, t.Settled, t.Duplicates, t.Conflicts, t.Dead, t.Gaps,
		lastRecord(slice), w.book.Position())
}

// lastRecord is the hash of the record at the slice's last offset; nil if that offset
// holds none.
func lastRecord(slice processor.Slice) []byte {
	if len(slice.Items) == 0 {
		return nil
	}
	last := slice.Items[len(slice.Items)-1].Record
	if last.Offset != slice.To-1 {
		return nil
	}
	hash := last.Hash()
	return hash[:]
}

// commit sends the operations, the statements of the batch, and a commit behind them. An error may mean
// either: whether the transaction committed is then unknown.
func commit(ctx context.Context, conn *pgxpool.Conn, rows []byte, b *pgx.Batch) error {
	b.Queue("commit")
	// The commit point.
	tag, err := write(ctx, conn.Conn(), rows, b)
	if err != nil {
		return fmt.Errorf("write and commit: %w", err)
	}
	if tag != "COMMIT" {
		return errNotCommitted
	}
	return nil
}

// rollback ends a transaction that failed. Where it cannot, the pool closes the
// connection, and the server rolls back.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, "rollback")
}
