package recount_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/recount"
)

// evening is when the mandates of the test begin: on the last day of a month.
func evening() time.Time { return time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC) }

// mandatedHistory is a mandated wallet's life with every outcome of mandates, in the evening of the last day of a month.
func mandatedHistory() []recount.Operation {
	charge := func(id string, amount, balance int64) recount.Operation {
		return recount.Operation{ID: id, Kind: ledger.KindCharge, Merchant: "m", Asked: amount, Moved: amount, BalanceAfter: balance}
	}
	failed := func(id string, amount, balance, left int64, reason ledger.Reason) recount.Operation {
		return recount.Operation{ID: id, Kind: ledger.KindCharge, Merchant: "m", Asked: amount, Reason: reason, Left: left, BalanceAfter: balance}
	}
	grant := func(limits client.Limits, balance int64) recount.Operation {
		return recount.Operation{ID: "grant", Kind: ledger.KindGrant, Merchant: "m", Limits: limits, BalanceAfter: balance}
	}
	other := failed("other", 1, 1000, 0, ledger.ReasonMandateRequired)
	other.Merchant = "n"
	all := []recount.Operation{
		{ID: "open", Kind: ledger.KindOpen, Mandated: true},
		{ID: "in", Kind: ledger.KindTopUp, Asked: 1000, Moved: 1000, BalanceAfter: 1000},
		failed("without", 1, 1000, 0, ledger.ReasonMandateRequired),
		{ID: "nothing", Kind: ledger.KindRevoke, Merchant: "m", Reason: ledger.ReasonMandateNotFound, BalanceAfter: 1000},
		grant(client.Limits{MaxAmount: 50}, 1000), other,
		failed("one", 51, 1000, 50, ledger.ReasonMandateLimit), charge("a", 50, 950),
		grant(client.Limits{PerDay: 120}, 950),
		{ID: "h", Kind: ledger.KindHold, Merchant: "m", Asked: 70, Moved: 70, BalanceAfter: 950, HeldAfter: 70},
		{ID: "day", Kind: ledger.KindHold, Merchant: "m", Asked: 1, Reason: ledger.ReasonMandateLimit, BalanceAfter: 950, HeldAfter: 70},
		{ID: "l", Kind: ledger.KindRelease, Refers: "h", Asked: 10, Moved: 10, Left: 60, BalanceAfter: 950, HeldAfter: 60},
		{ID: "c", Kind: ledger.KindCapture, Refers: "h", Asked: 30, Moved: 30, BalanceAfter: 920}, // 80 are used
		{ID: "r", Kind: ledger.KindRefund, Refers: "c", Asked: 5, Moved: 5, Left: 25, BalanceAfter: 925},
		failed("day 2", 41, 925, 40, ledger.ReasonMandateLimit), charge("b", 40, 885),
		grant(client.Limits{PerMonth: 121, PerDay: 500}, 885),
		failed("month", 2, 885, 1, ledger.ReasonMandateLimit),
		grant(client.Limits{Total: 130}, 885),
		failed("total", 11, 885, 10, ledger.ReasonMandateLimit), charge("d", 10, 875),
		{ID: "revoke", Kind: ledger.KindRevoke, Merchant: "m", BalanceAfter: 875},
		failed("revoked", 1, 875, 0, ledger.ReasonMandateRequired),
		grant(client.Limits{PerDay: 20, PerMonth: 30}, 875), // the day after
		charge("e", 20, 855), failed("day 3", 1, 855, 0, ledger.ReasonMandateLimit),
		grant(client.Limits{PerMonth: 30}, 855),
		failed("month 2", 11, 855, 10, ledger.ReasonMandateLimit), charge("f", 10, 845),
		grant(client.Limits{MaxAmount: 5, ValidUntil: evening().Add(24*time.Hour + 31*time.Second)}, 845),
		charge("g", 5, 840), failed("over", 6, 840, 0, ledger.ReasonMandateExpired),
	}
	for i := range all {
		all[i].Sequence, all[i].At = int64(i+1), evening().Add(time.Duration(i)*time.Second)
		if i >= 23 {
			all[i].At = all[i].At.Add(24 * time.Hour)
		}
	}
	return all
}

func TestMandatesAreDecidedAgain(t *testing.T) {
	t.Parallel()
	if w, faults := recounted(mandatedHistory()); len(faults) > 0 || w.Balance() != 840 {
		t.Errorf("%q, balance %d", faults, w.Balance())
	}
	for i, o := range mandatedHistory() {
		for want, change := range map[string]func(*recount.Operation) bool{
			"is ": func(o *recount.Operation) bool {
				if o.Reason == "" {
					o.Reason = ledger.ReasonMandateRequired
				} else {
					o.Reason = ""
				}
				return true
			},
			"lets ": func(o *recount.Operation) bool { o.Left++; return o.Reason == ledger.ReasonMandateLimit },
		} {
			operations := slices.Clone(mandatedHistory())
			if !change(&operations[i]) {
				continue
			}
			if _, faults := recounted(operations); len(faults) == 0 || !strings.HasPrefix(faults[0], o.ID+" ") || !strings.Contains(faults[0], want) {
				t.Errorf("%s, another %q: %q", o.ID, want, faults)
			}
		}
	}
}

// TestMandatesThatWereGivenOtherwiseAreFound: with other limits, by nobody, or of a wallet that anyone may charge.
func TestMandatesThatWereGivenOtherwiseAreFound(t *testing.T) {
	t.Parallel()
	for i, o := range mandatedHistory() {
		var changes []func(*recount.Operation)
		switch o.Kind {
		case ledger.KindOpen:
			changes = append(changes, func(o *recount.Operation) { o.Mandated = false })
		case ledger.KindGrant:
			changes = append(
				changes, func(o *recount.Operation) { o.Limits = client.Limits{} }, func(o *recount.Operation) { o.Limits = client.Limits{MaxAmount: 3} },
				func(o *recount.Operation) { o.Merchant = "another" },
			)
		default:
			continue
		}
		for k, change := range changes {
			operations := slices.Clone(mandatedHistory())
			change(&operations[i])
			if _, faults := recounted(operations); len(faults) == 0 {
				t.Errorf("%s (%d), changed as the %d-th way: no fault", o.ID, i, k)
			}
		}
	}
}
