package system

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/client"
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
	l.await(4000)
	s.check(l)
	asked, b := byKey(l.all), s.books()
	kinds := outcomes(b.history)
	for _, kind := range []string{
		"charge", "refund", "charge insufficient_funds", "charge duplicate_invoice", "refund refund_exceeds_charge", "withdraw",
		"hold", "hold insufficient_funds", "capture", "capture exceeds_hold", "capture hold_closed", "release", "release exceeds_hold",
		"grant", "charge mandate_limit_exceeded",
	} {
		if kinds[kind] == 0 {
			t.Errorf("the load has no %s: %v", kind, kinds)
		}
	}
	// find is an operation of the load that leaves something of what it refers to, and the same as its caller remembers it.
	find := func(kind ledger.Kind, reason ledger.Reason, amount int64) (int, *taken) {
		t.Helper()
		i := slices.IndexFunc(b.history, func(o recorded) bool {
			c := asked[o.wallet+o.key]
			return o.Kind == kind && o.Reason == reason && c != nil && c.Amount == amount && (!client.Refers(kind) || o.Left > 0)
		})
		if i < 0 {
			t.Fatalf("the load has no %s of %d", kind, amount)
		}
		return i, asked[b.history[i].wallet+b.history[i].key]
	}
	part, partAsked := find(ledger.KindRefund, "", loadPart)
	tooMuch, tooMuchAsked := find(ledger.KindRefund, ledger.ReasonRefundExceedsCharge, loadAmount+1)
	out, outAsked := find(ledger.KindWithdraw, "", loadAmount)
	hold, holdAsked := find(ledger.KindHold, "", loadAmount)
	beyond, beyondAsked := find(ledger.KindCharge, ledger.ReasonMandateLimit, loadAmount)
	twice, twiceAsked := find(ledger.KindCharge, ledger.ReasonDuplicateInvoice, loadAmount)
	kept, keptAsked := find(ledger.KindCapture, "", loadPart)
	tooLarge, tooLargeAsked := find(ledger.KindCapture, ledger.ReasonExceedsHold, loadAmount+1)
	released, releasedAsked := find(ledger.KindRelease, "", loadPart)
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

		"a hold of much more":          {func(_ *recorded, c *taken) { c.Amount = 2 * loadFunding }, hold, holdAsked, "not insufficient_funds"},
		"a hold of less":               {func(_ *recorded, c *taken) { c.Amount = 1 }, hold, holdAsked, "moved 7, not 1"},
		"an invoice that is not taken": {func(_ *recorded, c *taken) { c.Invoice = "another" }, twice, twiceAsked, "is duplicate_invoice, not"},
		"a limit of another amount":    {func(o *recorded, _ *taken) { o.Left++ }, beyond, beyondAsked, "says that the mandate lets"},
		"no limit":                     {func(o *recorded, _ *taken) { o.Reason = "" }, beyond, beyondAsked, "is accepted, not mandate_limit_exceeded"},
		"what is held":                 {func(o *recorded, _ *taken) { o.HeldAfter-- }, hold, holdAsked, "held, not"},
		"a capture that was the last":  {func(_ *recorded, c *taken) { c.Final = nil }, kept, keptAsked, "of what it refers to, not 0"},
		"a capture of too much":        {func(_ *recorded, c *taken) { c.Amount = 9 }, kept, keptAsked, "not exceeds_hold"},
		"a capture of a capture":       {func(o *recorded, _ *taken) { o.Refers = o.ID }, kept, keptAsked, "not hold_not_found"},
		"too large that was not":       {func(_ *recorded, c *taken) { c.Amount = 1 }, tooLarge, tooLargeAsked, "is exceeds_hold, not accepted"},
		"a release that took":          {func(o *recorded, _ *taken) { o.Kind = ledger.KindCapture }, released, releasedAsked, ", not"},
		"an expire for a release":      {func(o *recorded, _ *taken) { o.Kind, o.key = ledger.KindExpire, "" }, released, releasedAsked, "moved 3, not"},
	} {
		changed, was := b, *tampered.of
		changed.history = slices.Clone(b.history)
		tampered.do(&changed.history[tampered.at], tampered.of)
		faults := changed.recount(l, asked)
		*tampered.of = was
		if len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), tampered.want) {
			t.Errorf("%s: found %q", name, faults)
		}
	}
	for what, change := range map[string]func(*books){
		"wallet ": func(b *books) {
			b.wallets = maps.Clone(b.wallets)
			f := b.wallets[l.wallets[1]]
			f.Held++
			b.wallets[l.wallets[1]] = f
		},
		"the merchant ": func(b *books) { b.accounts = nil },
		"all accounts ": func(b *books) { b.sum = 1 },
	} {
		changed := b
		change(&changed)
		if faults := changed.recount(l, asked); len(faults) != 1 || !strings.HasPrefix(faults[0], what) {
			t.Errorf("another %q: found %q", what, faults)
		}
	}
	if faults := b.recount(l, asked); len(faults) > 0 {
		t.Errorf("with nothing changed: %q", faults)
	}
}
