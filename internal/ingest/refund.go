package ingest

import (
	"context"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

type refundBody struct {
	Charge      string            `json:"charge" doc:"The charge to give back, wholly or in part. It may be pending still." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Amount      *int64            `json:"amount,omitempty" doc:"What to give back, in minor units of the currency: an integer. Without amount and currency: all that is left of the charge when the refund is decided." example:"500"`
	Currency    string            `json:"currency,omitempty" doc:"The wallet's currency, ISO 4217. It stands beside the amount." example:"EUR"`
	Description string            `json:"description,omitempty" doc:"For people." example:"One cup was cold"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings." example:"{\"return\":\"8821-1\"}"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the refund is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

type refundInput struct {
	Wallet  string      `path:"wallet" doc:"The wallet that was charged." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string      `header:"Idempotency-Key" doc:"Required: two equal refunds of one charge are two. Makes retries safe: the same key is the same refund." example:"return-8821-1"`
	Prefer  string      `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=2"`
	DryRun  dryRunParam `query:"dry_run" enum:"true,false" doc:"true: says what the refund would come to now, and queues nothing." example:"true"`
	RawBody []byte      `contentType:"application/json"`
}

// refund queues what gives a charge back. Nothing is read for it: the charge may be pending,
// and is decided before.
func (s *Server) refund(ctx context.Context, in *refundInput) (*triableOutput, error) {
	b, faults, err := decode[refundBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	charge, faults := s.referred("charge", b.Charge, faults)
	amount, faults := part(b.Amount, faults)
	return s.submitOrTry(ctx, ledger.Request{
		Kind: ledger.KindRefund, Wallet: wallet, Merchant: caller(ctx).Merchant(), Refers: charge,
		Amount: amount, Currency: ledger.Currency(b.Currency),
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata),
		IdempotencyKey: written(in.Key), ApplyBefore: b.ApplyBefore,
	}, faults, in.Prefer, in.DryRun)
}

// referred reads the ID of the operation that a request refers to; none is for the ledger to refuse.
func (s *Server) referred(name, text string, faults []Fault) (ledger.OperationID, []Fault) {
	if text == "" {
		return ledger.OperationID{}, faults
	}
	id, err := s.issued(text, inBody(name))
	if err != nil {
		faults = addFault(faults, inBody(name), "is not an operation ID")
	}
	return id, faults
}

// part reads what a request asks of what it refers to: left out, all that is left. A zero is no way to say
// so, for it may come of a mistake in a sum.
func part(amount *int64, faults []Fault) (int64, []Fault) {
	if amount == nil {
		return 0, faults
	}
	if *amount == 0 {
		faults = addFault(faults, "body.amount", "must not be 0: leave amount and currency out to ask for all that is left")
	}
	return *amount, faults
}
