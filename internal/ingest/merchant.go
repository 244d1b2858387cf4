package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
)

type merchantBody struct {
	ID        string        `json:"id" doc:"The merchant's ID." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Object    string        `json:"object" doc:"What this is." enum:"merchant" example:"merchant"`
	Name      string        `json:"name" doc:"The merchant's name." example:"Analytical Engines"`
	ClientID  string        `json:"client_id,omitempty" doc:"The client that owns the merchant. It cannot be charged by its own merchant." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Suspended bool          `json:"suspended" doc:"Whether the merchant's charges fail." example:"false"`
	CreatedAt string        `json:"created_at" format:"date-time" doc:"When the merchant was created." example:"2026-01-02T15:04:05.000000Z"`
	Balances  []balanceBody `json:"balances,omitempty" doc:"The settlement balances, one for each currency in which something was charged."`
}

type balanceBody struct {
	Currency string `json:"currency" doc:"The currency, ISO 4217." example:"EUR"`
	Amount   string `json:"amount" doc:"The balance in minor units, as decimal digits: it may pass what a JSON number carries exactly." example:"125000"`
}

func newMerchant(m ledger.Merchant, balances []Balance) merchantBody {
	b := merchantBody{
		ID: m.ID.String(), Object: "merchant", Name: m.Name, Suspended: m.Suspended, CreatedAt: stamp(m.CreatedAt),
	}
	if !m.Owner.IsZero() {
		b.ClientID = m.Owner.String()
	}
	for _, x := range balances {
		b.Balances = append(b.Balances, balanceBody{Currency: string(x.Currency), Amount: x.Amount})
	}
	return b
}

type newMerchantBody struct {
	Name     string `json:"name" doc:"The merchant's name, 1 to 200 characters." example:"Analytical Engines"`
	ClientID string `json:"client_id,omitempty" doc:"The client that owns the merchant, if it is one of ours." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

type merchantOutput struct {
	Status   int
	Replayed string `header:"Idempotent-Replayed" doc:"true: an earlier request under the same key made it." example:"true"`
	Body     merchantBody
}

func (s *Server) createMerchant(ctx context.Context, in *creationInput) (*merchantOutput, error) {
	b, faults, err := decode[newMerchantBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	var owner ledger.ClientID
	if b.ClientID != "" {
		owner, faults = bodyClient("client_id", b.ClientID, faults)
	}
	name, faults := readName(b.Name, faults)
	key, faults := readKey(in.Key, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	id, err := s.resourceID("merchant", key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	m, made, err := s.registry.CreateMerchant(ctx, ledger.Merchant{ID: id, Owner: owner, Name: name, CreatedAt: s.now()}, author(ctx))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, invalid([]Fault{{Location: "body.client_id", Message: "is no client"}})
	}
	if err != nil {
		return nil, fmt.Errorf("create merchant: %w", err)
	}
	return &merchantOutput{Status: created(made), Replayed: replayed(made), Body: newMerchant(m, nil)}, nil
}

// pathMerchant reads the merchant of a path.
func pathMerchant(text string, faults []Fault) (ledger.MerchantID, []Fault) {
	id, err := ledger.ParseMerchantID(text)
	if err != nil {
		faults = addFault(faults, "path.merchant", "is not a merchant ID")
	}
	return id, faults
}

type merchantInput struct {
	Merchant string `path:"merchant" doc:"The merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

// merchant shows a merchant and its settlement balances to itself, to the client
// that owns it and to the operator.
func (s *Server) merchant(ctx context.Context, in *merchantInput) (*struct{ Body merchantBody }, error) {
	id, faults := pathMerchant(in.Merchant, nil)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := s.accounts.Merchant(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read merchant: %w", err)
	}
	if !caller(ctx).May("get-merchant", ledger.Party{Role: ledger.RoleMerchant, Owner: id}, ledger.Party{Role: ledger.RoleClient, Owner: m.Owner}) {
		return nil, ledger.ErrNotFound
	}
	balances, err := s.accounts.Balances(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	return &struct{ Body merchantBody }{newMerchant(m, balances)}, nil
}
