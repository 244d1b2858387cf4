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

var (
	//go:embed queries/known_mandates.sql
	knownMandatesSQL string
	//go:embed queries/count_mandates.sql
	countMandatesSQL string
	//go:embed queries/write_mandates.sql
	writeMandatesSQL string
	//go:embed queries/mandates.sql
	mandatesSQL string
)

// mandateRow receives the columns that every query for mandates names.
type mandateRow struct {
	mandate                            ledger.Mandate
	maxAmount, perDay, perMonth, total int64OrNull
	validUntil                         timeOrNull
}

func (r *mandateRow) targets() []any {
	m := &r.mandate
	return []any{
		(*[16]byte)(&m.Wallet), (*[16]byte)(&m.Merchant), &m.Given, &r.maxAmount, &r.perDay, &r.perMonth, &r.total, &r.validUntil, &m.Day,
		&m.UsedDay, &m.UsedMonth, &m.Used,
	}
}

func (r *mandateRow) read() ledger.Mandate {
	m := r.mandate
	m.Terms = ledger.Terms{
		MaxAmount: int64(r.maxAmount), PerDay: int64(r.perDay), PerMonth: int64(r.perMonth), Total: int64(r.total), ValidUntil: time.Time(r.validUntil),
	}
	return m
}

// queueMandates queues the write of the mandates that changed.
func (w *writeSet) queueMandates(b *pgx.Batch) {
	mandates := w.book.Mandates()
	n := len(mandates)
	if n == 0 {
		return
	}
	wallet, merchant := make([]ledger.WalletID, n), make([]ledger.MerchantID, n)
	given, until, day := make([]bool, n), make(pgtype.FlatArray[pgtype.Timestamptz], n), make([]int32, n)
	maxAmount, perDay, perMonth, total := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	usedDay, usedMonth, used := make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range mandates {
		m := &mandates[i]
		wallet[i], merchant[i], given[i], until[i], day[i] = m.Wallet, m.Merchant, m.Given, orNull(m.Terms.ValidUntil), m.Day
		maxAmount[i], perDay[i], perMonth[i], total[i] = m.Terms.MaxAmount, m.Terms.PerDay, m.Terms.PerMonth, m.Terms.Total
		usedDay[i], usedMonth[i], used[i] = m.UsedDay, m.UsedMonth, m.Used
	}
	b.Queue(writeMandatesSQL, w.partition, ids(wallet), ids(merchant), given, maxAmount, perDay, perMonth, total, until, day, usedDay, usedMonth, used)
}

// Mandates are those that the wallet ever gave, or the one that it gave the merchant; see [ingest.Accounts].
func (s *Store) Mandates(ctx context.Context, wallet ledger.WalletID, merchant ledger.MerchantID) ([]ingest.NamedMandate, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read mandates: %w", err)
	}
	defer end()
	rows, err := s.pool.Query(ctx, mandatesSQL, s.partition(wallet), [16]byte(wallet), idOrNull(merchant))
	if err != nil {
		return nil, fmt.Errorf("read mandates: %w", err)
	}
	mandates, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ingest.NamedMandate, error) {
		var r mandateRow
		var named ingest.NamedMandate
		err := row.Scan(append(r.targets(), &named.MerchantName, (*string)(&named.Currency))...)
		named.Mandate = r.read()
		return named, err
	})
	if err != nil {
		return nil, fmt.Errorf("read mandates: %w", err)
	}
	return mandates, nil
}
