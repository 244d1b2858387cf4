package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

//go:embed queries/due_holds.sql
var dueHoldsSQL string

// DueHolds are holds to expire in the partitions that this store claimed last.
func (s *Store) DueHolds(ctx context.Context) ([]ledger.Hold, error) {
	rows, err := s.pool.Query(ctx, dueHoldsSQL, s.owner, processor.MaxDue)
	if err != nil {
		return nil, fmt.Errorf("look for holds to expire: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h ledger.Hold, err error) {
		return h, row.Scan((*[16]byte)(&h.ID), (*[16]byte)(&h.Wallet), (*[16]byte)(&h.Merchant), &h.ExpiresAt)
	})
	if err != nil {
		return nil, fmt.Errorf("look for holds to expire: %w", err)
	}
	return due, nil
}
