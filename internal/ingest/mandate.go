package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// grantBody is what a mandate is to allow.
type grantBody struct {
	Currency    string            `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	MaxAmount   *int64            `json:"max_amount,omitempty" doc:"The most that one charge or hold may ask for, in minor units. Absent: no limit." example:"10000"`
	PerDay      *int64            `json:"per_day,omitempty" doc:"The most for one calendar day in UTC, in minor units. Absent: no limit." example:"20000"`
	PerMonth    *int64            `json:"per_month,omitempty" doc:"The most for one calendar month in UTC, in minor units. Absent: no limit." example:"50000"`
	Total       *int64            `json:"total,omitempty" doc:"The most in all, in minor units. Absent: no limit." example:"200000"`
	ValidUntil  time.Time         `json:"valid_until,omitzero" doc:"From this time on nothing is let through. Absent: no limit." example:"2030-01-01T00:00:00Z"`
	Description string            `json:"description,omitempty" doc:"For people. The client that owns the wallet and the merchant see it." example:"Monthly plan"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"For machines: a flat object of strings. The client that owns the wallet and the merchant see it." example:"{\"contract\":\"93\"}"`
	Note        string            `json:"note,omitempty" doc:"For operators: nobody else is shown it, and nobody else writes one." example:"Agreed on the phone"`
}

// terms reads the limits. Zero is no limit to the ledger, and nobody's wish.
func (b *grantBody) terms(faults []Fault) (ledger.Terms, []Fault) {
	t := ledger.Terms{ValidUntil: b.ValidUntil}
	for _, limit := range []struct {
		name ledger.Limit
		most *int64
		to   *int64
	}{
		{ledger.LimitAmount, b.MaxAmount, &t.MaxAmount},
		{ledger.LimitPerDay, b.PerDay, &t.PerDay},
		{ledger.LimitPerMonth, b.PerMonth, &t.PerMonth},
		{ledger.LimitTotal, b.Total, &t.Total},
	} {
		if limit.most == nil {
			continue
		}
		if *limit.to = *limit.most; *limit.to == 0 {
			faults = addFault(faults, inBody(string(limit.name)), "must not be 0: leave it out for no limit, or revoke the mandate")
		}
	}
	return t, faults
}

// MandatePath names a mandate in a path. It is exported for huma, which passes over what is not.
type MandatePath struct {
	Wallet   string `path:"wallet" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Merchant string `path:"merchant" doc:"The merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

func (p MandatePath) read(faults []Fault) (ledger.WalletMerchant, []Fault) {
	var of ledger.WalletMerchant
	of.Wallet, faults = pathWallet(p.Wallet, faults)
	of.Merchant, faults = pathMerchant(p.Merchant, faults)
	return of, faults
}

type grantInput struct {
	MandatePath
	Key     string `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same operation. Without it each request is one of its own." example:"mandate-93"`
	RawBody []byte `contentType:"application/json"`
}

