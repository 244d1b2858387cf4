package ingest

import (
	"context"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

type statementInput struct {
	Wallet string `path:"wallet" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	From   string `query:"from" doc:"Where the period begins; absent: with the wallet." example:"2026-01-01T00:00:00Z"`
	To     string `query:"to" doc:"The time before which it ends; absent: with what was decided last." example:"2026-02-01T00:00:00Z"`
	Listed
}

type statementBody struct {
	Object      string              `json:"object" doc:"What this is." enum:"statement" example:"statement"`
	WalletID    string              `json:"wallet_id" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Currency    string              `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	From        string              `json:"from,omitempty" doc:"Where the period begins." example:"2026-01-01T00:00:00Z"`
	To          string              `json:"to,omitempty" doc:"The time before which it ends." example:"2026-02-01T00:00:00Z"`
	Final       bool                `json:"final" doc:"Whether nothing more can be decided within the period: it ended five minutes ago, or earlier." example:"true"`
	Opening     int64               `json:"opening_balance" doc:"The balance with which the period begins, in minor units." example:"10000"`
	Closing     int64               `json:"closing_balance" doc:"The balance with which the period ends, or the one up to now, in minor units." example:"8750"`
	PageOpening int64               `json:"page_opening_balance" doc:"The balance before the first movement of this page, in minor units: that with which the page before closed." example:"10000"`
	PageClosing int64               `json:"page_closing_balance" doc:"The balance after the last movement of this page, in minor units." example:"8750"`
	Data        []statementLineBody `json:"data" nullable:"false" doc:"Movements, the oldest first."`
	HasMore     bool                `json:"has_more" doc:"Whether there is another page, however many movements this one shows." example:"true"`
	NextCursor  string              `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

// statementLineBody is a movement.
type statementLineBody struct {
	Sequence     int64  `json:"sequence,omitempty" doc:"The operation's position in the history of its wallet." example:"42"`
	OperationID  string `json:"operation_id,omitempty" doc:"The operation that moved the money." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Kind         string `json:"kind,omitempty" doc:"What was asked of the wallet." example:"charge"`
	Movement     int64  `json:"movement,omitempty" doc:"What the wallet got, in minor units; below zero: what was taken from it." example:"-1250"`
	BalanceAfter int64  `json:"balance_after" doc:"The wallet's balance after the movement, in minor units." example:"8750"`
	MerchantID   string `json:"merchant_id,omitempty" doc:"The merchant that was paid." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	MerchantName string `json:"merchant_name,omitempty" doc:"What the merchant is called now." example:"Café Orto"`
	Invoice      string `json:"invoice,omitempty" doc:"The merchant's invoice." example:"INV-1001"`
	Reference    string `json:"reference,omitempty" doc:"Of a top-up or a withdrawal: the reference of the transfer outside." example:"E2E-20260102-0017"`
	Description  string `json:"description,omitempty" doc:"What the request said for people." example:"Monthly plan"`
	DecidedAt    string `json:"decided_at,omitempty" format:"date-time" doc:"When it was decided." example:"2026-01-02T15:04:05.012345Z"`
}

// statementRow is a line of a statement as CSV. The first and the last one hold a balance alone.
type statementRow struct {
	Line     string `json:"line"` // opening, movement or closing
	Currency string `json:"currency"`
	statementLineBody
}

func newStatementLine(d outcomes.Decided) statementLineBody {
	l := statementLineBody{
		Sequence: d.Sequence, OperationID: d.ID.String(), Kind: string(d.Kind), Movement: -d.Movement().Amount, BalanceAfter: d.BalanceAfter,
		MerchantName: d.MerchantName, Invoice: d.Invoice, Reference: d.Reference, Description: d.Description, DecidedAt: stamp(d.DecidedAt),
	}
	if !d.Merchant.IsZero() {
		l.MerchantID = d.Merchant.String()
	}
	return l
}

// statement shows what moved a wallet's balance, to its owner and the operator.
func (s *Server) statement(ctx context.Context, in *statementInput) (*tableOutput, error) {
	id, faults := pathWallet(in.Wallet, nil)
	from, to, faults := between(in.From, in.To, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	cursors, err := cursorsOf(s.minter, "statement", id.String(), stamp(from), stamp(to))
	if err != nil {
		return nil, err
	}
	after, err := cursors.parse(in.Cursor)
	if err != nil {
		return nil, err
	}
	w, err := s.visibleWallet(ctx, id)
	if err != nil {
		return nil, err
	}
	f := StatementFilter{Wallet: id, From: from, To: to, Limit: in.Limit, After: after}
	if in.csv {
		return s.statementCSV(ctx, w, f)
	}
	st, err := s.readStatement(ctx, f)
	if err != nil {
		return nil, err
	}
	bytes := 0
	b := &statementBody{
		Object: "statement", WalletID: id.String(), Currency: string(w.Currency), From: stamp(from), To: stamp(to), Final: st.Final,
		Opening: st.Opening, Closing: st.Closing, PageOpening: st.PageOpening, PageClosing: st.PageClosing,
		Data: make([]statementLineBody, 0, len(st.Lines)), HasMore: st.Next != nil, NextCursor: cursors.text(st.Next),
	}
	for _, d := range st.Lines {
		b.Data = append(b.Data, newStatementLine(d))
		bytes += d.TextBytes()
	}
	if err := s.holdPage(ctx, bytes); err != nil {
		return nil, err
	}
	return asJSON(in.link(b.NextCursor), b), nil
}

// statementCSV is the statement from where the filter begins, between two lines that hold its balances.
func (s *Server) statementCSV(ctx context.Context, w ledger.Wallet, f StatementFilter) (*tableOutput, error) {
	f.Limit = streamRows
	begun := false
	balance := func(line string, balance int64) statementRow {
		return statementRow{Line: line, Currency: string(w.Currency), statementLineBody: statementLineBody{BalanceAfter: balance}}
	}
	return asCSV(ctx, s, func(ctx context.Context) (rows []statementRow, more bool, err error) {
		st, err := s.readStatement(ctx, f)
		if err != nil {
			return nil, false, err
		}
		if !begun {
			rows, begun = append(rows, balance("opening", st.PageOpening)), true
		}
		for _, d := range st.Lines {
			rows = append(rows, statementRow{Line: "movement", Currency: string(w.Currency), statementLineBody: newStatementLine(d)})
		}
		if f.After = st.Next; st.Next == nil {
			rows = append(rows, balance("closing", st.Closing))
		}
		return rows, st.Next != nil, nil
	})
}

func (s *Server) readStatement(ctx context.Context, f StatementFilter) (Statement, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	st, err := s.accounts.Statement(ctx, f)
	if err != nil {
		return Statement{}, fmt.Errorf("read statement: %w", err)
	}
	return st, nil
}
