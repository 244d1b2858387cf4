package ledger_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// The tests of this file are each a mistake that others made with holds and refunds.

const (
	accepted ledger.Reason = ""
	noFunds                = ledger.ReasonInsufficientFunds
	noHold                 = ledger.ReasonHoldNotAccepted
	ended                  = ledger.ReasonHoldClosed
	expired                = ledger.ReasonHoldExpired
)

// checkReasons compares what came of the last operations of a history.
func checkReasons(t *testing.T, operations []ledger.Operation, want ...ledger.Reason) {
	t.Helper()
	var got []ledger.Reason
	for _, o := range operations[len(operations)-len(want):] {
		got = append(got, o.Reason)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if flaws, _ := audited(operations); len(flaws) > 0 {
		t.Errorf("flaws: %v", flaws)
	}
}

// checkWallet compares how the last operation left the wallet.
func checkWallet(t *testing.T, operations []ledger.Operation, balance, held int64) {
	t.Helper()
	if o := operations[len(operations)-1]; o.BalanceAfter != balance || o.HeldAfter != held {
		t.Errorf("balance %d and %d held, want %d and %d", o.BalanceAfter, o.HeldAfter, balance, held)
	}
}

func withdrawRequest(amount int64) ledger.Request {
	return ledger.Request{Kind: ledger.KindWithdraw, Amount: amount, Currency: "EUR", IdempotencyKey: "k"}
}

func limitRequest(amount int64) ledger.Request {
	return ledger.Request{Kind: ledger.KindSetLimit, Amount: amount, Currency: "EUR"}
}

// What is held is not available: not to a charge, not to another hold, not to a withdrawal, and not
// to a lower credit limit.
func TestHoldsCountInAvailable(t *testing.T) {
	t.Parallel()
	operations := history(openRequest(), topUpRequest(100), limitRequest(50), holdRequest(120, ""), chargeRequest(1, 31, ""), holdRequest(31, ""),
		withdrawRequest(1), limitRequest(19), limitRequest(20), chargeRequest(1, 1, ""), ledger.Request{Kind: ledger.KindClose},
		limitRequest(50), chargeRequest(1, 10, ""), holdRequest(20, ""), chargeRequest(1, 1, ""))
	checkReasons(t, operations, accepted, noFunds, noFunds, noFunds, ledger.ReasonLimitInUse, accepted, noFunds, ledger.ReasonWalletNotEmpty,
		accepted, accepted, accepted, noFunds)
	checkWallet(t, operations, 90, 140)
	w := ledger.Wallet{Balance: 90, CreditLimit: 50, Held: 140}
	if w.Available() != 0 {
		t.Errorf("%d available", w.Available())
	}
}

// A hold that was refused holds nothing: whatever takes from it fails, and moves nothing.
func TestARefusedHoldIsNotCaptured(t *testing.T) {
	t.Parallel()
	operations := history(openRequest(), topUpRequest(100), holdRequest(101, "INV-1"), takeRequest(ledger.KindCapture, 2, 1, ""),
		takeRequest(ledger.KindCapture, 2, 0, ledger.RestKept), takeRequest(ledger.KindRelease, 2, 0, ""), takeRequest(ledger.KindExpire, 2, 0, ""),
		refundRequest(3, 1), chargeRequest(1, 100, "INV-1"))
	checkReasons(t, operations, noFunds, noHold, noHold, noHold, noHold, ledger.ReasonChargeNotAccepted, accepted)
	checkWallet(t, operations, 0, 0)

	known := ledger.Known{Referred: map[ledger.OperationID]ledger.Referred{{0, 2, 1}: {}}}
	book := ledger.NewBook(known, auditTime)
	book.Refuse(ledger.Refusal{ID: ledger.OperationID{0, 2, 1}, Kind: ledger.KindHold, Wallet: auditWallet, Merchant: ledger.MerchantID{1}}, ledger.Place{Log: 1})
	capture := takeRequest(ledger.KindCapture, 2, 1, "")
	capture.ID, capture.Wallet = ledger.OperationID{7}, auditWallet
	book.Decide(capture, ledger.Place{Log: 1, Offset: 1})
	if got := book.Operations()[1].Reason; got != noHold {
		t.Errorf("of a hold that could not be read: %q", got)
	}
}

// A hold ends once: what was given back or captured is not given back again, however it ended.
func TestAHoldIsVoidedOnce(t *testing.T) {
	t.Parallel()
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	for name, c := range map[string]struct {
		end     ledger.Request
		then    ledger.Reason
		balance int64
	}{
		"captured":                {takeRequest(capture, 2, 0, ""), ended, 40},
		"captured in part":        {takeRequest(capture, 2, 10, ""), ended, 90},
		"captured, the rest kept": {takeRequest(capture, 2, 60, ledger.RestKept), ended, 40}, // of nothing
		"released":                {takeRequest(release, 2, 0, ""), ended, 100},
		"released, by its amount": {takeRequest(release, 2, 60, ""), ended, 100},
		"expired":                 {takeRequest(expire, 2, 0, ""), expired, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			operations := history(openRequest(), topUpRequest(100), holdRequest(60, ""), c.end, takeRequest(release, 2, 0, ""), takeRequest(release, 2, 1, ""),
				takeRequest(capture, 2, 0, ""), takeRequest(capture, 2, 61, ledger.RestKept), takeRequest(expire, 2, 0, ""), takeRequest(expire, 2, 0, ""))
			checkReasons(t, operations, accepted, c.then, c.then, c.then, c.then, c.then, c.then)
			checkWallet(t, operations, c.balance, 0)
		})
	}
}

