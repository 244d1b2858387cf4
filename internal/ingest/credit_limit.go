package ingest

import (
	"context"

	"github.com/monedero/monedero/internal/ledger"
)

type limitBody struct {
	Limit       int64             `json:"credit_limit" doc:"How far below zero the balance may go, in minor units of the currency: an integer. It is never set below what the wallet owes." example:"5000"`
	Currency    string            `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	Description string            `json:"description,omitempty" doc:"For people: why. The client that owns the wallet sees it." example:"Agreed on the phone"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings. The client that owns the wallet sees it." example:"{\"ticket\":\"4711\"}"`
	Note        string            `json:"note,omitempty" doc:"For operators: nobody else is shown it." example:"Approved by risk"`
}

// setLimit sets a wallet's credit limit at once, past the queue.
func (s *Server) setLimit(ctx context.Context, in *directInput) (*directOutput, error) {
	b, faults, err := decode[limitBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	wallet, faults := pathWallet(in.Wallet, faults)
	return s.decideAtOnce(ctx, ledger.Request{
		Kind: ledger.KindSetLimit, Wallet: wallet, Amount: b.Limit, Currency: ledger.Currency(b.Currency), Description: b.Description,
		Metadata: ledger.NewMetadata(b.Metadata), Note: b.Note, IdempotencyKey: written(in.Key),
	}, faults)
}
