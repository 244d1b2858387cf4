package ingest

import (
	"context"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

type holdBody struct {
	Amount      int64             `json:"amount" doc:"What to hold, in minor units of the currency: an integer." example:"5000"`
	Currency    string            `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	ExpiresIn   *int64            `json:"expires_in,omitempty" doc:"How many seconds it is to be open at most, from its decision on: 60 to 2592000, 604800 (7 days) where it is left out." example:"86400"`
	Invoice     string            `json:"invoice,omitempty" doc:"Your invoice. The hold takes it while it is open, its first capture for ever." example:"INV-1001"`
	Description string            `json:"description,omitempty" doc:"For people." example:"Room 12, two nights"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings." example:"{\"booking\":\"8821\"}"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the hold is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

type holdInput struct {
	Wallet  string      `path:"wallet" doc:"The wallet that has the money." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string      `header:"Idempotency-Key" doc:"Required: an invoice may be held again once a hold of it has ended. Makes retries safe: the same key is the same hold." example:"booking-8821"`
	Prefer  string      `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=2"`
	DryRun  dryRunParam `query:"dry_run" enum:"true,false" doc:"true: says what the hold would come to now, and queues nothing." example:"true"`
	RawBody []byte      `contentType:"application/json"`
}

// hold queues what sets money of a wallet aside.
func (s *Server) hold(ctx context.Context, in *holdInput) (*triableOutput, error) {
	b, faults, err := decode[holdBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	expiresIn := int64(ledger.DefaultExpiresIn)
	if b.ExpiresIn != nil {
		if expiresIn = *b.ExpiresIn; expiresIn == 0 {
			faults = addFault(faults, "body.expires_in", "must not be 0")
		}
	}
	return s.submitOrTry(ctx, ledger.Request{
		Kind: ledger.KindHold, Wallet: wallet, Merchant: caller(ctx).Merchant(),
		Amount: b.Amount, Currency: ledger.Currency(b.Currency), Invoice: written(b.Invoice), ExpiresIn: expiresIn,
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata),
		IdempotencyKey: written(in.Key), ApplyBefore: b.ApplyBefore,
	}, faults, in.Prefer, in.DryRun)
}

type captureBody struct {
	Hold        string            `json:"hold" doc:"The hold to take from. It may be pending still." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Amount      *int64            `json:"amount,omitempty" doc:"What to take, in minor units of the currency: an integer. Without amount and currency: all that is held when the capture is decided." example:"4200"`
	Currency    string            `json:"currency,omitempty" doc:"The wallet's currency, ISO 4217. It stands beside the amount." example:"EUR"`
	Final       *bool             `json:"final,omitempty" doc:"true, or left out: the hold ends, and what is left of it is available again. false: it stays held, for more captures." example:"true"`
	Description string            `json:"description,omitempty" doc:"For people." example:"Two nights, breakfast"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings." example:"{\"booking\":\"8821\"}"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the capture is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

type partInput struct {
	Wallet  string `path:"wallet" doc:"The wallet that has the money." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string `header:"Idempotency-Key" doc:"Required: two equal parts of one hold are two. Makes retries safe: the same key is the same operation." example:"booking-8821-1"`
	Prefer  string `header:"Prefer" doc:"wait=N waits up to N seconds, at most 30, for the outcome (RFC 7240)." example:"wait=2"`
	RawBody []byte `contentType:"application/json"`
}

// capture queues what takes held money. Nothing is read for it: the hold may be pending, and is decided before.
func (s *Server) capture(ctx context.Context, in *partInput) (*operationOutput, error) {
	b, faults, err := decode[captureBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	hold, faults := s.referred("hold", b.Hold, faults)
	amount, faults := part(b.Amount, faults)
	r := ledger.Request{
		Kind: ledger.KindCapture, Wallet: wallet, Merchant: caller(ctx).Merchant(), Refers: hold,
		Amount: amount, Currency: ledger.Currency(b.Currency),
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata),
		IdempotencyKey: written(in.Key), ApplyBefore: b.ApplyBefore,
	}
	if b.Final != nil && !*b.Final {
		r.Rest = ledger.RestKept
	}
	return s.submit(ctx, r, faults, s.patience(ctx, in.Prefer))
}

type releaseBody struct {
	Hold        string            `json:"hold" doc:"The hold to release. It may be pending still." example:"op_0h8n6m2k4q9r7s1t3v5w8x0y2z"`
	Amount      *int64            `json:"amount,omitempty" doc:"What to release, in minor units of the currency: an integer. Without amount and currency: all that is held when the release is decided." example:"800"`
	Currency    string            `json:"currency,omitempty" doc:"The wallet's currency, ISO 4217. It stands beside the amount." example:"EUR"`
	Description string            `json:"description,omitempty" doc:"For people." example:"Left a day early"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings." example:"{\"booking\":\"8821\"}"`
	ApplyBefore time.Time         `json:"apply_before,omitzero" doc:"If the release is not decided before this time it fails with expired." example:"2030-01-02T15:04:05Z"`
}

// release queues what makes held money available again.
func (s *Server) release(ctx context.Context, in *partInput) (*operationOutput, error) {
	b, faults, err := decode[releaseBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	hold, faults := s.referred("hold", b.Hold, faults)
	amount, faults := part(b.Amount, faults)
	return s.submit(ctx, ledger.Request{
		Kind: ledger.KindRelease, Wallet: wallet, Merchant: caller(ctx).Merchant(), Refers: hold,
		Amount: amount, Currency: ledger.Currency(b.Currency),
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata),
		IdempotencyKey: written(in.Key), ApplyBefore: b.ApplyBefore,
	}, faults, s.patience(ctx, in.Prefer))
}
