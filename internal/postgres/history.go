package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/decided.sql
	decidedSQL string
	//go:embed queries/decided_ids.sql
	decidedIDsSQL string
	//go:embed queries/list_wallet.sql
	listWalletSQL string
	//go:embed queries/list_wallet_invoice.sql
	listWalletInvoiceSQL string
	//go:embed queries/list_merchant.sql
	listMerchantSQL string
	//go:embed queries/list_invoice.sql
	listInvoiceSQL string
	//go:embed queries/next_offset.sql
	nextOffsetSQL string
)

// errFilter is a fault of the caller.
var errFilter = errors.New("list operations: want a wallet, a merchant or both")

// Decided finds operations in one round trip: a statement for each partition
// that the IDs lie in, so that each is served by one shard and one index.
func (s *Store) Decided(ctx context.Context, list []ledger.OperationID) ([]ingest.Decided, error) {
	var found []ingest.Decided
	b := &pgx.Batch{}
	for partition, part := range s.byPartition(list) {
		b.Queue(decidedSQL, partition, part).Query(func(rows pgx.Rows) (err error) {
			var log int32
			first := len(found)
			found, err = collectDecided(rows, found, &log)
			for i := first; i < len(found); i++ {
				found[i].Log = log
			}
			return err
		})
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read operations: %w", err)
	}
	return found, nil
}

// DecidedIDs finds which operations are on record, as Decided does.
func (s *Store) DecidedIDs(ctx context.Context, list []ledger.OperationID) ([]ledger.OperationID, error) {
	var known []ledger.OperationID
	b := &pgx.Batch{}
	for partition, part := range s.byPartition(list) {
		b.Queue(decidedIDsSQL, partition, part).Query(func(rows pgx.Rows) error {
			var id pgtype.UUID
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				known = append(known, id.Bytes)
				return nil
			})
			return err
		})
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("look operations up: %w", err)
	}
	return known, nil
}

// byPartition are the IDs as a parameter for each partition that they lie in.
func (s *Store) byPartition(list []ledger.OperationID) map[int]pgtype.FlatArray[[16]byte] {
	parts := make(map[int]pgtype.FlatArray[[16]byte], min(len(list), s.deployment.Partitions))
	for _, id := range list {
		p := id.Partition(s.deployment.Partitions)
		parts[p] = append(parts[p], id)
	}
	return parts
}

// List is one page. By wallet it goes along the wallet's history, also where an
// invoice is asked for: with the merchant the invoice is found by its key,
// without it by going through that history. By merchant it goes by time.
func (s *Store) List(ctx context.Context, f ingest.Filter) ([]ingest.Decided, error) {
	var sql string
	var args []any
	key := ledger.NewInvoiceKey(f.Merchant, f.Invoice)
	switch {
	case !f.Wallet.IsZero() && !f.Merchant.IsZero() && f.Invoice != "":
		sql = listWalletInvoiceSQL
		args = append([]any{s.partition(f.Wallet), idOrNull(f.Wallet), idOrNull(f.Merchant), [16]byte(key), f.Limit}, afterSequence(f.After)...)
	case !f.Wallet.IsZero():
		sql = listWalletSQL
		invoice := pgtype.Text{String: f.Invoice, Valid: f.Invoice != ""}
		args = append([]any{s.partition(f.Wallet), idOrNull(f.Wallet), idOrNull(f.Merchant), invoice, f.Limit}, afterSequence(f.After)...)
	case !f.Merchant.IsZero() && f.Invoice != "":
		sql = listInvoiceSQL
		args = append(append([]any{idOrNull(f.Merchant), f.Limit}, afterTime(f.After)...), [16]byte(key))
	case !f.Merchant.IsZero():
		sql = listMerchantSQL
		args = append([]any{idOrNull(f.Merchant), f.Limit}, afterTime(f.After)...)
	default:
		return nil, errFilter
	}
	select {
	case s.lists <- struct{}{}:
		defer func() { <-s.lists }()
	case <-ctx.Done():
		return nil, fmt.Errorf("list operations: %w", ctx.Err())
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	page, err := collectDecided(rows, nil)
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return page, nil
}

// NextOffset is the first offset of the partition that is not settled.
func (s *Store) NextOffset(ctx context.Context, partition int) (int64, error) {
	at, err := s.Position(ctx, partition)
	return at.Offset, err
}

// Position is the place of the next record that the partition is to settle.
func (s *Store) Position(ctx context.Context, partition int) (at ledger.Place, err error) {
	err = s.pool.QueryRow(ctx, nextOffsetSQL, partition).Scan(&at.Log, &at.Offset)
	if errors.Is(err, pgx.ErrNoRows) {
		err = processor.ErrNoProgress
	}
	if err != nil {
		return ledger.Place{}, fmt.Errorf("read progress: %w", err)
	}
	return at, nil
}

func (s *Store) partition(w ledger.WalletID) int { return w.Partition(s.deployment.Partitions) }

// afterSequence are the parameters of a list by wallet.
func afterSequence(c *ingest.Cursor) []any {
	if c == nil {
		return []any{pgtype.Int8{}, pgtype.UUID{}}
	}
	return []any{pgtype.Int8{Int64: c.Sequence, Valid: c.Sequence != 0}, idOrNull(c.ID)}
}

// afterTime are the parameters of a list by time of decision.
func afterTime(c *ingest.Cursor) []any {
	if c == nil {
		return []any{pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, pgtype.UUID{Valid: true}}
	}
	return []any{pgtype.Timestamptz{Time: c.DecidedAt, Valid: true}, pgtype.UUID{Bytes: c.ID, Valid: true}}
}

// decidedRow receives an operation and what a reader needs besides.
type decidedRow struct {
	operationRow
	owner     pgtype.UUID
	conflicts int
}

func (r *decidedRow) targets(more ...any) []any {
	return r.operationRow.targets(append([]any{&r.owner, &r.conflicts}, more...)...)
}

func (r *decidedRow) read() ingest.Decided {
	return ingest.Decided{Operation: r.operation(), Owner: r.owner.Bytes, Conflicts: r.conflicts}
}

// collectDecided appends the rows. What the query says besides goes to more, from
// the last row.
func collectDecided(rows pgx.Rows, list []ingest.Decided, more ...any) ([]ingest.Decided, error) {
	var r decidedRow
	_, err := pgx.ForEachRow(rows, r.targets(more...), func() error {
		list = append(list, r.read())
		return nil
	})
	return list, err
}