// However often an expire is sent, it is one operation: its ID is computed from the hold.
func TestAnExpireCountsOnce(t *testing.T) {
	t.Parallel()
	m := newMinter(t, testSecret)
	expire := validRequests()[ledger.KindExpire]
	expire.ID = m.OperationID(expire.Identity())
	other := expire
	other.Refers = operationOf(expire.Wallet, 10)
	other.IdempotencyKey = other.Refers.String()
	if m.OperationID(other.Identity()) == expire.ID {
		t.Error("two holds have one expire")
	}
	byMerchant := expire
	byMerchant.Asker = ledger.Asker{Party: ledger.AsMerchant(expire.Merchant)}
	if m.OperationID(byMerchant.Identity()) == expire.ID {
		t.Error("a merchant's key may be the system's")
	}
	wallet := ledger.Wallet{ID: expire.Wallet, Currency: "EUR", Status: ledger.WalletActive, Balance: 100, Held: 60, Holds: 1}
	hold := ledger.Referred{Kind: ledger.KindHold, Wallet: wallet.ID, Merchant: expire.Merchant, Accepted: true, Left: 60}
	book := ledger.NewBook(ledger.Known{
		Wallets: map[ledger.WalletID]ledger.Wallet{wallet.ID: wallet}, Referred: map[ledger.OperationID]ledger.Referred{expire.Refers: hold},
	}, worldTime)
	var got []ledger.Verdict
	for i := range 3 {
		expire.ReceivedAt = worldTime.AddDate(0, 0, i)
		got = append(got, book.Decide(expire, ledger.Place{Log: 1, Offset: int64(i)}))
	}
	if diff := cmp.Diff([]ledger.Verdict{ledger.Settled, ledger.Duplicate, ledger.Duplicate}, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if _, over := book.Holds(); !slices.Equal(over, []ledger.OperationID{expire.Refers}) || book.Wallets()[0].Held != 0 {
		t.Errorf("it ended %v and left %+v", over, book.Wallets())
	}
}

// What a capture leaves is given back at once, or stays held and is reported as left; and what is
// left at the end is given back. No unit of it is lost.
func TestNoRemainderIsForgotten(t *testing.T) {
	t.Parallel()
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	kept := takeRequest(capture, 2, 20, ledger.RestKept)
	for name, c := range map[string]struct {
		takes   []ledger.Request
		left    []int64
		balance int64
	}{
		"the rest given back": {[]ledger.Request{takeRequest(capture, 2, 20, "")}, []int64{0}, 80},
		"in parts":            {[]ledger.Request{kept, kept, takeRequest(capture, 2, 20, "")}, []int64{40, 20, 0}, 40},
		"kept and released":   {[]ledger.Request{kept, takeRequest(release, 2, 15, ""), takeRequest(release, 2, 0, "")}, []int64{40, 25, 0}, 80},
		"kept and expired":    {[]ledger.Request{kept, takeRequest(release, 2, 15, ""), takeRequest(expire, 2, 0, "")}, []int64{40, 25, 0}, 80},
		"all that is left":    {[]ledger.Request{kept, takeRequest(release, 2, 15, ""), takeRequest(capture, 2, 0, ledger.RestKept)}, []int64{40, 25, 0}, 55},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			operations := history(append([]ledger.Request{openRequest(), topUpRequest(100), holdRequest(60, "")}, c.takes...)...)
			checkReasons(t, operations, make([]ledger.Reason, len(operations))...)
			var left []int64
			for _, o := range operations[3:] {
				left = append(left, o.LeftAfter)
				if o.HeldAfter != o.LeftAfter {
					t.Errorf("%d held of %d", o.HeldAfter, o.LeftAfter)
				}
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("left %v, want %v", left, c.left)
			}
			checkWallet(t, operations, c.balance, 0)
		})
	}
}

