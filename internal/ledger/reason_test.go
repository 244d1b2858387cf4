package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// The reasons in order of precedence: each with a world in which it is the only
// one that holds, and with what it means by itself, whatever else holds.
func reasonRows() []reasonRow {
	const (
		charge, topUp, closing = ledger.KindCharge, ledger.KindTopUp, ledger.KindClose
		frozen, closed         = ledger.WalletFrozen, ledger.WalletClosed
	)
	const refund, hold, capture, setLimit = ledger.KindRefund, ledger.KindHold, ledger.KindCapture, ledger.KindSetLimit
	const grant, revoke = ledger.KindGrant, ledger.KindRevoke
	refunds := func(w world) bool { return w.kind == refund && w.referred != "none" }
	takes := func(w world) bool { return ofHold(w.kind) && w.referred != "none" }
	return []reasonRow{
		{ledger.ReasonExpired, world{late: true}, func(w world) bool { return w.late }},
		{ledger.ReasonMerchantNotFound, world{merchant: "unknown"}, func(w world) bool {
			return (pays(w.kind) || w.kind == grant) && w.merchant == "unknown"
		}},
		{ledger.ReasonMerchantSuspended, world{merchant: "suspended"}, func(w world) bool {
			return (pays(w.kind) || w.kind == capture) && strings.HasPrefix(w.merchant, "suspended")
		}},
		{ledger.ReasonMandateRequired, world{mandate: "none"}, func(w world) bool {
			return pays(w.kind) && (w.missing || w.mandated("none") || w.mandated("revoked"))
		}},
		{ledger.ReasonChargeNotFound, world{kind: refund, referred: "none"}, func(w world) bool { return w.kind == refund && w.referred == "none" }},
		{ledger.ReasonHoldNotFound, world{kind: capture, referred: "none"}, func(w world) bool { return ofHold(w.kind) && w.referred == "none" }},
		{ledger.ReasonChargeNotAccepted, world{kind: refund, referred: "failed"}, func(w world) bool { return refunds(w) && w.referred == "failed" }},
		{ledger.ReasonHoldNotAccepted, world{kind: capture, referred: "failed"}, func(w world) bool { return takes(w) && w.referred == "failed" }},
		{ledger.ReasonWalletNotFound, world{missing: true, kind: topUp}, func(w world) bool {
			return w.missing && w.kind != ledger.KindOpen && w.kind != refund && !ofHold(w.kind) && !pays(w.kind)
		}},
		{ledger.ReasonSelfCharge, world{merchant: "own"}, func(w world) bool {
			return pays(w.kind) && !w.missing && strings.HasSuffix(w.merchant, "own") && w.merchant != "unknown"
		}},
		{ledger.ReasonWalletClosed, world{status: closed, balance: -1, kind: topUp}, func(w world) bool {
			return !w.missing && w.status == closed && w.kind != closing && w.kind != ledger.KindExpire && w.kind != revoke
		}},
		{ledger.ReasonWalletFrozen, world{status: frozen}, func(w world) bool { return !w.missing && w.status == frozen && pays(w.kind) }},
		{ledger.ReasonCurrencyMismatch, world{other: true}, func(w world) bool { return !w.missing && w.other && priced(w.kind) }},
		{ledger.ReasonMandateNotFound, world{kind: revoke, mandate: "revoked"}, func(w world) bool {
			return !w.missing && w.kind == revoke && !w.mandated("given")
		}},
		{ledger.ReasonWalletNotMandated, world{kind: grant}, func(w world) bool { return !w.missing && w.kind == grant && w.mandate == "" }},
		{ledger.ReasonTooManyMandates, world{kind: grant, mandate: "none, no more may be"}, func(w world) bool {
			return w.kind == grant && w.mandated("none, no more may be")
		}},
		{ledger.ReasonMandateExpired, world{mandate: "given, expired"}, func(w world) bool { return pays(w.kind) && w.mandated("expired") }},
		{ledger.ReasonMandateLimit, world{mandate: "given, spent"}, func(w world) bool { return pays(w.kind) && w.mandated("spent") && w.amount > 300 }},
		{ledger.ReasonHoldClosed, world{kind: capture, referred: "released"}, func(w world) bool {
			return takes(w) && (w.referred == "released" || w.referred == "captured")
		}},
		{ledger.ReasonHoldExpired, world{kind: capture, referred: "expired"}, func(w world) bool { return takes(w) && w.referred == "expired" }},
		{ledger.ReasonExceedsHold, world{kind: capture, referred: "spent"}, func(w world) bool {
			left := map[string]int64{"": 1000, "spent": 300, "worn": 950}[w.referred]
			return takes(w) && sized(w.kind) && left > 0 && w.amount > left
		}},
		{ledger.ReasonRefundExceedsCharge, world{kind: refund, referred: "spent"}, func(w world) bool {
			return refunds(w) && (w.referred == "spent" && w.amount > 300 || w.referred == "" && w.amount > 1000)
		}},
		{ledger.ReasonTooManyHolds, world{kind: hold, crowded: true}, func(w world) bool { return w.kind == hold && w.crowded }},
		{ledger.ReasonTooManyCaptures, world{kind: capture, referred: "worn", kept: true}, func(w world) bool {
			return takes(w) && (w.kept || w.kind == ledger.KindRelease) && w.referred == "worn" && w.amount < 950
		}},
		{ledger.ReasonDuplicateInvoice, world{invoiced: true}, func(w world) bool { return !w.missing && w.invoiced && pays(w.kind) }},
		{ledger.ReasonWalletNotEmpty, world{kind: closing}, func(w world) bool {
			return !w.missing && w.kind == closing && (w.balance != 0 || w.held > 0 || w.crowded)
		}},
		{ledger.ReasonInsufficientFunds, world{balance: 399}, func(w world) bool {
			return !w.missing && (pays(w.kind) || w.kind == ledger.KindWithdraw) && w.balance-w.held < w.amount
		}},
		{ledger.ReasonLimitInUse, world{kind: setLimit, owing: true}, func(w world) bool {
			return !w.missing && w.kind == setLimit && w.balance-w.held < -w.amount
		}},
		{ledger.ReasonAmountOverflow, world{kind: topUp, amount: ledger.MaxAmount}, func(w world) bool {
			return !w.missing && (w.kind == topUp || refunds(w)) && w.balance+w.amount > ledger.MaxAmount
		}},
	}
}