// grant gives a merchant a mandate of the wallet, at once. To a client that does not own it there is no such wallet.
func (s *Server) grant(ctx context.Context, in *grantInput) (*directOutput, error) {
	b, faults, err := decode[grantBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	of, faults := in.read(faults)
	terms, faults := b.terms(faults)
	return s.decideAtOnce(ctx, ledger.Request{
		Kind: ledger.KindGrant, Wallet: of.Wallet, Merchant: of.Merchant, Currency: ledger.Currency(b.Currency), Terms: terms,
		Description: b.Description, Metadata: ledger.NewMetadata(b.Metadata), Note: b.Note, IdempotencyKey: written(in.Key),
	}, faults)
}

type revokeInput struct {
	MandatePath
	Key string `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same operation. Without it each request is one of its own." example:"mandate-93-end"`
}

// revoke takes a merchant's mandate of the wallet back, at once.
func (s *Server) revoke(ctx context.Context, in *revokeInput) (*directOutput, error) {
	of, faults := in.read(nil)
	return s.decideAtOnce(ctx, ledger.Request{
		Kind: ledger.KindRevoke, Wallet: of.Wallet, Merchant: of.Merchant, IdempotencyKey: written(in.Key),
	}, faults)
}

// NamedMandate is a mandate of a wallet in the currency, with the merchant's name.
type NamedMandate struct {
	ledger.Mandate
	Currency     ledger.Currency
	MerchantName string
}

// termsBody are the limits of a mandate.
type termsBody struct {
	MaxAmount  int64  `json:"max_amount,omitempty" doc:"The most that one charge or hold may ask for, in minor units. Absent: no limit." example:"10000"`
	PerDay     int64  `json:"per_day,omitempty" doc:"The most for one calendar day in UTC, in minor units. Absent: no limit." example:"20000"`
	PerMonth   int64  `json:"per_month,omitempty" doc:"The most for one calendar month in UTC, in minor units. Absent: no limit." example:"50000"`
	Total      int64  `json:"total,omitempty" doc:"The most in all, in minor units. Absent: no limit." example:"200000"`
	ValidUntil string `json:"valid_until,omitempty" format:"date-time" doc:"From this time on nothing is let through. Absent: no limit." example:"2030-01-01T00:00:00.000000Z"`
}

func newTerms(t ledger.Terms) termsBody {
	return termsBody{MaxAmount: t.MaxAmount, PerDay: t.PerDay, PerMonth: t.PerMonth, Total: t.Total, ValidUntil: stamp(t.ValidUntil)}
}

type mandateBody struct {
	Object       string    `json:"object" doc:"What this is." enum:"mandate" example:"mandate"`
	WalletID     string    `json:"wallet_id" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	MerchantID   string    `json:"merchant_id" doc:"The merchant that may charge it." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	MerchantName string    `json:"merchant_name,omitempty" doc:"What the merchant is called now." example:"Café Orto"`
	Currency     string    `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	Status       string    `json:"status" doc:"Whether it lets anything through: not once it has expired or was revoked." enum:"active,expired,revoked" example:"active"`
	Limits       termsBody `json:"limits" doc:"What it allows: what is left out is not limited."`
	UsedToday    int64     `json:"used_today" doc:"What was charged and is held of the present day in UTC, in minor units." example:"1250"`
	UsedMonth    int64     `json:"used_this_month" doc:"What was charged and is held of the present month in UTC, in minor units." example:"8750"`
	Used         int64     `json:"used_total" doc:"What was charged and is held in all, in minor units. A refund gives nothing back." example:"8750"`
}

func newMandate(m NamedMandate, now time.Time) mandateBody {
	b := mandateBody{
		Object: "mandate", WalletID: m.Wallet.String(), MerchantID: m.Merchant.String(), MerchantName: m.MerchantName, Currency: string(m.Currency),
		Status: "active", Limits: newTerms(m.Terms),
	}
	switch {
	case !m.Given:
		b.Status = "revoked"
	case m.Expired(now):
		b.Status = "expired"
	}
	as := m.On(now)
	b.UsedToday, b.UsedMonth, b.Used = as.UsedDay, as.UsedMonth, as.Used
	return b
}

// mandate shows a mandate to its merchant, to the wallet's owner and to the operator.
func (s *Server) mandate(ctx context.Context, in *struct{ MandatePath }) (*struct{ Body mandateBody }, error) {
	of, faults := in.read(nil)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	if !caller(ctx).May("get-mandate", ledger.Party{Role: ledger.RoleMerchant, Owner: of.Merchant}) {
		if _, err := s.visibleWallet(ctx, of.Wallet); err != nil {
			return nil, err
		}
	}
	mandates, err := s.readMandates(ctx, of)
	if err != nil {
		return nil, err
	}
	if len(mandates) == 0 {
		return nil, ledger.ErrNotFound
	}
	return &struct{ Body mandateBody }{newMandate(mandates[0], s.clock())}, nil
}

type mandatesBody struct {
	Object  string        `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data    []mandateBody `json:"data" nullable:"false" doc:"Mandates, by merchant ID."`
	HasMore bool          `json:"has_more" doc:"Whether there is another page: there never is." example:"false"`
}

// mandates lists all mandates that a wallet ever gave, to its owner and to the operator.
func (s *Server) mandates(ctx context.Context, in *struct {
	Wallet string `path:"wallet" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
},
) (*struct{ Body mandatesBody }, error) {
	id, faults := pathWallet(in.Wallet, nil)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	if _, err := s.visibleWallet(ctx, id); err != nil {
		return nil, err
	}
	mandates, err := s.readMandates(ctx, ledger.WalletMerchant{Wallet: id})
	if err != nil {
		return nil, err
	}
	if err := s.holdPage(ctx, len(mandates)*mandateBytes); err != nil {
		return nil, err
	}
	data := make([]mandateBody, len(mandates))
	for i, m := range mandates {
		data[i] = newMandate(m, s.clock())
	}
	return &struct{ Body mandatesBody }{mandatesBody{Object: "list", Data: data}}, nil
}

// mandateBytes is about what a mandate takes in an answer.
const mandateBytes = 600

func (s *Server) readMandates(ctx context.Context, of ledger.WalletMerchant) ([]NamedMandate, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	mandates, err := s.accounts.Mandates(ctx, of.Wallet, of.Merchant)
	if err != nil {
		return nil, fmt.Errorf("read mandates: %w", err)
	}
	return mandates, nil
}
