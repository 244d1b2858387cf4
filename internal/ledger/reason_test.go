package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// world is everything that a reason can depend on, for one request to one
// wallet. Its zero value is a charge that is accepted.
type world struct {
	kind     ledger.Kind         // empty: a charge
	late     bool                // the request is past its apply_before
	missing  bool                // there is no such wallet
	status   ledger.WalletStatus // empty: active
	balance  int64               // zero: 1000; below zero: nothing
	merchant string              // a set of: unknown, suspended, own
	other    bool                // the request is in another currency
	invoiced bool                // the merchant's invoice was accepted on the wallet before
	amount   int64               // zero: 400
	owing    bool                // the wallet owes 500, which is its credit limit
	referred string              // of a refund, what its charge of 1000 is: none, failed, spent but for 300; empty: accepted
}

func (w world) withDefaults() world {
	if w.kind == "" {
		w.kind = ledger.KindCharge
	}
	if w.status == "" {
		w.status = ledger.WalletActive
	}
	switch {
	case w.balance == 0:
		w.balance = 1000
	case w.balance < 0:
		w.balance = 0
	}
	if w.amount == 0 {
		w.amount = 400
	}
	if w.owing {
		w.balance = -500
	}
	return w
}

var worldTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// decide lets a book decide the world's request.
func (w world) decide() ledger.Operation {
	w = w.withDefaults()
	wallet := ledger.Wallet{
		ID: ledger.WalletID{1}, Client: ledger.ClientID{7}, Currency: "EUR", Status: w.status, Balance: w.balance, Sequence: 41,
		Digest: ledger.Digest{41},
	}
	if w.owing {
		wallet.Balance, wallet.CreditLimit = -500, 500
	}
	merchant := ledger.MerchantID{9}
	known := ledger.Known{
		Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: map[ledger.MerchantID]ledger.Merchant{},
		Invoices: map[ledger.WalletInvoice]ledger.OperationID{},
	}
	if !w.missing {
		known.Wallets[wallet.ID] = wallet
	}
	if !strings.Contains(w.merchant, "unknown") {
		m := ledger.Merchant{Suspended: strings.Contains(w.merchant, "suspended"), Owner: ledger.ClientID{8}}
		if strings.Contains(w.merchant, "own") {
			m.Owner = wallet.Client
		}
		known.Merchants[merchant] = m
	}
	if w.invoiced {
		i := ledger.WalletInvoice{Wallet: wallet.ID, Invoice: ledger.NewInvoiceKey(merchant, "INV-1")}
		known.Invoices[i] = ledger.OperationID{5}
	}
	r := ledger.Request{ID: ledger.OperationID{1}, Kind: w.kind, Wallet: wallet.ID, IdempotencyKey: "k"}
	if w.kind == ledger.KindRefund {
		r.Merchant, r.Refers = merchant, ledger.OperationID{3}
		charge := ledger.Referred{Kind: ledger.KindCharge, Wallet: wallet.ID, Merchant: merchant, Accepted: true, Left: 1000}
		switch w.referred {
		case "none":
			charge = ledger.Referred{}
		case "failed":
			charge.Accepted, charge.Left = false, 0
		case "spent":
			charge.Left = 300
		}
		known.Referred = map[ledger.OperationID]ledger.Referred{r.Refers: charge}
	}
	if w.kind == ledger.KindCharge {
		r.Merchant, r.Invoice = merchant, "INV-1"
	}
	if w.kind == ledger.KindOpen {
		r.Client, r.Currency = wallet.Client, "EUR"
	}
	if w.kind.MovesMoney() || w.kind == ledger.KindSetLimit {
		r.Amount, r.Currency = w.amount, "EUR"
		if w.other {
			r.Currency = "USD"
		}
	}
	if w.late {
		r.ApplyBefore = worldTime.Add(-time.Second)
	}
	book := ledger.NewBook(known, worldTime)
	book.Decide(r, ledger.Place{Log: 1, Offset: 3})
	return book.Operations()[0]
}

