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
	"github.com/monedero/monedero/internal/outcomes"
)

var (
	//go:embed queries/wallet_states.sql
	walletStatesText string
	//go:embed queries/statement.sql
	statementText string
)

// statementSettled is how long after a time everything that was decided before it can be read: longer than a decision
// takes to be committed, for a server ends each of its statements, and each pause between them, far sooner.
const statementSettled = 5 * time.Minute

// WalletBefore is the wallet as it was right before the time; see [ingest.Accounts].
func (s *Store) WalletBefore(ctx context.Context, w ledger.Wallet, before time.Time) (ledger.Wallet, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return ledger.Wallet{}, fmt.Errorf("read wallet: %w", err)
	}
	defer end()
	states, _, err := s.walletStates(ctx, w.ID, walletMoment{before: before})
	if err != nil {
		return ledger.Wallet{}, fmt.Errorf("read wallet: %w", err)
	}
	if states[0].Sequence == 0 {
		return ledger.Wallet{}, ledger.ErrNotFound
	}
	return w.After(states[0]), nil
}

// walletMoment is a moment in the history of a wallet: a sequence, or a time.
type walletMoment struct {
	sequence int64
	before   time.Time // not zero: it counts, and not the sequence
}

// walletStates are the operations after which the wallet's history stood at the moments; zero ones where there was
// none yet. And it says what time it is.
func (s *Store) walletStates(ctx context.Context, id ledger.WalletID, moments ...walletMoment) (states []ledger.Operation, now time.Time, err error) {
	sequences, times := make([]pgtype.Int8, len(moments)), make([]pgtype.Timestamptz, len(moments))
	for i, m := range moments {
		sequences[i], times[i] = pgtype.Int8{Int64: m.sequence, Valid: m.before.IsZero()}, orNull(m.before)
	}
	rows, err := s.pool.Query(ctx, walletStatesSQL, s.partition(id), [16]byte(id), sequences, times)
	if err != nil {
		return nil, time.Time{}, err
	}
	var r operationRow
	_, err = pgx.ForEachRow(rows, r.targets(&now), func() error {
		states = append(states, r.operation())
		return nil
	})
	return states, now, err
}

// Statement reads a part of a statement; see [ingest.Accounts]. Once the first part was read, the statement
// goes from one sequence to another, whatever is decided meanwhile.
func (s *Store) Statement(ctx context.Context, f ingest.StatementFilter) (ingest.Statement, error) {
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return ingest.Statement{}, fmt.Errorf("read statement: %w", err)
	}
	defer end()
	st, err := s.statement(ctx, f)
	if err != nil {
		return ingest.Statement{}, fmt.Errorf("read statement: %w", err)
	}
	return st, nil
}

func (s *Store) statement(ctx context.Context, f ingest.StatementFilter) (st ingest.Statement, err error) {
	moments := []walletMoment{{before: f.From}, {before: f.To}, {before: f.From}}
	switch {
	case f.After != nil:
		moments = []walletMoment{{sequence: f.After.Bounds[0]}, {sequence: f.After.Bounds[1]}, {sequence: f.After.Sequence}}
	case f.To.IsZero():
		moments[1].before = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) // as far as there is anything
	}
	states, now, err := s.walletStates(ctx, f.Wallet, moments...)
	if err != nil {
		return st, err
	}
	first, last, before := states[0], states[1], states[2]
	rows, err := s.pool.Query(ctx, statementSQL, f.Limit+1, pageBytes, max(f.Limit+1, pageWalk), nil, false, nil, nil, nil, nil, nil, nil,
		s.partition(f.Wallet), [16]byte(f.Wallet), before.Sequence, last.Sequence)
	if err != nil {
		return st, err
	}
	page, err := collectPage(rows, f.Limit)
	if err != nil {
		return st, err
	}
	st = ingest.Statement{
		Opening: first.BalanceAfter, Closing: last.BalanceAfter, PageOpening: before.BalanceAfter, PageClosing: last.BalanceAfter,
		Final: !f.To.IsZero() && f.To.Add(statementSettled).Before(now),
	}
	if page.Next != nil {
		st.Next = &ingest.Cursor{Sequence: page.Next.Sequence, Bounds: []int64{first.Sequence, last.Sequence}}
		st.PageClosing = st.PageOpening
		if n := len(page.Operations); n > 0 {
			st.PageClosing = page.Operations[n-1].BalanceAfter // what failed behind it left it as it was
		}
	}
	st.Lines = movements(page.Operations)
	return st, nil
}

// movements are those of the operations that moved money.
func movements(all []outcomes.Decided) (some []outcomes.Decided) {
	for _, d := range all {
		if d.Movement().Amount != 0 {
			some = append(some, d)
		}
	}
	return some
}
