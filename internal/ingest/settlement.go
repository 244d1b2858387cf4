package ingest

import (
	"context"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
)

type settlementInput struct {
	Merchant string `path:"merchant" doc:"The merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	From     string `query:"from" doc:"Where the period begins; absent: with the merchant." example:"2026-01-01T00:00:00Z"`
	To       string `query:"to" doc:"The time before which it ends; absent: with what was decided last." example:"2026-02-01T00:00:00Z"`
	Listed
}

type settlementBody struct {
	Object     string           `json:"object" doc:"What this is." enum:"settlement" example:"settlement"`
	MerchantID string           `json:"merchant_id" doc:"The merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	From       string           `json:"from,omitempty" doc:"Where the period begins." example:"2026-01-01T00:00:00Z"`
	To         string           `json:"to,omitempty" doc:"The time before which it ends." example:"2026-02-01T00:00:00Z"`
	Data       []settledDayBody `json:"data" nullable:"false" doc:"Days in which something moved, the oldest first. A day that two pages share adds up from both."`
	HasMore    bool             `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string           `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

type settledDayBody struct {
	Day      string `json:"day" format:"date" doc:"The day, in UTC." example:"2026-01-02"`
	Currency string `json:"currency" doc:"The currency, ISO 4217." example:"EUR"`
	Charged  string `json:"charged" doc:"What the account got, in minor units, as decimal digits." example:"125000"`
	Refunded string `json:"refunded" doc:"What it gave back, in minor units, as decimal digits." example:"1250"`
	Net      string `json:"net" doc:"What is left of both, in minor units, as decimal digits." example:"123750"`
	Charges  int64  `json:"charges" doc:"How many operations brought what was charged." example:"100"`
	Refunds  int64  `json:"refunds" doc:"How many gave back what was refunded." example:"1"`
}

// settlement sums by day and currency what the merchant's account got and gave back, for itself, the
// client that owns it and the operator.
func (s *Server) settlement(ctx context.Context, in *settlementInput) (*listOutput[settlementBody], error) {
	id, faults := pathMerchant(in.Merchant, nil)
	from, to, faults := between(in.From, in.To, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	cursors, err := cursorsOf(s.minter, "settlement", id.String(), stamp(from), stamp(to))
	if err != nil {
		return nil, err
	}
	after, err := cursors.parse(in.Cursor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := s.accounts.Merchant(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read merchant: %w", err)
	}
	if !caller(ctx).May("get-settlement", ledger.Party{Role: ledger.RoleMerchant, Owner: id}, ledger.Party{Role: ledger.RoleClient, Owner: m.Owner}) {
		return nil, ledger.ErrNotFound
	}
	days, next, err := s.accounts.Settlement(ctx, id, from, to, after)
	if err != nil {
		return nil, fmt.Errorf("read settlement: %w", err)
	}
	b := settlementBody{
		Object: "settlement", MerchantID: id.String(), From: stamp(from), To: stamp(to), Data: make([]settledDayBody, 0, len(days)),
		HasMore: next != nil, NextCursor: cursors.text(next),
	}
	for _, d := range days {
		b.Data = append(b.Data, settledDayBody{
			Day: d.Day, Currency: string(d.Currency), Charged: d.Charged, Refunded: d.Refunded, Net: d.Net, Charges: d.Charges, Refunds: d.Refunds,
		})
	}
	return &listOutput[settlementBody]{Link: in.link(b.NextCursor), Body: b}, nil
}
