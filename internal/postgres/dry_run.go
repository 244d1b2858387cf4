package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/processor"
)

//go:embed queries/read_wallets.sql
var readWalletsSQL string

// beginDrySQL: everything is read as it was at one moment, and nothing can be written. The time is that moment's.
const (
	beginDrySQL = "begin isolation level repeatable read read only"
	dryTimeSQL  = "select clock_timestamp()"
)

// DryRun is that of [ingest.DryRuns]: what a settle reads and decides, without its locks and without what it writes.
func (s *Store) DryRun(ctx context.Context, r ledger.Request) (ingest.DryRun, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return ingest.DryRun{}, err
	}
	defer end()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return ingest.DryRun{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	known, decided, at, err := readDry(ctx, conn, r.Wallet.Partition(s.deployment.Partitions), r)
	if err != nil {
		rollback(ctx, conn)
		return ingest.DryRun{}, fmt.Errorf("dry run: %w", err)
	}
	if decided != nil {
		if decided.Fingerprint != r.Fingerprint() {
			return ingest.DryRun{}, ledger.ErrReused
		}
		return ingest.DryRun{Operation: decided.Operation, Decided: decided}, nil
	}
	book := ledger.NewBook(known, s.decisionTime(at))
	book.Decide(r, ledger.Place{})
	return ingest.DryRun{Operation: book.Operations()[0]}, nil
}

// readDry returns what is known of everything that the request names, the outcome that its ID has, if any, and when that was so. It
// takes one transaction and one round trip.
func readDry(ctx context.Context, conn *pgxpool.Conn, partition int, r ledger.Request) (
	known ledger.Known, decided *outcomes.Decided, at time.Time, err error,
) {
	set := readSetOf(processor.Slice{Items: []processor.Item{{Request: &r}}})
	b := &pgx.Batch{}
	b.Queue(beginDrySQL)
	b.Queue(dryTimeSQL)
	b.Queue(decidedSQL, []int32{int32(partition)}, ids(set.operations)) //nolint:gosec // partitions are few
	set.queue(b, partition, readWalletsSQL)
	b.Queue("commit")
	results := conn.SendBatch(ctx, b)
	defer func() {
		if closeErr := results.Close(); err == nil && closeErr != nil {
			err = closeErr
		}
	}()
	if _, err := results.Exec(); err != nil {
		return known, nil, at, fmt.Errorf("begin: %w", err)
	}
	if err := results.QueryRow().Scan(&at); err != nil {
		return known, nil, at, fmt.Errorf("read the time: %w", err)
	}
	var d decidedRow
	if err := each(results, d.targets(), func() {
		row := d.read()
		decided = &row
	}); err != nil {
		return known, nil, at, fmt.Errorf("read known operation: %w", err)
	}
	known, err = set.read(results)
	return known, decided, at, err
}
