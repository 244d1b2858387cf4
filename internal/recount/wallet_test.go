package recount_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/client"
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

// morning is when the holds of the test are made.
func morning() time.Time { return time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC) }

// heldHistory is a wallet's life with every outcome of holds and of what ends them.
func heldHistory() []recount.Operation {
	all := []recount.Operation{
		{ID: "open", Kind: ledger.KindOpen},
		{ID: "in", Kind: ledger.KindTopUp, Asked: 100, Moved: 100, BalanceAfter: 100},
		{ID: "h", Kind: ledger.KindHold, Asked: 60, ExpiresIn: 60, Invoice: "1", Moved: 60, BalanceAfter: 100, HeldAfter: 60},
		{ID: "h2", Kind: ledger.KindHold, Asked: 41, Reason: ledger.ReasonInsufficientFunds, BalanceAfter: 100, HeldAfter: 60},
		{ID: "a", Kind: ledger.KindCharge, Asked: 41, Reason: ledger.ReasonInsufficientFunds, BalanceAfter: 100, HeldAfter: 60},
		{ID: "out", Kind: ledger.KindWithdraw, Asked: 41, Reason: ledger.ReasonInsufficientFunds, BalanceAfter: 100, HeldAfter: 60},
		{ID: "b", Kind: ledger.KindCharge, Asked: 1, Invoice: "1", Reason: ledger.ReasonDuplicateInvoice, BalanceAfter: 100, HeldAfter: 60},
		{ID: "c1", Kind: ledger.KindCapture, Refers: "h", Asked: 61, Left: 60, Reason: ledger.ReasonExceedsHold, BalanceAfter: 100, HeldAfter: 60},
		{ID: "c2", Kind: ledger.KindCapture, Refers: "h", Asked: 20, Keeps: true, Moved: 20, Left: 40, BalanceAfter: 80, HeldAfter: 40},
		{ID: "l1", Kind: ledger.KindRelease, Refers: "h", Asked: 10, Moved: 10, Left: 30, BalanceAfter: 80, HeldAfter: 30},
		{ID: "c3", Kind: ledger.KindCapture, Refers: "h", Asked: 25, Moved: 25, BalanceAfter: 55},
		{ID: "c4", Kind: ledger.KindCapture, Refers: "h", Reason: ledger.ReasonHoldClosed, BalanceAfter: 55},
		{ID: "l2", Kind: ledger.KindRelease, Refers: "h2", Asked: 1, Reason: ledger.ReasonHoldNotAccepted, BalanceAfter: 55},
		{ID: "l3", Kind: ledger.KindRelease, Refers: "a", Asked: 1, Reason: ledger.ReasonHoldNotFound, BalanceAfter: 55},
		{ID: "r1", Kind: ledger.KindRefund, Refers: "h", Asked: 1, Reason: ledger.ReasonChargeNotFound, BalanceAfter: 55},
		{ID: "r2", Kind: ledger.KindRefund, Refers: "c2", Asked: 15, Moved: 15, Left: 5, BalanceAfter: 70},
		{ID: "d", Kind: ledger.KindHold, Asked: 1, Invoice: "1", Reason: ledger.ReasonDuplicateInvoice, BalanceAfter: 70},
		{ID: "e", Kind: ledger.KindHold, Asked: 70, ExpiresIn: 60, Invoice: "2", Moved: 70, BalanceAfter: 70, HeldAfter: 70},
		{ID: "c5", Kind: ledger.KindCapture, Refers: "e", Asked: 30, Keeps: true, Moved: 30, Left: 40, BalanceAfter: 40, HeldAfter: 40},
		{ID: "x1", Kind: ledger.KindExpire, Refers: "e", Moved: 40, BalanceAfter: 40},
		{ID: "c6", Kind: ledger.KindCapture, Refers: "e", Reason: ledger.ReasonHoldExpired, BalanceAfter: 40},
		{ID: "x2", Kind: ledger.KindExpire, Refers: "h", Reason: ledger.ReasonHoldClosed, BalanceAfter: 40},
		{ID: "f", Kind: ledger.KindHold, Asked: 40, ExpiresIn: 60, Invoice: "3", Moved: 40, BalanceAfter: 40, HeldAfter: 40},
		{ID: "l4", Kind: ledger.KindRelease, Refers: "f", Moved: 40, BalanceAfter: 40},
		{ID: "g", Kind: ledger.KindHold, Asked: 10, ExpiresIn: 60, Invoice: "3", Moved: 10, BalanceAfter: 40, HeldAfter: 10},
	}
	for i := range all {
		all[i].Sequence, all[i].At = int64(i+1), morning().Add(time.Duration(i)*time.Second)
		if all[i].Kind == ledger.KindExpire {
			all[i].At = all[i].At.Add(2 * time.Minute)
		}
		if all[i].Reason == ledger.ReasonHoldExpired {
			all[i].Answered = all[i].At.Add(2 * time.Minute)
		}
	}
	return all
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
	w, faults = recounted(heldHistory())
	if len(faults) > 0 || w.Balance() != 40 || w.Held() != 10 || w.Refunded("c2") != 15 || w.Refunded("h") != 0 {
		t.Errorf("%q, balance %d, held %d, refunded %d and %d", faults, w.Balance(), w.Held(), w.Refunded("c2"), w.Refunded("h"))
	}
	for id, want := range map[string]client.Holding{
		"h": {State: "captured", Captured: 45, Released: 15},
		"e": {State: "expired", Captured: 30, Expired: 40},
		"f": {State: "released", Released: 40},
		"g": {State: "open", Remaining: 10},
	} {
		got, ok := w.Holding(id)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("hold %s, %v: %s", id, ok, diff)
		}
	}
	for _, id := range []string{"h2", "a", "nothing"} {
		if got, ok := w.Holding(id); ok {
			t.Errorf("%s is a hold: %+v", id, got)
		}
	}
}

