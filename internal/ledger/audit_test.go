package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	auditTime   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	auditWallet = ledger.WalletID{9}
	auditClient = ledger.ClientID{8}
)

// history decides the requests one after the other, each at its own offset.
func history(requests ...ledger.Request) []ledger.Operation {
	known := ledger.Known{
		Wallets:   map[ledger.WalletID]ledger.Wallet{},
		Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}, {2}: {Suspended: true}, {3}: {Owner: auditClient}},
	}
	known.Referred = map[ledger.OperationID]ledger.Referred{}
	for _, r := range requests {
		known.Referred[r.Refers] = ledger.Referred{}
	}
	book := ledger.NewBook(known, auditTime)
	for i, r := range requests {
		r.ID, r.Wallet, r.ReceivedAt = ledger.OperationID{byte(i >> 8), byte(i), 1}, auditWallet, auditTime
		at := ledger.Place{Log: 1, Offset: int64(i)}
		if !r.Kind.Queued() {
			at = ledger.Place{}
		}
		book.Decide(r, at)
	}
	return book.Operations()
}

func openRequest() ledger.Request {
	return ledger.Request{Kind: ledger.KindOpen, Client: auditClient, Currency: "EUR"}
}

func topUpRequest(amount int64) ledger.Request {
	return ledger.Request{Kind: ledger.KindTopUp, Amount: amount, Currency: "EUR", IdempotencyKey: "k"}
}

func chargeRequest(merchant byte, amount int64, invoice string) ledger.Request {
	return ledger.Request{
		Kind: ledger.KindCharge, Merchant: ledger.MerchantID{merchant}, Amount: amount, Currency: "EUR", Invoice: invoice, IdempotencyKey: "k",
	}
}

// refundRequest gives back of the operation that is the n-th of its history, from 0.
func refundRequest(n byte, amount int64) ledger.Request {
	r := ledger.Request{
		Kind: ledger.KindRefund, Merchant: ledger.MerchantID{1}, Refers: ledger.OperationID{0, n, 1}, Amount: amount, IdempotencyKey: "k",
	}
	if amount > 0 {
		r.Currency = "EUR"
	}
	return r
}

// audited is what the audit says of a history, with the place of each flaw.
func audited(operations []ledger.Operation) (flaws []string, audit ledger.Audit) {
	for i, o := range operations {
		for _, f := range audit.Check(o, tookIn(operations[:i], o), referredIn(operations[:i], o.Refers)) {
			flaws = append(flaws, fmt.Sprintf("%d %s", i, f.Rule))
		}
	}
	return flaws, audit
}

// tookIn is what took the operation's invoice: the first charge or capture, or else the hold that is
// open with it.
func tookIn(operations []ledger.Operation, of ledger.Operation) (by ledger.OperationID) {
	key, has := of.InvoiceKey()
	for i := range operations {
		o := &operations[i]
		if other, _ := o.InvoiceKey(); !has || other != key || o.Reason != "" {
			continue
		}
		if o.Kind.MovesMoney() {
			return o.ID
		}
		if referredIn(operations, o.ID).Left > 0 {
			by = o.ID
		}
	}
	return by
}

// everyReason is a history in which each reason that leaves a sequence occurs.
func everyReason() []ledger.Operation {
	late := topUpRequest(5)
	late.ApplyBefore = auditTime
	dollars := topUpRequest(5)
	dollars.Currency = "USD"
	return history(openRequest(), topUpRequest(100), chargeRequest(1, 60, "INV-1"), chargeRequest(1, 10, "INV-1"),
		chargeRequest(1, 41, "INV-2"), late, dollars, topUpRequest(ledger.MaxAmount), chargeRequest(2, 1, ""), chargeRequest(3, 1, ""),
		chargeRequest(4, 1, ""), ledger.Request{Kind: ledger.KindClose}, ledger.Request{Kind: ledger.KindFreeze},
		chargeRequest(1, 1, ""), ledger.Request{Kind: ledger.KindUnfreeze}, chargeRequest(1, 40, "INV-2"),
		ledger.Request{Kind: ledger.KindClose}, topUpRequest(1))
}

