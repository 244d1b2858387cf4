package system

import (
	"slices"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// TestCheckerFindsWhatItDidNotAskFor runs a load, and then changes what its callers remember or
// what is on record, one thing after the other: the second decision finds each.
func TestCheckerFindsWhatItDidNotAskFor(t *testing.T) {
	t.Parallel()
	s := newStack(t, 2)
	_, operator := s.ingest()
	s.processor()
	l := startLoad(t, newRand(t), []*api{operator}, 10)
	l.await(800)
	s.check(l)
	asked, history := byKey(l.all), s.history()
	kinds := outcomes(history)
	for _, kind := range []string{"charge", "refund", "charge insufficient_funds", "refund refund_exceeds_charge", "withdraw"} {
		if kinds[kind] == 0 {
			t.Errorf("the load has no %s: %v", kind, kinds)
		}
	}
	find := func(kind ledger.Kind, reason ledger.Reason, amount int64) (int, *taken) {
		t.Helper()
		i := slices.IndexFunc(history, func(o recorded) bool {
			c := asked[o.wallet+o.key]
			return o.Kind == kind && o.Reason == reason && c != nil && c.Amount == amount && (reason == "" || o.Left > 0)
		})
		if i < 0 {
			t.Fatalf("the load has no %s of %d", kind, amount)
		}
		return i, asked[history[i].wallet+history[i].key]
	}
	part, partAsked := find(ledger.KindRefund, "", refundPart)
	tooMuch, tooMuchAsked := find(ledger.KindRefund, ledger.ReasonRefundExceedsCharge, loadAmount+1)
	out, outAsked := find(ledger.KindWithdraw, "", loadAmount)
	for name, tampered := range map[string]struct {
		do   func(*recorded, *taken)
		at   int
		of   *taken
		want string
	}{
		"a part that was another":   {func(_ *recorded, c *taken) { c.Amount = 1 }, part, partAsked, "moved 3, not 1"},
		"a part that was too much":  {func(_ *recorded, c *taken) { c.Amount = 9 }, part, partAsked, "not refund_exceeds_charge"},
		"too much that was not":     {func(_ *recorded, c *taken) { c.Amount = 0 }, tooMuch, tooMuchAsked, "is refund_exceeds_charge, not accepted"},
		"a refund of another":       {func(o *recorded, _ *taken) { o.Refers = o.ID }, part, partAsked, "not charge_not_found"},
		"what is left":              {func(o *recorded, _ *taken) { o.Left++ }, part, partAsked, "of what it refers to"},
		"a balance":                 {func(o *recorded, _ *taken) { o.BalanceAfter++ }, out, outAsked, "leaves a balance of"},
		"an order":                  {func(o *recorded, _ *taken) { o.Sequence += 2 }, out, outAsked, "has the sequence"},
		"a withdrawal of much more": {func(_ *recorded, c *taken) { c.Amount = 2 * loadFunding }, out, outAsked, "not insufficient_funds"},
	} {
		changed, was := slices.Clone(history), *tampered.of
		tampered.do(&changed[tampered.at], tampered.of)
		faults := s.recount(l, asked, changed)
		*tampered.of = was
		if len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), tampered.want) {
			t.Errorf("%s: found %q", name, faults)
		}
	}
	if faults := s.recount(l, asked, history); len(faults) > 0 {
		t.Errorf("with nothing changed: %q", faults)
	}
}
