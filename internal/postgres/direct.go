package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/hold_progress.sql
	holdProgressSQL string
	//go:embed queries/move_position.sql
	movePositionSQL string
)

// Apply decides a direct operation; see [ingest.Direct]. It waits for the settle of its
// partition that is under way, ends the session of one whose process has stopped, and
// fails after three seconds.
func (s *Store) Apply(ctx context.Context, r ledger.Request) (ledger.Operation, bool, error) {
	ctx, cancel := outlive(ctx)
	defer cancel()
	lanes := []lane{{partition: r.Wallet.Partition(s.deployment.Partitions)}}
	if r.Asker.Role == ledger.RoleClient {
		lanes = []lane{{partition: lanes[0].partition, clients: true}, lanes[0]}
	}
	for _, l := range lanes {
		leave, err := s.enterLane(ctx, l)
		if err != nil {
			return ledger.Operation{}, false, err
		}
		defer leave()
	}
	conn, err := s.direct.Acquire(ctx)
	if err != nil {
		return ledger.Operation{}, false, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.keepUnblocked(ctx, conn.Conn())()
	op, made, err := s.apply(ctx, conn, r)
	if err != nil {
		rollback(ctx, conn)
		return ledger.Operation{}, false, err
	}
	return op, made, nil
}

// lane is where one direct operation is at a time. Those of clients pass one of their own first: however many
// they are, one of them at most is before an operator's.
type lane struct {
	partition int
	clients   bool
}

// enterLane waits until this store has no other direct operation in the lane. Those of a
// partition could not go on at once anyway, and each would hold a connection while it waits: with
// all connections so, one busy partition would hold up the others.
func (s *Store) enterLane(ctx context.Context, l lane) (leave func(), err error) {
	held, _ := s.lanes.LoadOrStore(l, make(chan struct{}, 1))
	token := held.(chan struct{})
	select {
	case token <- struct{}{}:
		return func() { <-token }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the partition's direct operations before this one: %w", ctx.Err())
	}
}

func (s *Store) apply(ctx context.Context, conn *pgxpool.Conn, r ledger.Request) (ledger.Operation, bool, error) {
	partition := r.Wallet.Partition(s.deployment.Partitions)
	found, err := lockForDirect(ctx, conn, partition, r)
	if err != nil {
		return ledger.Operation{}, false, err
	}
	if found.decided != nil {
		rollback(ctx, conn)
		if found.decided.Fingerprint != r.Fingerprint() {
			return ledger.Operation{}, false, ledger.ErrReused
		}
		return found.decided.Operation, false, nil
	}
	w, exists := found.known.Wallets[r.Wallet]
	if !exists && (!r.Kind.Opens() || !found.client) || exists && !r.Asker.SeesWallet(w.Client) {
		return ledger.Operation{}, false, ledger.ErrNotFound
	}
	book := ledger.NewBook(found.known, s.decisionTime(found.at))
	book.Decide(r, ledger.Place{})
	set := writeSet{partition: partition, book: book}
	rows, err := encodeOperations([]writeSet{set})
	if err != nil {
		return ledger.Operation{}, false, err
	}
	b := &pgx.Batch{}
	set.queue(b)
	b.Queue(movePositionSQL, partition, book.Position())
	if err := commit(ctx, conn, rows, b); err != nil {
		return ledger.Operation{}, false, err
	}
	return book.Operations()[0], true, nil
}

// beforeDirect is what is on record about a direct operation.
type beforeDirect struct {
	known   ledger.Known
	decided *outcomes.Decided
	client  bool // the request's client exists
	at      time.Time
}

func lockForDirect(ctx context.Context, conn *pgxpool.Conn, partition int, r ledger.Request) (found beforeDirect, err error) {
	b := &pgx.Batch{}
	b.Queue(beginSQL)
	b.Queue(fmt.Sprintf("set local lock_timeout = %d", directLockTimeout.Milliseconds()))
	b.Queue(holdProgressSQL, partition)
	set := readSet{mandates: map[ledger.WalletMerchant]bool{}}
	set.add(&r)
	set.queue(b, partition, lockWalletsSQL)
	b.Queue(decidedSQL, []int32{int32(partition)}, ids([]ledger.OperationID{r.ID}))
	b.Queue(clientSQL, idOrNull(r.Client))
	results := conn.SendBatch(ctx, b)
	defer func() {
		if closeErr := results.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("lock and read: %w", closeErr)
		}
	}()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return found, fmt.Errorf("begin: %w", err)
		}
	}
	var position int64
	if err := results.QueryRow().Scan(&position, &found.at); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			err = processor.ErrNoProgress
		}
		return found, fmt.Errorf("hold progress: %w", err)
	}
	if found.known, err = set.read(results); err != nil {
		return found, err
	}
	found.known.Position = position
	var d decidedRow
	if err := each(results, d.targets(), func() {
		decided := d.read()
		found.decided = &decided
	}); err != nil {
		return found, fmt.Errorf("read known operation: %w", err)
	}
	clients, err := results.Query()
	if err != nil {
		return found, fmt.Errorf("read client: %w", err)
	}
	found.client = clients.Next()
	clients.Close()
	return found, clients.Err()
}