// Every reason that leaves a sequence is in a history that is audited.
func TestAuditedReasons(t *testing.T) {
	t.Parallel()
	reasons := map[ledger.Reason]bool{ledger.ReasonWalletNotFound: true, ledger.ReasonProcessingError: true} // have none
	for _, history := range [][]ledger.Operation{everyReason(), limits(), refunds(), holds(), wornHolds(), crowd(), mandates(), mandateCrowd(), notMandated()} {
		for _, o := range history {
			reasons[o.Reason] = true
		}
	}
	for _, r := range ledger.Reasons() {
		if !reasons[r] {
			t.Errorf("no history has a %s", r)
		}
	}
}

func TestAuditOfATrueHistory(t *testing.T) {
	t.Parallel()
	operations := everyReason()
	flaws, audit := audited(operations)
	if len(flaws) > 0 {
		t.Error(flaws)
	}
	last := operations[len(operations)-1]
	want := ledger.Wallet{
		ID: auditWallet, Client: auditClient, Currency: "EUR", Status: ledger.WalletClosed, Sequence: int64(len(operations)), Digest: last.Digest,
	}
	if got, exists := audit.Wallet(); !exists || got != want {
		t.Errorf("wallet: %s", gocmp.Diff(want, got))
	}
}

// sealed seals the operation anew, as a forger who knows how would.
func sealed(operations []ledger.Operation, i int) {
	var previous ledger.Digest
	if i > 0 {
		previous = operations[i-1].Digest
	}
	operations[i].Fingerprint = operations[i].Request.Fingerprint()
	operations[i].Digest = operations[i].Seal(previous)
}

func limits() []ledger.Operation {
	limit := func(amount int64) ledger.Request {
		return ledger.Request{Kind: ledger.KindSetLimit, Amount: amount, Currency: "EUR"}
	}
	return history(openRequest(), limit(50), chargeRequest(1, 30, ""), limit(29), limit(30), chargeRequest(1, 1, ""))
}

func TestAuditFollowsTheCreditLimit(t *testing.T) {
	t.Parallel()
	operations := limits()
	want := []ledger.Reason{"", "", "", ledger.ReasonLimitInUse, "", ledger.ReasonInsufficientFunds}
	for i, o := range operations {
		if o.Reason != want[i] {
			t.Errorf("%d: reason %q, want %q", i, o.Reason, want[i])
		}
	}
	if flaws, audit := audited(operations); len(flaws) > 0 {
		t.Error(flaws)
	} else if w, _ := audit.Wallet(); w.CreditLimit != 30 || w.Balance != -30 {
		t.Errorf("%+v", w)
	}
}

func refunds() []ledger.Operation {
	return history(openRequest(), topUpRequest(100), chargeRequest(1, 60, ""), chargeRequest(1, 41, ""), refundRequest(3, 0),
		refundRequest(1, 1), refundRequest(2, 61), refundRequest(2, 25), refundRequest(2, 36), refundRequest(2, 0), refundRequest(2, 0))
}

func TestAuditFollowsRefunds(t *testing.T) {
	t.Parallel()
	type outcome struct {
		reason               ledger.Reason
		moved, left, balance int64
	}
	want := []outcome{
		{"", 0, 0, 0},
		{"", 0, 0, 100},
		{"", 0, 0, 40},
		{ledger.ReasonInsufficientFunds, 0, 0, 40},
		{ledger.ReasonChargeNotAccepted, 0, 0, 40},
		{ledger.ReasonChargeNotFound, 0, 0, 40},
		{ledger.ReasonRefundExceedsCharge, 0, 60, 40},
		{"", 25, 35, 65},
		{ledger.ReasonRefundExceedsCharge, 0, 35, 65},
		{"", 35, 0, 100},
		{ledger.ReasonRefundExceedsCharge, 0, 0, 100},
	}
	for i, o := range refunds() {
		if got := (outcome{o.Reason, o.Moved, o.LeftAfter, o.BalanceAfter}); got != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got, want[i])
		}
	}
	if flaws, _ := audited(refunds()); len(flaws) > 0 {
		t.Error(flaws)
	}
	for name, change := range map[string]func(*ledger.Operation){
		"moved more":     func(o *ledger.Operation) { o.Moved++ },
		"left more":      func(o *ledger.Operation) { o.LeftAfter++ },
		"another charge": func(o *ledger.Operation) { o.Refers[1] = 3 },
		"not refused":    func(o *ledger.Operation) { o.Reason = "" },
	} {
		operations, at := refunds(), 9
		if name == "not refused" {
			at = 10
		}
		change(&operations[at])
		sealed(operations, at)
		if flaws, _ := audited(operations); !slices.Contains(flaws, fmt.Sprintf("%d outcome", at)) {
			t.Errorf("%s: %v", name, flaws)
		}
	}
}

