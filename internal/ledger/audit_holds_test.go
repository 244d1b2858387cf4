package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// holdRequest holds of the first merchant's.
func holdRequest(amount int64, invoice string) ledger.Request {
	return ledger.Request{
		Kind: ledger.KindHold, Merchant: ledger.MerchantID{1}, Amount: amount, Currency: "EUR", Invoice: invoice, ExpiresIn: 60, IdempotencyKey: "k",
	}
}

// takeRequest takes of the hold that is the n-th of its history, from 0.
func takeRequest(kind ledger.Kind, n byte, amount int64, rest ledger.Rest) ledger.Request {
	r := refundRequest(n, amount)
	r.Kind, r.Rest = kind, rest
	return r
}

// holds is a history of all that becomes of holds.
func holds() []ledger.Operation {
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	gone := takeRequest(expire, 12, 0, "")
	return history(openRequest(), topUpRequest(100), holdRequest(60, "INV-1"), // 2
		chargeRequest(1, 41, ""), chargeRequest(1, 1, "INV-1"), holdRequest(41, ""), takeRequest(capture, 5, 1, ""),
		takeRequest(capture, 2, 61, ""), takeRequest(capture, 2, 20, ledger.RestKept), takeRequest(release, 2, 10, ""), takeRequest(capture, 2, 5, ""), // 10
		takeRequest(capture, 2, 5, ""), holdRequest(70, "INV-2"), gone, gone, takeRequest(release, 12, 1, ""), chargeRequest(1, 75, "INV-2"), // 16
		refundRequest(8, 0), refundRequest(10, 6), refundRequest(9, 1), takeRequest(release, 16, 0, ""), // 20
		holdRequest(20, ""), ledger.Request{Kind: ledger.KindFreeze}, holdRequest(1, ""), takeRequest(release, 21, 0, ""), // 24
	)
}

// wornHolds is a history of a hold that is captured and released in as many parts as may be.
func wornHolds() []ledger.Operation {
	requests := []ledger.Request{openRequest(), topUpRequest(100), holdRequest(100, "")}
	for i := range ledger.MaxCaptures {
		requests = append(requests, takeRequest([]ledger.Kind{ledger.KindCapture, ledger.KindRelease}[i%2], 2, 1, []ledger.Rest{ledger.RestKept, ""}[i%2]))
	}
	return history(append(requests, takeRequest(ledger.KindCapture, 2, 1, ledger.RestKept), takeRequest(ledger.KindRelease, 2, 1, ""),
		takeRequest(ledger.KindCapture, 2, 1, ""))...)
}

// crowd is a history of as many holds as may be, and one more.
func crowd() []ledger.Operation {
	requests := []ledger.Request{openRequest(), topUpRequest(ledger.MaxHolds + 1)}
	for range ledger.MaxHolds + 1 {
		requests = append(requests, holdRequest(1, ""))
	}
	return history(append(requests, takeRequest(ledger.KindCapture, 2, 1, ""), holdRequest(1, ""))...)
}