// rowsOnce are the rows, made once: there are many worlds.
var rowsOnce = sync.OnceValue(reasonRows)

type reasonRow struct {
	reason ledger.Reason
	only   world
	holds  func(world) bool // of a world with its defaults
}

// holding are the reasons that hold in the world, in order of precedence.
func (w world) holding() []ledger.Reason {
	w = w.withDefaults()
	var all []ledger.Reason
	for _, row := range rowsOnce() {
		if row.holds(w) {
			all = append(all, row.reason)
		}
	}
	return all
}

func TestEachReason(t *testing.T) {
	t.Parallel()
	tested := []ledger.Reason{}
	for _, row := range reasonRows() {
		tested = append(tested, row.reason)
		t.Run(string(row.reason), func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]ledger.Reason{row.reason}, row.only.holding()); diff != "" {
				t.Fatalf("the row's world is wrong (-want +got):\n%s", diff)
			}
			op := row.only.decide()
			if op.Reason != row.reason || op.Status() != ledger.StatusFailed {
				t.Fatalf("reason %q, status %s, want %q", op.Reason, op.Status(), row.reason)
			}
			checkUnchanged(t, row.only, op)
		})
	}
	// The last reason is not decided but given by Refuse.
	if diff := cmp.Diff(ledger.Reasons(), append(tested, ledger.ReasonProcessingError)); diff != "" {
		t.Errorf("reasons without a row (-all +tested):\n%s", diff)
	}
}