func TestAuditFindsFlaws(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func([]ledger.Operation) []ledger.Operation
		want   []string
	}{
		"a field": {func(h []ledger.Operation) []ledger.Operation {
			h[1].IdempotencyKey = "other"
			return h
		}, []string{"1 digest"}},
		"a field that the fingerprint holds": {func(h []ledger.Operation) []ledger.Operation {
			h[1].Description = "other"
			return h
		}, []string{"1 fingerprint", "1 digest"}},
		"an operation removed": {func(h []ledger.Operation) []ledger.Operation {
			return slices.Delete(h, 4, 5)
		}, []string{"4 sequence", "4 digest"}},
		"two exchanged": {func(h []ledger.Operation) []ledger.Operation {
			h[4], h[5] = h[5], h[4]
			return h
		}, []string{"4 sequence", "4 digest", "5 sequence", "5 order", "5 position", "5 digest", "6 sequence", "6 digest"}},
		"resealed, money from nowhere": {func(h []ledger.Operation) []ledger.Operation {
			h[17-1].BalanceAfter = 7
			sealed(h, 16)
			return h
		}, []string{"16 outcome", "17 digest", "17 outcome"}},
		"resealed, accepted without funds": {func(h []ledger.Operation) []ledger.Operation {
			h[4].Reason = ""
			sealed(h, 4)
			return h
		}, []string{"4 outcome", "5 digest", "15 outcome"}},
		"resealed, refused with funds": {func(h []ledger.Operation) []ledger.Operation {
			h[15].Reason = ledger.ReasonInsufficientFunds
			sealed(h, 15)
			return h
		}, []string{"15 outcome", "16 digest"}},
		"resealed, an invoice accepted twice": {func(h []ledger.Operation) []ledger.Operation {
			h[3].Reason, h[3].DuplicateOf = "", ledger.OperationID{}
			sealed(h, 3)
			return h
		}, []string{"3 outcome", "4 digest"}},
		"resealed, another first of the invoice": {func(h []ledger.Operation) []ledger.Operation {
			h[3].DuplicateOf = h[1].ID
			sealed(h, 3)
			return h
		}, []string{"3 outcome", "4 digest"}},
		"resealed, no duplicate": {func(h []ledger.Operation) []ledger.Operation {
			h[4].Reason, h[4].DuplicateOf = ledger.ReasonDuplicateInvoice, h[2].ID
			sealed(h, 4)
			return h
		}, []string{"4 outcome", "5 digest"}},
		"resealed, suspended though expired": {func(h []ledger.Operation) []ledger.Operation {
			h[8].ApplyBefore = auditTime
			sealed(h, 8)
			return h
		}, []string{"8 outcome", "9 digest"}},
		"resealed, another status": {func(h []ledger.Operation) []ledger.Operation {
			h[17].StatusAfter = ledger.WalletActive
			sealed(h, 17)
			return h
		}, []string{"17 outcome"}},
		"resealed, an earlier offset": {func(h []ledger.Operation) []ledger.Operation {
			h[17].Place.Offset = 3
			sealed(h, 17)
			return h
		}, []string{"17 order"}},
		"resealed, an earlier position": {func(h []ledger.Operation) []ledger.Operation {
			h[17].Position = 3
			sealed(h, 17)
			return h
		}, []string{"17 position"}},
		"resealed, another state of the merchant": {func(h []ledger.Operation) []ledger.Operation {
			h[15].MerchantState = ledger.MerchantSuspended
			sealed(h, 15)
			return h
		}, []string{"15 outcome", "16 digest"}},
		"resealed, another credit limit": {func(h []ledger.Operation) []ledger.Operation {
			h[17].LimitAfter = 100
			sealed(h, 17)
			return h
		}, []string{"17 outcome"}},
		"resealed, an earlier log": {func(h []ledger.Operation) []ledger.Operation {
			h[1].Place.Log = 2
			sealed(h, 1)
			return h
		}, []string{"2 order", "2 digest"}},
		"no open": {func(h []ledger.Operation) []ledger.Operation {
			return h[1:2]
		}, []string{"0 sequence", "0 digest", "0 outcome"}},
		"a bare row with a sequence": {func(h []ledger.Operation) []ledger.Operation {
			h[17].Reason = ledger.ReasonProcessingError
			sealed(h, 17)
			return h
		}, []string{"17 outcome"}},
	} {
		flaws, _ := audited(c.change(everyReason()))
		if diff := gocmp.Diff(c.want, flaws); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAuditOfOperationsWithoutASequence(t *testing.T) {
	t.Parallel()
	book := ledger.NewBook(ledger.Known{}, auditTime)
	book.Decide(ledger.Request{ID: ledger.OperationID{1}, Kind: ledger.KindTopUp, Wallet: auditWallet, Amount: 1, Currency: "EUR"}, ledger.Place{Log: 1})
	book.Refuse(ledger.Refusal{ID: ledger.OperationID{2}, Wallet: auditWallet, Fingerprint: ledger.Fingerprint{5}}, ledger.Place{Log: 1, Offset: 1})
	operations := book.Operations()
	if flaws, audit := audited(operations); len(flaws) > 0 {
		t.Error(flaws)
	} else if _, exists := audit.Wallet(); exists {
		t.Error("they made a wallet")
	}
	operations[0].Reason = ""
	operations[1].IdempotencyKey = "x"
	flaws, _ := audited(operations)
	if diff := gocmp.Diff([]string{"0 digest", "0 outcome", "1 digest"}, flaws); diff != "" {
		t.Error(diff)
	}
}

// Whatever the book decides, the audit agrees with; and whatever is changed in
// one operation, it does not.
func TestAuditAgreesWithTheBook(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		requests := []ledger.Request{openRequest()}
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			amount, n := rapid.Int64Range(1, 50).Draw(t, "amount"), byte(rapid.IntRange(0, len(requests)).Draw(t, "refers to"))
			invoice := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "invoice")
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				requests = append(requests, topUpRequest(amount))
			case 1:
				requests = append(requests, ledger.Request{Kind: ledger.KindFreeze}, ledger.Request{Kind: ledger.KindUnfreeze})
			case 2, 3:
				requests = append(requests, topUpRequest(amount), holdRequest(amount, invoice))
			case 4:
				requests = append(requests, takeRequest(ledger.KindCapture, n, amount/4, rapid.SampledFrom([]ledger.Rest{"", ledger.RestKept}).Draw(t, "rest")))
			case 5:
				requests = append(requests, takeRequest(ledger.KindRelease, n, amount/4, ""))
			case 6:
				requests = append(requests, takeRequest(ledger.KindExpire, n, 0, ""))
			case 7:
				requests = append(requests, refundRequest(n, amount/4))
			default:
				requests = append(requests, chargeRequest(byte(rapid.IntRange(1, 4).Draw(t, "merchant")), amount, invoice))
			}
		}
		operations := history(requests...)
		if flaws, _ := audited(operations); len(flaws) > 0 {
			t.Fatal(flaws)
		}
		o := &operations[rapid.IntRange(0, len(operations)-1).Draw(t, "which")]
		for name, change := range map[string]func(){
			"amount": func() { o.Amount++ }, "balance": func() { o.BalanceAfter++ }, "held": func() { o.HeldAfter++ }, "time": func() { o.DecidedAt = o.DecidedAt.Add(time.Microsecond) },
			"merchant": func() { o.Merchant[15]++ }, "reason": func() { o.Reason += "x" }, "digest": func() { o.Digest[3]++ },
		} {
			kept := *o
			change()
			if flaws, _ := audited(operations); len(flaws) == 0 {
				t.Fatalf("another %s is not found", name)
			}
			*o = kept
		}
	})
}