func TestAuditFollowsHolds(t *testing.T) {
	t.Parallel()
	type outcome struct {
		reason                     ledger.Reason
		invoice                    string
		moved, left, balance, held int64
	}
	const closed, expired = ledger.ReasonHoldClosed, ledger.ReasonHoldExpired
	want := []outcome{
		{"", "", 0, 0, 0, 0},
		{"", "", 0, 0, 100, 0},
		{"", "INV-1", 0, 0, 100, 60},
		{ledger.ReasonInsufficientFunds, "", 0, 0, 100, 60},
		{ledger.ReasonDuplicateInvoice, "INV-1", 0, 0, 100, 60},
		{ledger.ReasonInsufficientFunds, "", 0, 0, 100, 60},
		{ledger.ReasonHoldNotAccepted, "", 0, 0, 100, 60},
		{ledger.ReasonExceedsHold, "", 0, 60, 100, 60},
		{"", "INV-1", 20, 40, 80, 40},
		{"", "", 10, 30, 80, 30},
		{"", "", 5, 0, 75, 0},
		{closed, "", 0, 0, 75, 0},
		{"", "INV-2", 0, 0, 75, 70},
		{"", "", 70, 0, 75, 0},
		{expired, "", 0, 0, 75, 0}, // as it comes under another ID
		{expired, "", 0, 0, 75, 0},
		{"", "INV-2", 0, 0, 0, 0},
		{"", "", 20, 0, 20, 0},
		{ledger.ReasonRefundExceedsCharge, "", 0, 5, 20, 0},
		{ledger.ReasonChargeNotFound, "", 0, 0, 20, 0},
		{ledger.ReasonHoldNotFound, "", 0, 0, 20, 0},
		{"", "", 0, 0, 20, 20},
		{"", "", 0, 0, 20, 20},
		{ledger.ReasonWalletFrozen, "", 0, 0, 20, 20},
		{"", "", 20, 0, 20, 0},
	}
	for i, o := range holds() {
		if got := (outcome{o.Reason, o.Invoice, o.Moved, o.LeftAfter, o.BalanceAfter, o.HeldAfter}); got != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got, want[i])
		}
	}
	for name, operations := range map[string][]ledger.Operation{"holds": holds(), "worn": wornHolds(), "crowd": crowd()} {
		flaws, audit := audited(operations)
		if len(flaws) > 0 {
			t.Errorf("%s: %v", name, flaws)
		}
		open := holdsIn(operations)
		if w, _ := audit.Wallet(); w.Held != operations[len(operations)-1].HeldAfter || w.Holds != int64(len(open)) {
			t.Errorf("%s: %d held by %d, and %d are open", name, w.Held, w.Holds, len(open))
		}
	}
	for name, c := range map[string]struct {
		at     int
		change func(*ledger.Operation)
	}{
		"held more":              {2, func(o *ledger.Operation) { o.HeldAfter++ }},
		"nothing held":           {2, func(o *ledger.Operation) { o.HeldAfter = 0 }},
		"money that was held":    {3, func(o *ledger.Operation) { o.Reason, o.BalanceAfter = "", 59 }},
		"an invoice twice":       {4, func(o *ledger.Operation) { o.Reason, o.DuplicateOf, o.BalanceAfter = "", ledger.OperationID{}, 99 }},
		"another duplicate":      {4, func(o *ledger.Operation) { o.DuplicateOf[1]++ }},
		"of a refused hold":      {6, func(o *ledger.Operation) { o.Reason, o.Moved, o.BalanceAfter = "", 1, 99 }},
		"more than is held":      {7, func(o *ledger.Operation) { o.Reason, o.Moved, o.LeftAfter = "", 61, 0 }},
		"captured more":          {8, func(o *ledger.Operation) { o.Moved, o.BalanceAfter = 21, 79 }},
		"the rest given back":    {8, func(o *ledger.Operation) { o.LeftAfter, o.HeldAfter = 0, 0 }},
		"without the invoice":    {8, func(o *ledger.Operation) { o.Invoice = "" }},
		"with another invoice":   {8, func(o *ledger.Operation) { o.Invoice = "INV-2" }},
		"the invoice once more":  {10, func(o *ledger.Operation) { o.Invoice = "INV-1" }},
		"the rest kept":          {10, func(o *ledger.Operation) { o.LeftAfter, o.HeldAfter = 25, 25 }},
		"asked to keep the rest": {10, func(o *ledger.Operation) { o.Rest = ledger.RestKept }},
		"another hold":           {9, func(o *ledger.Operation) { o.Refers[1] = 5 }},
		"not closed":             {11, func(o *ledger.Operation) { o.Reason = "" }},
		"expired, not closed":    {11, func(o *ledger.Operation) { o.Reason = expired }},
		"closed, not expired":    {15, func(o *ledger.Operation) { o.Reason = closed }},
		"released, not expired": {13, func(o *ledger.Operation) {
			o.Kind = ledger.KindRelease
			o.Asker.Party = ledger.AsMerchant(o.Merchant)
			o.Moved = 69
		}},
		"the invoice not free": {16, func(o *ledger.Operation) { o.Reason = ledger.ReasonDuplicateInvoice; o.DuplicateOf[1] = 12 }},
	} {
		operations := holds()
		c.change(&operations[c.at])
		sealed(operations, c.at)
		if flaws, _ := audited(operations); !slices.Contains(flaws, fmt.Sprintf("%d outcome", c.at)) {
			t.Errorf("%s: %v", name, flaws)
		}
	}
}