// checkUnchanged says that the failed operation left the wallet as it was.
func checkUnchanged(t *testing.T, w world, op ledger.Operation) {
	t.Helper()
	w = w.withDefaults()
	before := w.wallet()
	want := ledger.Operation{Sequence: 42, BalanceAfter: w.balance, HeldAfter: before.Held, LimitAfter: before.CreditLimit, StatusAfter: w.status}
	if w.missing {
		want = ledger.Operation{}
	}
	got := ledger.Operation{
		Sequence: op.Sequence, BalanceAfter: op.BalanceAfter, HeldAfter: op.HeldAfter, LimitAfter: op.LimitAfter, StatusAfter: op.StatusAfter,
	}
	if got != want {
		t.Errorf("the wallet after it (-want +got):\n%s", cmp.Diff(want, got))
	}
	wantFirst := ledger.OperationID{}
	if op.Reason == ledger.ReasonDuplicateInvoice {
		wantFirst = ledger.OperationID{5}
	}
	if op.DuplicateOf != wantFirst {
		t.Errorf("duplicate of %s, want %s", op.DuplicateOf, wantFirst)
	}
	left, limit := w.refersTo().Left, ledger.Limit("")
	if op.Reason == ledger.ReasonMandateLimit {
		left, limit = 300, ledger.LimitPerDay
	}
	if op.MandateLimit != limit || op.MandateDay != 0 {
		t.Errorf("it exceeds %q, want %q, and counts for day %d", op.MandateLimit, limit, op.MandateDay)
	}
	if m := op.Movement(); m != (ledger.Movement{}) || op.Moved != 0 || op.LeftAfter != left {
		t.Errorf("a failed operation moves %v, %d, and leaves %d", m, op.Moved, op.LeftAfter)
	}
}

