package client

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// Request is what is asked of a wallet, of any queued kind, or of its mandates. Each kind takes its own of the
// fields. The amount is in minor units of the currency.
type Request struct {
	Kind        ledger.Kind       `json:"-"`
	Wallet      string            `json:"-"`
	Merchant    string            `json:"-"`                    // of a grant and a revoke: whose mandate it is
	Charge      string            `json:"charge,omitempty"`     // of a refund: the charge or the capture that it gives back
	Hold        string            `json:"hold,omitempty"`       // of a capture and a release
	Amount      int64             `json:"amount,omitempty"`     // of what refers to another operation zero, and no currency: all that is left
	Currency    string            `json:"currency,omitempty"`   // the wallet's
	Final       *bool             `json:"final,omitempty"`      // of a capture; nil: true
	ExpiresIn   int64             `json:"expires_in,omitempty"` // of a hold: seconds; 0: 7 days
	Invoice     string            `json:"invoice,omitempty"`
	Reference   string            `json:"reference,omitempty"` // of a top-up and a withdrawal: that of the transfer outside
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	ApplyBefore *time.Time        `json:"apply_before,omitempty"`
	Limits                        // of a grant
}

// Limits are what a mandate allows, in minor units; zero: no limit.
type Limits struct {
	MaxAmount  int64     `json:"max_amount,omitempty"` // of one charge or hold
	PerDay     int64     `json:"per_day,omitempty"`    // in UTC
	PerMonth   int64     `json:"per_month,omitempty"`  // in UTC
	Total      int64     `json:"total,omitempty"`
	ValidUntil time.Time `json:"valid_until,omitzero"` // from then on nothing is let through
}

// Of is the request, of a kind that refers to another operation, of the one with this ID.
func (r Request) Of(id string) Request {
	switch kindOf(r.Kind).refers {
	case "charge":
		r.Charge = id
	case "hold":
		r.Hold = id
	}
	return r
}

// Refers is the ID of the operation that the request refers to; empty: of none.
func (r Request) Refers() string { return r.Charge + r.Hold }

// Kept is the request, of a capture that leaves held what it does not take.
func (r Request) Kept() Request {
	r.Final = new(false)
	return r
}

// Keeps reports whether the request is of a capture that leaves held what it does not take.
func (r Request) Keeps() bool { return r.Final != nil && !*r.Final }

// Call asks for it with an API key, under an idempotency key.
func (r Request) Call(key, idempotencyKey string) Call {
	row := kindOf(r.Kind)
	call := Call{
		Method: cmp.Or(row.method, http.MethodPost), Path: "/v1/wallets/" + r.Wallet + "/" + row.plural, Key: key,
		IdempotencyKey: idempotencyKey, Body: r,
	}
	if row.method != "" {
		call.Path = "/v1/wallets/" + r.Wallet + "/mandates/" + r.Merchant
	}
	if row.method == http.MethodDelete {
		call.Body = nil
	}
	return call
}

// kindRow is what the API's guide says of a kind, to those who ask for it.
type kindRow struct {
	kind             ledger.Kind
	plural           string // the last part of its path, where it is queued; empty: nobody can ask for it
	method           string // of what is asked of a mandate, and decided at once; empty: it is queued
	refers           string // the field that names the operation that it refers to; empty: there is none
	wallet, merchant int64  // how often an accepted one adds its amount to the wallet and to the merchant's account
}

// kinds is the table of all that is queued, and of what is asked of mandates. It repeats on purpose what ledger's table
// of kinds says: who checks from outside must not take the answer from there.
//
//nolint:gochecknoglobals // read only
var kinds = [...]kindRow{
	{kind: ledger.KindTopUp, plural: "top-ups", wallet: 1},
	{kind: ledger.KindCharge, plural: "charges", wallet: -1, merchant: 1},
	{kind: ledger.KindRefund, plural: "refunds", refers: "charge", wallet: 1, merchant: -1},
	{kind: ledger.KindWithdraw, plural: "withdrawals", wallet: -1},
	{kind: ledger.KindHold, plural: "holds"},
	{kind: ledger.KindCapture, plural: "captures", refers: "hold", wallet: -1, merchant: 1},
	{kind: ledger.KindRelease, plural: "releases", refers: "hold"},
	{kind: ledger.KindExpire, refers: "hold"},
	{kind: ledger.KindGrant, plural: "grants", method: http.MethodPut},
	{kind: ledger.KindRevoke, plural: "revocations", method: http.MethodDelete},
}

func kindOf(kind ledger.Kind) kindRow {
	for _, row := range kinds {
		if row.kind == kind {
			return row
		}
	}
	return kindRow{}
}

// Asked lists the kinds that somebody can ask for.
func Asked() []ledger.Kind {
	var all []ledger.Kind
	for _, row := range kinds {
		if row.plural != "" {
			all = append(all, row.kind)
		}
	}
	return all
}

// Submitted lists those of them that are queued.
func Submitted() []ledger.Kind { return slices.DeleteFunc(Asked(), Direct) }

// Direct reports whether operations of the kind are decided at once, and not queued: those of mandates.
func Direct(kind ledger.Kind) bool { return kindOf(kind).method != "" }

// Plural is what many operations of the kind are called, to people, and in paths where they are queued; empty for a
// kind that nobody can ask for.
func Plural(kind ledger.Kind) string { return kindOf(kind).plural }

// Refers reports whether operations of the kind refer to another one.
func Refers(kind ledger.Kind) bool { return kindOf(kind).refers != "" }

// Moves is how often an accepted operation of the kind adds what it moves to the wallet, and
// to the account of the merchant that asked.
func Moves(kind ledger.Kind) (wallet, merchant int64) {
	row := kindOf(kind)
	return row.wallet, row.merchant
}