// The reasons in order of precedence: each with a world in which it is the only
// one that holds, and with what it means by itself, whatever else holds.
func reasonRows() []reasonRow {
	const (
		charge, topUp, closing = ledger.KindCharge, ledger.KindTopUp, ledger.KindClose
		frozen, closed         = ledger.WalletFrozen, ledger.WalletClosed
	)
	refunds := func(w world) bool { return w.kind == ledger.KindRefund && w.referred != "none" }
	return []reasonRow{
		{ledger.ReasonExpired, world{late: true}, func(w world) bool { return w.late }},
		{ledger.ReasonMerchantNotFound, world{merchant: "unknown"}, func(w world) bool { return w.kind == charge && w.merchant == "unknown" }},
		{ledger.ReasonMerchantSuspended, world{merchant: "suspended"}, func(w world) bool { return w.kind == charge && strings.HasPrefix(w.merchant, "suspended") }},
		{ledger.ReasonChargeNotFound, world{kind: ledger.KindRefund, referred: "none"}, func(w world) bool { return w.kind == ledger.KindRefund && w.referred == "none" }},
		{ledger.ReasonWalletNotFound, world{missing: true}, func(w world) bool {
			return w.missing && w.kind != ledger.KindOpen && w.kind != ledger.KindRefund
		}},
		{ledger.ReasonSelfCharge, world{merchant: "own"}, func(w world) bool {
			return w.kind == charge && !w.missing && strings.HasSuffix(w.merchant, "own") && w.merchant != "unknown"
		}},
		{ledger.ReasonWalletClosed, world{status: closed, balance: -1, kind: topUp}, func(w world) bool { return !w.missing && w.status == closed && w.kind != closing }},
		{ledger.ReasonWalletFrozen, world{status: frozen}, func(w world) bool { return !w.missing && w.status == frozen && w.kind == charge }},
		{ledger.ReasonCurrencyMismatch, world{other: true}, func(w world) bool {
			return !w.missing && w.other && (w.kind.MovesMoney() || w.kind == ledger.KindSetLimit)
		}},
		{ledger.ReasonChargeNotAccepted, world{kind: ledger.KindRefund, referred: "failed"}, func(w world) bool { return refunds(w) && w.referred == "failed" }},
		{ledger.ReasonRefundExceedsCharge, world{kind: ledger.KindRefund, referred: "spent"}, func(w world) bool {
			return refunds(w) && (w.referred == "spent" && w.amount > 300 || w.referred == "" && w.amount > 1000)
		}},
		{ledger.ReasonDuplicateInvoice, world{invoiced: true}, func(w world) bool { return !w.missing && w.invoiced && w.kind == charge }},
		{ledger.ReasonWalletNotEmpty, world{kind: closing}, func(w world) bool { return !w.missing && w.kind == closing && w.balance != 0 }},
		{ledger.ReasonInsufficientFunds, world{balance: 399}, func(w world) bool {
			return !w.missing && (w.kind == charge || w.kind == ledger.KindWithdraw) && w.balance < w.amount
		}},
		{ledger.ReasonLimitInUse, world{kind: ledger.KindSetLimit, owing: true}, func(w world) bool { return !w.missing && w.kind == ledger.KindSetLimit && w.owing && w.amount < 500 }},
		{ledger.ReasonAmountOverflow, world{kind: topUp, amount: ledger.MaxAmount}, func(w world) bool {
			return !w.missing && (w.kind == topUp || refunds(w)) && w.balance+w.amount > ledger.MaxAmount
		}},
	}
}

type reasonRow struct {
	reason ledger.Reason
	only   world
	holds  func(world) bool // of a world with its defaults
}

// holding are the reasons that hold in the world, in order of precedence.
func (w world) holding() []ledger.Reason {
	w = w.withDefaults()
	var all []ledger.Reason
	for _, row := range reasonRows() {
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
	want := ledger.Operation{Sequence: 42, BalanceAfter: w.balance, StatusAfter: w.status}
	if w.missing {
		want = ledger.Operation{}
	}
	got := ledger.Operation{Sequence: op.Sequence, BalanceAfter: op.BalanceAfter, StatusAfter: op.StatusAfter}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the wallet after it (-want +got):\n%s", diff)
	}
	wantFirst := ledger.OperationID{}
	if op.Reason == ledger.ReasonDuplicateInvoice {
		wantFirst = ledger.OperationID{5}
	}
	if op.DuplicateOf != wantFirst {
		t.Errorf("duplicate of %s, want %s", op.DuplicateOf, wantFirst)
	}
	if m := op.Movement(); m != (ledger.Movement{}) {
		t.Errorf("a failed operation moves %v", m)
	}
}

