package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

//go:embed queries/settlement.sql
var settlementSQL string

// settlementWalk operations of a merchant are gone through for a page of its settlement.
const settlementWalk = 20_000

// Settlement sums a part of what the merchant's account got and gave back; see [ingest.Accounts].
func (s *Store) Settlement(ctx context.Context, id ledger.MerchantID, from, to time.Time, after *ingest.Cursor) (days []ingest.SettledDay, next *ingest.Cursor, err error) {
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read settlement: %w", err)
	}
	defer end()
	days, next, err = s.settlement(ctx, id, from, to, after, settlementWalk)
	if err != nil {
		return nil, nil, fmt.Errorf("read settlement: %w", err)
	}
	return days, next, nil
}

func (s *Store) settlement(ctx context.Context, id ledger.MerchantID, from, to time.Time, after *ingest.Cursor, walk int64) (days []ingest.SettledDay, next *ingest.Cursor, err error) {
	// No ID is zero: all that were decided at the time lie behind it.
	at, behind := pgtype.Timestamptz{Time: from, Valid: true}, pgtype.UUID{Valid: true}
	if after != nil {
		at, behind = afterTime(after)
	}
	until := pgtype.Timestamptz{Time: to, Valid: true}
	if to.IsZero() {
		until = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	rows, err := s.pool.Query(ctx, settlementSQL, idOrNull(id), at, behind, until, walk)
	if err != nil {
		return nil, nil, err
	}
	var day, currency, charged, refunded, net pgtype.Text
	var charges, refunds pgtype.Int8
	var lastAt pgtype.Timestamptz
	var lastID pgtype.UUID
	_, err = pgx.ForEachRow(rows, []any{&day, &currency, &charged, &refunded, &net, &charges, &refunds, &lastAt, &lastID}, func() error {
		switch {
		case day.Valid:
			days = append(days, ingest.SettledDay{
				Day: day.String, Currency: ledger.Currency(currency.String), Charged: charged.String, Refunded: refunded.String, Net: net.String,
				Charges: charges.Int64, Refunds: refunds.Int64,
			})
		case charges.Int64 == walk:
			next = &ingest.Cursor{DecidedAt: lastAt.Time.UTC(), ID: lastID.Bytes}
		}
		return nil
	})
	return days, next, err
}
