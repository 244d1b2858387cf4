package recount_test

import (
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/recount"
)

// history is a wallet's life with every outcome that the rules know.
func history() []recount.Operation {
	return []recount.Operation{
		{ID: "open", Kind: ledger.KindOpen, Sequence: 1},
		{ID: "in", Kind: ledger.KindTopUp, Asked: 100, Sequence: 2, Moved: 100, BalanceAfter: 100},
		{ID: "a", Kind: ledger.KindCharge, Asked: 60, Sequence: 3, Moved: 60, BalanceAfter: 40},
		{ID: "b", Kind: ledger.KindCharge, Asked: 41, Sequence: 4, Reason: ledger.ReasonInsufficientFunds, BalanceAfter: 40},
		{ID: "r1", Kind: ledger.KindRefund, Refers: "a", Asked: 61, Sequence: 5, Reason: ledger.ReasonRefundExceedsCharge, Left: 60, BalanceAfter: 40},
		{ID: "r2", Kind: ledger.KindRefund, Refers: "a", Asked: 20, Sequence: 6, Moved: 20, Left: 40, BalanceAfter: 60},
		{ID: "r3", Kind: ledger.KindRefund, Refers: "a", Sequence: 7, Moved: 40, BalanceAfter: 100},
		{ID: "r4", Kind: ledger.KindRefund, Refers: "a", Sequence: 8, Reason: ledger.ReasonRefundExceedsCharge, BalanceAfter: 100},
		{ID: "r5", Kind: ledger.KindRefund, Refers: "b", Sequence: 9, Reason: ledger.ReasonChargeNotAccepted, BalanceAfter: 100},
		{ID: "r6", Kind: ledger.KindRefund, Refers: "r2", Sequence: 10, Reason: ledger.ReasonChargeNotFound, BalanceAfter: 100},
		{ID: "out", Kind: ledger.KindWithdraw, Asked: 100, Sequence: 11, Moved: 100},
		{ID: "more", Kind: ledger.KindWithdraw, Asked: 1, Sequence: 12, Reason: ledger.ReasonInsufficientFunds},
	}
}

func recounted(operations []recount.Operation) (w recount.Wallet, faults []string) {
	for _, o := range operations {
		if fault := w.Next(o); fault != "" {
			faults = append(faults, o.ID+" "+fault)
		}
	}
	return w, faults
}

func TestTrueHistoryHasNoFault(t *testing.T) {
	t.Parallel()
	w, faults := recounted(history())
	if len(faults) > 0 || w.Balance() != 0 || w.Refunded("a") != 60 || w.Refunded("b") != 0 {
		t.Errorf("%q, balance %d, refunded %d and %d", faults, w.Balance(), w.Refunded("a"), w.Refunded("b"))
	}
}

func TestEveryFalseValueIsFound(t *testing.T) {
	t.Parallel()
	for i := range history() {
		for want, change := range map[string]func(*recount.Operation){
			"sequence": func(o *recount.Operation) { o.Sequence += 2 },
			"is ": func(o *recount.Operation) {
				if o.Reason == "" {
					o.Reason = ledger.ReasonWalletFrozen
				} else {
					o.Reason = ""
				}
			},
			"moved ":   func(o *recount.Operation) { o.Moved++ },
			"leaves ":  func(o *recount.Operation) { o.Left-- },
			"balance ": func(o *recount.Operation) { o.BalanceAfter-- },
		} {
			operations := history()
			o := &operations[i]
			if want == "moved " && o.Reason != "" || want == "leaves " && o.Kind != ledger.KindRefund {
				continue
			}
			change(o)
			_, faults := recounted(operations)
			if len(faults) == 0 || !strings.HasPrefix(faults[0], o.ID+" ") || !strings.Contains(faults[0], want) {
				t.Errorf("%s, another %q: %q", o.ID, want, faults)
			}
		}
	}
}

// TestHistoriesThatPeersHadAreFound: money given back twice, more than was taken, or of a
// charge that took none.
func TestHistoriesThatPeersHadAreFound(t *testing.T) {
	t.Parallel()
	begin := history()[:4]
	for want, o := range map[string]recount.Operation{
		"not refund_exceeds_charge": {ID: "x", Kind: ledger.KindRefund, Refers: "a", Asked: 61, Sequence: 5, Moved: 61, Left: -1, BalanceAfter: 101},
		"not charge_not_accepted":   {ID: "x", Kind: ledger.KindRefund, Refers: "b", Asked: 41, Sequence: 5, Moved: 41, BalanceAfter: 81},
		"not charge_not_found":      {ID: "x", Kind: ledger.KindRefund, Refers: "y", Asked: 41, Sequence: 5, Moved: 41, BalanceAfter: 81},
		"not insufficient_funds":    {ID: "x", Kind: ledger.KindWithdraw, Asked: 41, Sequence: 5, Moved: 41, BalanceAfter: -1},
		"moved 60, not 20":          {ID: "x", Kind: ledger.KindRefund, Refers: "a", Asked: 20, Sequence: 5, Moved: 60, BalanceAfter: 100},
	} {
		if _, faults := recounted(append(begin[:4:4], o)); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("%q does not say %q", faults, want)
		}
	}
}