// exclusions are the reasons that cannot hold together, and why. Every other
// pair can, and TestEachPairOfReasons finds a world in which it does.
func exclusions() []exclusion {
	ofCharge := []ledger.Reason{
		ledger.ReasonMerchantNotFound, ledger.ReasonMerchantSuspended, ledger.ReasonSelfCharge, ledger.ReasonWalletFrozen,
		ledger.ReasonDuplicateInvoice, ledger.ReasonInsufficientFunds,
	}
	ofRefund := []ledger.Reason{ledger.ReasonChargeNotFound, ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge}
	all := []exclusion{
		{ledger.ReasonWalletNotFound, ofRefund, "a refund speaks of its charge, and not of the wallet"},
		{ledger.ReasonWalletNotEmpty, ofRefund, "only a close asks for an empty wallet"},
		{ledger.ReasonLimitInUse, ofRefund, "only a new limit asks what is owed"},
		{
			ledger.ReasonChargeNotFound,
			[]ledger.Reason{ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge, ledger.ReasonAmountOverflow},
			"what is not there was not accepted, and moves nothing",
		},
		{ledger.ReasonChargeNotAccepted, []ledger.Reason{ledger.ReasonRefundExceedsCharge}, "nothing is left to compare with"},
		{ledger.ReasonWalletNotFound, []ledger.Reason{
			ledger.ReasonSelfCharge, ledger.ReasonWalletClosed, ledger.ReasonWalletFrozen, ledger.ReasonCurrencyMismatch,
			ledger.ReasonDuplicateInvoice, ledger.ReasonWalletNotEmpty, ledger.ReasonInsufficientFunds, ledger.ReasonAmountOverflow,
			ledger.ReasonLimitInUse,
		}, "no wallet has no owner, status, currency, history or balance"},
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
		{ledger.ReasonWalletNotEmpty, append(ofCharge, ledger.ReasonCurrencyMismatch, ledger.ReasonAmountOverflow), "only a close asks for an empty wallet"},
		{ledger.ReasonAmountOverflow, ofCharge, "only a top-up adds to a wallet"},
		{ledger.ReasonLimitInUse, append(ofCharge, ledger.ReasonWalletNotEmpty, ledger.ReasonAmountOverflow), "only a new limit asks what is owed"},
		{ledger.ReasonLimitInUse, []ledger.Reason{ledger.ReasonWalletClosed}, "a closed wallet owes nothing"},
		{ledger.ReasonProcessingError, ledger.Reasons()[:len(ledger.Reasons())-1], "what cannot be read is not decided"},
	}
	for _, reason := range ofRefund {
		all = append(all, exclusion{reason, ofCharge, "only a refund refers to a charge"})
	}
	return all
}

type exclusion struct {
	reason ledger.Reason
	others []ledger.Reason
	why    string
}

type pair struct{ first, second ledger.Reason }

// worlds are all the worlds there are, as far as a reason can tell them apart.
func worlds() []world {
	var all []world
	for _, kind := range ledger.Kinds() {
		for _, late := range []bool{false, true} {
			for _, merchant := range []string{"", "unknown", "suspended", "own", "suspended own"} {
				for _, other := range []bool{false, true} {
					for _, amount := range []int64{400, ledger.MaxAmount} {
						w := world{kind: kind, late: late, merchant: merchant, other: other, amount: amount}
						missing := w
						missing.missing = true
						if kind == ledger.KindRefund {
							missing.referred = "none" // no charge without its wallet
						}
						all = append(all, missing)
						if kind == ledger.KindSetLimit {
							for _, status := range []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen} {
								owing := w
								owing.owing, owing.status = true, status
								all = append(all, owing)
							}
						}
						for _, invoiced := range []bool{false, true} {
							for _, balance := range []int64{-1, 399, 400, ledger.MaxAmount} {
								w.invoiced, w.balance = invoiced, balance
								for _, w.status = range []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed} {
									if w.status == ledger.WalletClosed && balance >= 0 { // a closed wallet is empty
										continue
									}
									all = append(all, w)
									if kind == ledger.KindRefund {
										for _, referred := range []string{"none", "failed", "spent"} {
											of := w
											of.referred = referred
											all = append(all, of)
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
	return all
}

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
					if w.status == ledger.WalletClosed && w.withDefaults().kind == ledger.KindCharge && second != ledger.ReasonInsufficientFunds {
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
