package ingest

import (
	"context"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

type fundingBody struct {
	Amount      int64             `json:"amount" doc:"What comes in or goes out, in minor units of the currency: an integer." example:"10000"`
	Currency    string            `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	Reference   string            `json:"reference,omitempty" doc:"That of the transfer outside, by which you find it at the bank. The client that owns the wallet sees it. It need not be unique, and makes no retry safe." example:"E2E-20260102-0017"`
	Description string            `json:"description,omitempty" doc:"For people. The client that owns the wallet sees it." example:"Bank transfer of January 2"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings. The client that owns the wallet sees it." example:"{\"statement\":\"2026-01\"}"`
	Note        string            `json:"note,omitempty" doc:"For operators: nobody else is shown it." example:"Ticket 4711"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the operation is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

type fundingInput struct {
	Wallet  string `path:"wallet" doc:"The wallet to fill, or to take from." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string `header:"Idempotency-Key" doc:"Required. Makes retries safe: the same key is the same operation." example:"transfer-2026-01-02-17"`
	Prefer  string `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=2"`
	RawBody []byte `contentType:"application/json"`
}

// funding queues money that comes into a wallet from outside, or leaves it for there.
func (s *Server) funding(kind ledger.Kind) func(context.Context, *fundingInput) (*operationOutput, error) {
	return func(ctx context.Context, in *fundingInput) (*operationOutput, error) {
		b, faults, err := decode[fundingBody](&s.bodies, in.RawBody)
		if err != nil {
			return nil, err
		}
		wallet, faults := pathWallet(in.Wallet, faults)
		return s.submit(ctx, ledger.Request{
			Kind: kind, Wallet: wallet, Amount: b.Amount, Currency: ledger.Currency(b.Currency),
			Reference: written(b.Reference), Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata), Note: b.Note,
			IdempotencyKey: written(in.Key), ApplyBefore: b.ApplyBefore,
		}, faults, s.patience(ctx, in.Prefer))
	}
}