func TestEveryFalseValueIsFound(t *testing.T) {
	t.Parallel()
	for _, right := range [][]recount.Operation{history(), heldHistory()} {
		for i := range right {
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
				" held":    func(o *recount.Operation) { o.HeldAfter-- },
			} {
				operations := slices.Clone(right)
				o := &operations[i]
				if want == "moved " && o.Reason != "" || want == "leaves " && !client.Refers(o.Kind) {
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
}

// TestHistoriesThatPeersHadAreFound: money given back twice, more than was taken, or of a
// charge that took none; money that is held and charged all the same, captured beyond the hold or after it ended,
// or neither released nor held.
func TestHistoriesThatPeersHadAreFound(t *testing.T) {
	t.Parallel()
	begin, held, ended := history()[:4], heldHistory()[:7], heldHistory()[:15]
	for want, row := range map[string]struct {
		begin []recount.Operation
		recount.Operation
	}{
		"not refund_exceeds_charge": {begin, recount.Operation{Kind: ledger.KindRefund, Refers: "a", Asked: 61, Moved: 61, Left: -1, BalanceAfter: 101}},
		"not charge_not_accepted":   {begin, recount.Operation{Kind: ledger.KindRefund, Refers: "b", Asked: 41, Moved: 41, BalanceAfter: 81}},
		"not charge_not_found":      {begin, recount.Operation{Kind: ledger.KindRefund, Refers: "y", Asked: 41, Moved: 41, BalanceAfter: 81}},
		"not insufficient_funds":    {begin, recount.Operation{Kind: ledger.KindWithdraw, Asked: 41, Moved: 41, BalanceAfter: -1}},
		"moved 60, not 20":          {begin, recount.Operation{Kind: ledger.KindRefund, Refers: "a", Asked: 20, Moved: 60, BalanceAfter: 100}},

		"charge is accepted, not insufficient_funds": {held, recount.Operation{ID: "charge", Kind: ledger.KindCharge, Asked: 41, Moved: 41, BalanceAfter: 59, HeldAfter: 60}},
		"hold is accepted, not insufficient_funds":   {held, recount.Operation{ID: "hold", Kind: ledger.KindHold, Asked: 41, Moved: 41, BalanceAfter: 100, HeldAfter: 101}},
		"accepted, not exceeds_hold":                 {held, recount.Operation{Kind: ledger.KindCapture, Refers: "h", Asked: 61, Moved: 61, BalanceAfter: 39}},
		"accepted, not hold_closed":                  {ended, recount.Operation{Kind: ledger.KindCapture, Refers: "h", Asked: 1, Moved: 1, BalanceAfter: 54}},
		"accepted, not hold_not_accepted":            {ended, recount.Operation{Kind: ledger.KindCapture, Refers: "h2", Asked: 1, Moved: 1, BalanceAfter: 54}},
		"accepted, not hold_not_found":               {ended, recount.Operation{Kind: ledger.KindExpire, Refers: "y", BalanceAfter: 55}},
		"leaves 60 held, not 0":                      {held, recount.Operation{Kind: ledger.KindRelease, Refers: "h", Moved: 60, BalanceAfter: 100, HeldAfter: 60}},
		"leaves 10 held, not 0":                      {held, recount.Operation{Kind: ledger.KindCapture, Refers: "h", Asked: 50, Moved: 50, BalanceAfter: 50, HeldAfter: 10}},
		"leaves a balance of 90, not 100":            {held, recount.Operation{Kind: ledger.KindRelease, Refers: "h", Asked: 10, Moved: 10, Left: 50, BalanceAfter: 90, HeldAfter: 50}},
		"is duplicate_invoice, not accept":           {heldHistory()[:24], recount.Operation{Kind: ledger.KindHold, Asked: 10, Invoice: "3", Reason: ledger.ReasonDuplicateInvoice, BalanceAfter: 40}},
		"is accepted, not duplicate_invoic":          {heldHistory()[:16], recount.Operation{Kind: ledger.KindCharge, Asked: 10, Invoice: "1", Moved: 10, BalanceAfter: 60}},
	} {
		o := row.Operation
		o.Sequence = int64(len(row.begin) + 1)
		_, faults := recounted(append(slices.Clone(row.begin), o))
		if len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("%q does not say %q", faults, want)
		}
	}
}

func TestHoldsThatEndTooEarlyAreFound(t *testing.T) {
	t.Parallel()
	expire := slices.IndexFunc(heldHistory(), func(o recount.Operation) bool { return o.ID == "x1" })
	hold, refused := heldHistory()[expire-2], expire+1
	for after, want := range map[time.Duration]string{59 * time.Second: "before the hold expires", time.Minute: ""} {
		operations := heldHistory()
		operations[expire].At = hold.At.Add(after)
		if _, faults := recounted(operations); want == "" != (len(faults) == 0) || !strings.Contains(strings.Join(faults, ""), want) {
			t.Errorf("an expire %s after its hold: %q", after, faults)
		}
	}
	for after, want := range map[time.Duration]string{59 * time.Second: "before the hold expires", time.Minute: ""} { // decided anew, at once
		operations := heldHistory()
		for i := range operations {
			operations[i].Received, operations[i].At = operations[i].At, hold.At
		}
		operations[expire].Received = hold.At.Add(after)
		if _, faults := recounted(operations); want == "" != (len(faults) == 0) || !strings.Contains(strings.Join(faults, ""), want) {
			t.Errorf("an expire received %s after its hold: %q", after, faults)
		}
	}
	for after, want := range map[time.Duration]string{59 * time.Second: "was taken 1s before", time.Minute: ""} {
		operations := heldHistory()
		operations[refused].Answered = hold.At.Add(after)
		if _, faults := recounted(operations); want == "" != (len(faults) == 0) || !strings.Contains(strings.Join(faults, ""), want) {
			t.Errorf("a capture %s after its hold: %q", after, faults)
		}
	}
}

// TestLimitsOfHolds: a wallet has 1,000 open ones, and a hold 50 parts and what ends it.
func TestLimitsOfHolds(t *testing.T) {
	t.Parallel()
	history := heldHistory()[:2]
	add := func(o recount.Operation) {
		o.Sequence = int64(len(history) + 1)
		history = append(history, o)
	}
	add(recount.Operation{ID: "more", Kind: ledger.KindTopUp, Asked: 2000, Moved: 2000, BalanceAfter: 2100})
	add(recount.Operation{ID: "h", Kind: ledger.KindHold, Asked: 60, Moved: 60, BalanceAfter: 2100, HeldAfter: 60})
	for i := range int64(50) {
		add(recount.Operation{Kind: ledger.KindRelease, Refers: "h", Asked: 1, Moved: 1, Left: 59 - i, BalanceAfter: 2100, HeldAfter: 59 - i})
	}
	tooMany := recount.Operation{Kind: ledger.KindRelease, Refers: "h", Asked: 1, Left: 10, Reason: ledger.ReasonTooManyCaptures, BalanceAfter: 2100, HeldAfter: 10}
	add(tooMany)
	tooMany.Kind, tooMany.Keeps = ledger.KindCapture, true
	add(tooMany)
	add(recount.Operation{Kind: ledger.KindCapture, Refers: "h", Asked: 1, Moved: 1, BalanceAfter: 2099})
	for i := range int64(1000) {
		add(recount.Operation{ID: string(rune('\u4e00' + i)), Kind: ledger.KindHold, Asked: 1, Moved: 1, BalanceAfter: 2099, HeldAfter: i + 1})
	}
	add(recount.Operation{ID: "one more", Kind: ledger.KindHold, Asked: 1, Reason: ledger.ReasonTooManyHolds, BalanceAfter: 2099, HeldAfter: 1000})
	add(recount.Operation{Kind: ledger.KindRelease, Refers: "\u4e00", Moved: 1, BalanceAfter: 2099, HeldAfter: 999})
	add(recount.Operation{ID: "another", Kind: ledger.KindHold, Asked: 1, Moved: 1, BalanceAfter: 2099, HeldAfter: 1000})
	if w, faults := recounted(history); len(faults) > 0 || w.Held() != 1000 {
		t.Errorf("%d held, %q", w.Held(), faults)
	}
}