// exclusions are the reasons that cannot hold together, and why. Every other
// pair can, and TestEachPairOfReasons finds a world in which it does.
func exclusions() []exclusion {
	ofPayee := []ledger.Reason{
		ledger.ReasonMerchantNotFound, ledger.ReasonMerchantSuspended, ledger.ReasonSelfCharge, ledger.ReasonWalletFrozen,
		ledger.ReasonDuplicateInvoice, ledger.ReasonInsufficientFunds,
		ledger.ReasonMandateRequired, ledger.ReasonMandateExpired, ledger.ReasonMandateLimit,
	}
	ofRefund := []ledger.Reason{ledger.ReasonChargeNotFound, ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge}
	ofTaking := []ledger.Reason{
		ledger.ReasonHoldNotFound, ledger.ReasonHoldNotAccepted, ledger.ReasonHoldClosed, ledger.ReasonHoldExpired, ledger.ReasonExceedsHold,
		ledger.ReasonTooManyCaptures,
	}
	ofOther := slices.Concat(ofRefund, ofTaking, []ledger.Reason{
		ledger.ReasonTooManyHolds, ledger.ReasonWalletNotEmpty, ledger.ReasonLimitInUse, ledger.ReasonAmountOverflow, ledger.ReasonWalletNotFound,
	}, slices.DeleteFunc(slices.Clone(ofPayee), func(r ledger.Reason) bool { return r == ledger.ReasonMerchantNotFound }))
	all := []exclusion{
		{
			ledger.ReasonMandateNotFound,
			slices.Concat(ofOther, []ledger.Reason{ledger.ReasonMerchantNotFound, ledger.ReasonWalletClosed, ledger.ReasonCurrencyMismatch}),
			"a revoke needs a wallet with the mandate, and nothing else",
		},
		{ledger.ReasonWalletNotMandated, ofOther, "only a grant asks whether there are mandates"},
		{ledger.ReasonTooManyMandates, ofOther, "only a grant makes mandates more"},
		{ledger.ReasonMandateNotFound, []ledger.Reason{ledger.ReasonWalletNotMandated, ledger.ReasonTooManyMandates}, "a revoke is no grant"},
		{ledger.ReasonWalletNotMandated, []ledger.Reason{ledger.ReasonTooManyMandates}, "where anyone may charge there are no mandates"},
		{ledger.ReasonWalletNotFound, ofRefund, "a refund speaks of its charge, and not of the wallet"},
		{ledger.ReasonWalletNotFound, ofTaking, "what takes from a hold speaks of the hold, and not of the wallet"},
		{ledger.ReasonWalletNotEmpty, slices.Concat(ofRefund, ofTaking, ofPayee), "only a close asks for an empty wallet"},
		{ledger.ReasonLimitInUse, slices.Concat(ofRefund, ofTaking, ofPayee), "only a new limit asks what is owed"},
		{
			ledger.ReasonChargeNotFound,
			[]ledger.Reason{ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge, ledger.ReasonAmountOverflow},
			"what is not there was not accepted, and moves nothing",
		},
		{ledger.ReasonChargeNotAccepted, []ledger.Reason{ledger.ReasonRefundExceedsCharge}, "nothing is left to compare with"},
		{ledger.ReasonHoldNotFound, ofTaking[1:], "what is not there was not accepted, has no end and no parts"},
		{ledger.ReasonHoldNotAccepted, ofTaking[2:], "what was not accepted has no end and no parts"},
		{ledger.ReasonHoldClosed, ofTaking[3:], "a hold ends once, and then there is nothing left to compare with"},
		{ledger.ReasonHoldExpired, ofTaking[4:], "there is nothing left to compare with"},
		{ledger.ReasonExceedsHold, []ledger.Reason{ledger.ReasonTooManyCaptures}, "what is more than all is no part"},
		{ledger.ReasonWalletClosed, []ledger.Reason{ledger.ReasonExceedsHold, ledger.ReasonTooManyCaptures}, "a closed wallet has no open holds"},
		{ledger.ReasonWalletClosed, []ledger.Reason{ledger.ReasonTooManyHolds}, "a closed wallet has no open holds"},
		{ledger.ReasonAmountOverflow, ofTaking, "what takes from a hold adds nothing to the balance"},
		{
			ledger.ReasonTooManyHolds,
			slices.Concat(ofRefund, ofTaking, []ledger.Reason{ledger.ReasonWalletNotEmpty, ledger.ReasonLimitInUse, ledger.ReasonAmountOverflow}),
			"only a hold makes holds more",
		},
		{ledger.ReasonWalletNotFound, []ledger.Reason{
			ledger.ReasonSelfCharge, ledger.ReasonWalletClosed, ledger.ReasonWalletFrozen, ledger.ReasonCurrencyMismatch,
			ledger.ReasonDuplicateInvoice, ledger.ReasonWalletNotEmpty, ledger.ReasonInsufficientFunds, ledger.ReasonAmountOverflow,
			ledger.ReasonLimitInUse, ledger.ReasonTooManyHolds, ledger.ReasonMandateExpired, ledger.ReasonMandateLimit,
		}, "no wallet has no owner, status, currency, history, balance, holds or mandates"},
		{
			ledger.ReasonWalletNotFound,
			[]ledger.Reason{ledger.ReasonMandateRequired, ledger.ReasonMerchantSuspended},
			"who charges or holds is told of a mandate, and of no wallet",
		},
		{
			ledger.ReasonMerchantNotFound,
			[]ledger.Reason{ledger.ReasonMerchantSuspended, ledger.ReasonSelfCharge},
			"a merchant that is not there is neither suspended nor owned",
		},
		{ledger.ReasonWalletClosed, []ledger.Reason{ledger.ReasonWalletFrozen}, "a wallet has one status"},
		{
			ledger.ReasonWalletClosed,
			[]ledger.Reason{ledger.ReasonWalletNotEmpty, ledger.ReasonAmountOverflow},
			"a closed wallet is empty, and an empty one holds any amount",
		},
		{ledger.ReasonWalletNotEmpty, []ledger.Reason{ledger.ReasonCurrencyMismatch, ledger.ReasonAmountOverflow}, "only a close asks for an empty wallet"},
		{ledger.ReasonAmountOverflow, ofPayee, "only a top-up and a refund add to a wallet"},
		{ledger.ReasonLimitInUse, []ledger.Reason{ledger.ReasonWalletNotEmpty, ledger.ReasonAmountOverflow}, "only a new limit asks what is owed"},
		{ledger.ReasonLimitInUse, []ledger.Reason{ledger.ReasonWalletClosed}, "a closed wallet owes nothing"},
		{ledger.ReasonProcessingError, ledger.Reasons()[:len(ledger.Reasons())-1], "what cannot be read is not decided"},
	}
	for _, reason := range ofRefund {
		all = append(all, exclusion{reason, slices.Concat(ofPayee, ofTaking), "only a refund gives a charge back"})
	}
	for _, reason := range ofTaking {
		others := slices.DeleteFunc(slices.Clone(ofPayee), func(r ledger.Reason) bool { return r == ledger.ReasonMerchantSuspended })
		all = append(all, exclusion{reason, others, "what is held was promised: nobody asks again for merchant, status, invoice and money"})
	}
	return all
}