// No amount turns a capture, a release or a refund round: what is below one is refused where it
// comes in, and what is too much fails.
func TestNothingIsTakenBackwards(t *testing.T) {
	t.Parallel()
	for _, kind := range []ledger.Kind{ledger.KindCapture, ledger.KindRelease, ledger.KindRefund, ledger.KindHold} {
		for _, amount := range []int64{-1, -ledger.MaxAmount, -1 << 63, 0} {
			r := validRequests()[kind]
			r.Amount = amount
			if got := r.Faults(); len(got) != 1 || got[0].Field != "amount" {
				t.Errorf("a %s of %d: %v", kind, amount, got)
			}
			if r.Currency = ""; len(r.Faults()) == 0 && amount != 0 {
				t.Errorf("a %s of %d without a currency passes", kind, amount)
			}
		}
	}
	const capture, release = ledger.KindCapture, ledger.KindRelease
	operations := history(openRequest(), topUpRequest(100), holdRequest(60, ""), takeRequest(capture, 2, ledger.MaxAmount, ""),
		takeRequest(release, 2, ledger.MaxAmount, ""), takeRequest(capture, 2, 61, ledger.RestKept), takeRequest(release, 2, 61, ""))
	tooMuch := ledger.ReasonExceedsHold
	checkReasons(t, operations, tooMuch, tooMuch, tooMuch, tooMuch)
	checkWallet(t, operations, 100, 60)
}

// Two equal partial refunds are two refunds, of a charge and of a capture; the same one again is a
// duplicate that moves nothing.
func TestASecondPartialRefund(t *testing.T) {
	t.Parallel()
	tooMuch := ledger.ReasonRefundExceedsCharge
	operations := history(openRequest(), topUpRequest(100), chargeRequest(1, 50, ""), holdRequest(45, ""), takeRequest(ledger.KindCapture, 3, 0, ""),
		refundRequest(2, 20), refundRequest(2, 20), refundRequest(2, 20), refundRequest(2, 10),
		refundRequest(4, 20), refundRequest(4, 20), refundRequest(4, 20), refundRequest(4, 0), refundRequest(3, 1), refundRequest(5, 1))
	checkReasons(t, operations, accepted, accepted, tooMuch, accepted, accepted, accepted, tooMuch, accepted,
		ledger.ReasonChargeNotFound, ledger.ReasonChargeNotFound) // a hold took nothing, and a refund is not given back
	checkWallet(t, operations, 100, 0)

	refund := validRequests()[ledger.KindRefund]
	charge := ledger.Referred{Kind: ledger.KindCharge, Wallet: refund.Wallet, Merchant: refund.Merchant, Accepted: true, Left: 100}
	wallet := ledger.Wallet{ID: refund.Wallet, Currency: "EUR", Status: ledger.WalletActive}
	book := ledger.NewBook(ledger.Known{
		Wallets: map[ledger.WalletID]ledger.Wallet{wallet.ID: wallet}, Referred: map[ledger.OperationID]ledger.Referred{refund.Refers: charge},
	}, worldTime)
	first, again := book.Decide(refund, ledger.Place{Log: 1}), book.Decide(refund, ledger.Place{Log: 1, Offset: 1})
	if first != ledger.Settled || again != ledger.Duplicate || book.Wallets()[0].Balance != refund.Amount {
		t.Errorf("verdicts %d and %d, and %+v", first, again, book.Wallets())
	}
}

