package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/monedero/monedero/internal/ledger"
)

// Operation is an operation as the API shows it. What a pending one does not say
// is zero.
type Operation struct {
	ID                  string   `json:"id"`
	Kind                string   `json:"kind"`
	Status              string   `json:"status"`
	Amount              int64    `json:"amount"`
	Currency            string   `json:"currency"`
	Merchant            string   `json:"merchant_id"`
	Limits              Limits   `json:"limits"` // of a grant
	Charge              string   `json:"charge"`
	Refundable          *int64   `json:"refundable_after"` // nil: it does not say
	Refunded            int64    `json:"amount_refunded"`
	Hold                string   `json:"hold"`
	EndsHold            *bool    `json:"final"`           // of a capture; nil: it does not say
	Remaining           *int64   `json:"remaining_after"` // nil: it does not say
	Holding             *Holding `json:"holding"`         // only of an accepted hold
	Invoice             string   `json:"invoice"`
	Reference           string   `json:"reference"` // of a top-up and a withdrawal
	Description         string   `json:"description"`
	Sequence            int64    `json:"sequence"`
	BalanceAfter        *int64   `json:"balance_after"` // nil: it does not say
	HeldAfter           *int64   `json:"held_after"`    // nil: it does not say
	Failure             *Failure `json:"failure"`
	ConflictingRequests int      `json:"conflicting_requests"`
	ReceivedAt          string   `json:"received_at"`
	DecidedAt           string   `json:"decided_at"`
}

// Holding is what became of a hold, in minor units.
type Holding struct {
	State         string `json:"state"`
	Captured      int64  `json:"captured"`
	Released      int64  `json:"released"`
	Expired       int64  `json:"expired"`
	Remaining     int64  `json:"remaining"`
	CaptureBefore string `json:"capture_before"`
}

// Until is the same that can be captured before another time.
func (h Holding) Until(captureBefore string) Holding {
	h.CaptureBefore = captureBefore
	return h
}

// Failure says why an operation failed.
type Failure struct {
	Reason      string `json:"reason"`
	DuplicateOf string `json:"duplicate_of"`
	Left        int64  `json:"limit_left"` // of a mandate_limit_exceeded: how much would have been let through
}

// Taken reports whether a submission that was answered with the status was taken:
// 202, or 200 where its outcome is there already. The answer is its operation.
func Taken(status int) bool { return status == http.StatusOK || status == http.StatusAccepted }

// Operation decodes the operation that the answer shows.
func (a Answer) Operation() (Operation, error) {
	var o Operation
	if err := json.Unmarshal(a.Body, &o); err != nil {
		return Operation{}, fmt.Errorf("decode an operation: %w", err)
	}
	return o, nil
}

// Final reports whether the operation has its outcome.
func (o Operation) Final() bool {
	return o.Status == string(ledger.StatusAccepted) || o.Status == string(ledger.StatusFailed)
}

// Reason is why the operation failed; empty if it did not, or is pending.
func (o Operation) Reason() ledger.Reason {
	if o.Failure == nil {
		return ""
	}
	return ledger.Reason(o.Failure.Reason)
}

// Refers is the ID of the operation that this one refers to; empty: of none.
func (o Operation) Refers() string { return o.Charge + o.Hold }

// Left is how much it left of what it refers to, in minor units; nil: it does not say.
func (o Operation) Left() *int64 {
	if o.Refundable != nil {
		return o.Refundable
	}
	return o.Remaining
}

// pageSize is the most operations that the API lists at once.
const pageSize = 200

// List calls fn with every decided operation of the wallet, newest first, until it
// fails.
func (c *Client) List(ctx context.Context, key, wallet string, fn func(Operation) error) error {
	query := url.Values{"wallet_id": {wallet}, "limit": {strconv.Itoa(pageSize)}}
	for {
		var page struct {
			Data       []Operation `json:"data"`
			HasMore    bool        `json:"has_more"`
			NextCursor string      `json:"next_cursor"`
		}
		if err := c.read(ctx, key, "/v1/operations?"+query.Encode(), &page); err != nil {
			return fmt.Errorf("list the operations of wallet %s: %w", wallet, err)
		}
		for _, o := range page.Data {
			if err := fn(o); err != nil {
				return err
			}
		}
		if !page.HasMore {
			return nil
		}
		query.Set("cursor", page.NextCursor)
	}
}