type exclusion struct {
	reason ledger.Reason
	others []ledger.Reason
	why    string
}

type pair struct{ first, second ledger.Reason }

// Of the reasons that hold, the first is given, in every world.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	all := worlds()
	for _, w := range all {
		var want ledger.Reason
		if holding := w.holding(); len(holding) > 0 {
			want = holding[0]
		}
		op := w.decide()
		if op.Reason != want {
			t.Fatalf("%+v: reason %q, want the first of %q", w, op.Reason, w.holding())
		}
		if want != "" {
			checkUnchanged(t, w, op)
		}
	}
	t.Logf("%d worlds", len(all))
}

// One row per pair of reasons: either there is a world in which both hold (the
// earlier one is given), or the pair is excluded (and there is no such world).
func TestEachPairOfReasons(t *testing.T) {
	t.Parallel()
	excluded := map[pair]string{}
	order := ledger.Reasons()
	for _, x := range exclusions() {
		for _, other := range x.others {
			p := pair{x.reason, other}
			if slices.Index(order, other) < slices.Index(order, x.reason) {
				p = pair{other, x.reason}
			}
			if why, twice := excluded[p]; twice {
				t.Errorf("%v is excluded twice: %s; %s", p, why, x.why)
			}
			excluded[p] = x.why
		}
	}
	together := map[pair]world{} // of each pair the world in which least else holds
	for _, w := range worlds() {
		holding := w.holding()
		for i, first := range holding {
			for _, second := range holding[i+1:] {
				p := pair{first, second}
				if best, found := together[p]; !found || len(holding) < len(best.holding()) {
					together[p] = w
				}
			}
		}
	}
	for i, first := range order {
		for _, second := range order[i+1:] {
			p := pair{first, second}
			why, impossible := excluded[p]
			w, possible := together[p]
			switch {
			case impossible && possible:
				t.Errorf("%v hold together in %+v, though %s", p, w, why)
			case !impossible && !possible:
				t.Errorf("%v hold together in no world, and no exclusion says why", p)
			case possible:
				t.Run(fmt.Sprintf("%s before %s", first, second), func(t *testing.T) {
					t.Parallel()
					want := []ledger.Reason{first, second}
					if w.status == ledger.WalletClosed && pays(w.kind) && second != ledger.ReasonInsufficientFunds {
						want = append(want, ledger.ReasonInsufficientFunds) // a closed wallet is empty
					}
					if diff := cmp.Diff(want, w.holding()); diff != "" {
						t.Errorf("more holds than the pair (-pair +holding):\n%s", diff)
					}
					if got := w.decide().Reason; got != first {
						t.Errorf("reason %q, want %q", got, first)
					}
				})
			}
		}
	}
}