// A wallet has so many open holds and a hold so many parts, and what ends a hold is always accepted.
func TestTheNumbersOfHoldsAndParts(t *testing.T) {
	t.Parallel()
	tooMany := ledger.ReasonTooManyHolds
	operations := crowd()
	checkReasons(t, operations, accepted, tooMany, accepted, accepted)
	checkReasons(t, wornHolds(), ledger.ReasonTooManyCaptures, ledger.ReasonTooManyCaptures, accepted)
	if o := wornHolds(); o[len(o)-4].Reason != accepted {
		t.Errorf("the last part: %q", o[len(o)-4].Reason)
	}
	requests := []ledger.Request{openRequest(), topUpRequest(200)}
	for n := range byte(3) { // whatever ends it
		requests = append(requests, holdRequest(60, ""))
		at := byte(len(requests) - 1)
		for range ledger.MaxCaptures {
			requests = append(requests, takeRequest(ledger.KindRelease, at, 1, ""))
		}
		last := []ledger.Request{takeRequest(ledger.KindRelease, at, 10, ""), takeRequest(ledger.KindCapture, at, 0, ledger.RestKept), takeRequest(ledger.KindExpire, at, 0, "")}
		requests = append(requests, last[n])
	}
	operations = history(requests...)
	checkReasons(t, operations, make([]ledger.Reason, len(operations))...)
	checkWallet(t, operations, 190, 0)
}

// An open hold takes its invoice, its first capture keeps it for ever, and without one its end gives
// it back.
func TestInvoicesOfHolds(t *testing.T) {
	t.Parallel()
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	const taken = ledger.ReasonDuplicateInvoice
	kept := takeRequest(capture, 2, 1, ledger.RestKept)
	for name, c := range map[string]struct {
		takes []ledger.Request
		want  ledger.Reason
		by    byte // which operation of the history has the invoice, from 0
	}{
		"open":                     {nil, taken, 2},
		"released in part":         {[]ledger.Request{takeRequest(release, 2, 1, "")}, taken, 2},
		"captured in part":         {[]ledger.Request{kept}, taken, 3},
		"captured":                 {[]ledger.Request{takeRequest(capture, 2, 0, "")}, taken, 3},
		"captured twice":           {[]ledger.Request{kept, kept}, taken, 3},
		"captured, then released":  {[]ledger.Request{kept, takeRequest(release, 2, 0, "")}, taken, 3},
		"captured, then expired":   {[]ledger.Request{kept, takeRequest(expire, 2, 0, "")}, taken, 3},
		"captured, then refunded":  {[]ledger.Request{kept, takeRequest(expire, 2, 0, ""), refundRequest(3, 0)}, taken, 3},
		"a capture that failed":    {[]ledger.Request{takeRequest(capture, 2, 61, ""), takeRequest(release, 2, 0, "")}, accepted, 0},
		"released":                 {[]ledger.Request{takeRequest(release, 2, 0, "")}, accepted, 0},
		"expired":                  {[]ledger.Request{takeRequest(expire, 2, 0, "")}, accepted, 0},
		"released, and held again": {[]ledger.Request{takeRequest(release, 2, 0, ""), holdRequest(20, "INV-1")}, taken, 4},
		"released, and charged":    {[]ledger.Request{takeRequest(release, 2, 0, ""), chargeRequest(1, 20, "INV-1"), takeRequest(release, 2, 0, "")}, taken, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := append([]ledger.Request{openRequest(), topUpRequest(100), holdRequest(60, "INV-1")}, c.takes...)
			for _, last := range []ledger.Request{chargeRequest(1, 10, "INV-1"), holdRequest(10, "INV-1")} {
				operations := history(append(slices.Clone(requests), last)...)
				checkReasons(t, operations, c.want)
				want := ledger.OperationID{}
				if c.want == taken {
					want = operations[c.by].ID
				}
				if got := operations[len(operations)-1].DuplicateOf; got != want {
					t.Errorf("a %s is a duplicate of %s, want %s", last.Kind, got, want)
				}
			}
		})
	}
}
