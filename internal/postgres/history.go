package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/decided.sql
	decidedText string
	//go:embed queries/decided_ids.sql
	decidedIDsSQL string
	//go:embed queries/positions.sql
	positionsSQL string
)

// LookUp finds operations, and where their partitions stand, in one round trip.
func (s *Store) LookUp(ctx context.Context, list []ledger.OperationID) (found outcomes.Found, err error) {
	found.Next = map[int]ledger.Place{}
	partitions := s.partitionsOf(list)
	b := &pgx.Batch{}
	b.Queue(decidedSQL, partitions, ids(list)).Query(func(rows pgx.Rows) error {
		var r decidedRow
		_, err := pgx.ForEachRow(rows, r.targets(), func() error {
			found.Decided = append(found.Decided, r.read())
			return nil
		})
		return err
	})
	// Read after the operations: what is pending is never behind its partition.
	asked := slices.Sorted(slices.Values(partitions)) // the batch still refers to the list in the order of the IDs
	queuePositions(b, slices.Compact(asked), found.Next)
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return outcomes.Found{}, fmt.Errorf("read operations: %w", err)
	}
	for i, d := range found.Decided {
		found.Decided[i].Log = found.Next[d.ID.Partition(s.deployment.Partitions)].Log
	}
	return found, nil
}

// queuePositions reads where the partitions stand into the map.
func queuePositions[P int | int32](b *pgx.Batch, partitions []P, into map[int]ledger.Place) {
	b.Queue(positionsSQL, partitions).Query(func(rows pgx.Rows) error {
		var partition int
		var next ledger.Place
		_, err := pgx.ForEachRow(rows, []any{&partition, &next.Log, &next.Offset}, func() error {
			into[partition] = next
			return nil
		})
		return err
	})
}

// Decided is those of the operations that have an outcome, in no order.
func (s *Store) Decided(ctx context.Context, list []ledger.OperationID) ([]outcomes.Decided, error) {
	found, err := s.LookUp(ctx, list)
	return found.Decided, err
}

// DecidedIDs finds which operations are on record, and where partitions stand, in one round trip.
func (s *Store) DecidedIDs(ctx context.Context, list []ledger.OperationID, partitions []int) (
	known []ledger.OperationID, next map[int]ledger.Place, err error,
) {
	b := &pgx.Batch{}
	if len(list) > 0 {
		b.Queue(decidedIDsSQL, s.partitionsOf(list), ids(list)).Query(func(rows pgx.Rows) error {
			var id pgtype.UUID
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				known = append(known, id.Bytes)
				return nil
			})
			return err
		})
	}
	if len(partitions) > 0 {
		next = map[int]ledger.Place{}
		queuePositions(b, partitions, next)
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, fmt.Errorf("look operations up: %w", err)
	}
	return known, next, nil
}

// partitionsOf is the partition of each ID.
func (s *Store) partitionsOf(list []ledger.OperationID) []int32 {
	partitions := make([]int32, len(list))
	for i, id := range list {
		partitions[i] = int32(id.Partition(s.deployment.Partitions))
	}
	return partitions
}

// NextOffset is the first offset of the partition that is not settled.
func (s *Store) NextOffset(ctx context.Context, partition int) (next int64, err error) {
	err = s.pool.QueryRow(ctx, positionsSQL, []int32{int32(partition)}).Scan(nil, nil, &next)
	if errors.Is(err, pgx.ErrNoRows) {
		err = processor.ErrNoProgress
	}
	if err != nil {
		return 0, fmt.Errorf("read progress: %w", err)
	}
	return next, nil
}

func (s *Store) partition(w ledger.WalletID) int { return w.Partition(s.deployment.Partitions) }

// decidedRow receives an operation and what a reader needs besides.
type decidedRow struct {
	operationRow
	owner     pgtype.UUID
	merchant  pgtype.Text
	last      pgtype.FlatArray[int64] // what the last operation that refers to it left, and let expire; nil: there is none
	captured  pgtype.Int8
	conflicts int
}

func (r *decidedRow) targets(more ...any) []any {
	return r.operationRow.targets(append([]any{&r.owner, &r.merchant, &r.last, &r.captured, &r.conflicts}, more...)...)
}

func (r *decidedRow) read() outcomes.Decided {
	d := outcomes.Decided{Operation: r.operation(), Owner: r.owner.Bytes, MerchantName: r.merchant.String, Conflicts: r.conflicts}
	left, expired := d.Amount, int64(0)
	if !d.Refers.IsZero() {
		left = d.Moved
	}
	given := left
	if len(r.last) > 0 {
		left, expired = r.last[0], r.last[1]
	}
	switch {
	case d.Reason != "":
	case d.Kind == ledger.KindHold:
		d.Hold = &outcomes.Hold{Captured: r.captured.Int64, Expired: expired, Remaining: left}
	default:
		d.Refunded = given - left
	}
	return d
}
