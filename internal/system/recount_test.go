package system

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

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
	wanted := []string{
		"charge", "refund", "charge insufficient_funds", "charge duplicate_invoice", "refund refund_exceeds_charge", "withdraw",
		"hold", "hold insufficient_funds", "capture", "capture exceeds_hold", "capture hold_closed", "release", "release exceeds_hold",
		"grant", "revoke", "revoke mandate_not_found", "charge mandate_required", "charge mandate_expired", "charge mandate_limit_exceeded",
		"hold mandate_required", "hold mandate_limit_exceeded",
	}
	l := startLoad(t, newRand(t), []*api{operator}, 10)
	l.await(4000)
	awaitThat(t, "the load has every kind and reason", func() bool {
		kinds := outcomes(s.books().history)
		return !slices.ContainsFunc(wanted, func(kind string) bool { return kinds[kind] == 0 })
	})
	s.check(l)
	asked, b := byKey(l.all), s.books()
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
	// behind is an accepted grant of such limits, or a revocation, and the wallet's first charge that came to this while it held.
	behind := func(of func(*taken) bool, reason ledger.Reason) (i, next int, c *taken) {
		t.Helper()
		for i, o := range b.history {
			c := asked[o.wallet+o.key]
			if c == nil || !client.Direct(o.Kind) || o.Reason != "" || !of(c) {
				continue
			}
			for next := i + 1; next < len(b.history) && b.history[next].wallet == o.wallet && !client.Direct(b.history[next].Kind); next++ {
				if at := b.history[next]; at.Kind == ledger.KindCharge && at.Reason == reason {
					return i, next, c
				}
			}
		}
		t.Fatalf("no charge is %q behind such an operation of a mandate", reason)
		return 0, 0, nil
	}
	revoked, uncovered, _ := behind(func(c *taken) bool { return c.Kind == ledger.KindRevoke }, ledger.ReasonMandateRequired)
	daily, _, dailyAsked := behind(func(c *taken) bool { return c.PerDay > 1 && c.Total == 0 }, "")
	monthly, _, monthlyAsked := behind(func(c *taken) bool { return c.PerMonth > 1 && c.PerDay == 0 }, "")
	ending, late, endingAsked := behind(func(c *taken) bool { return !c.ValidUntil.IsZero() }, ledger.ReasonMandateExpired)
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
		"no revocation":                {func(o *recorded, _ *taken) { o.Reason = "" }, uncovered, asked[b.history[uncovered].wallet+b.history[uncovered].key], "is accepted, not mandate_required"},
		"a revocation that was not":    {func(o *recorded, _ *taken) { o.Reason = ledger.ReasonMandateNotFound }, revoked, asked[b.history[revoked].wallet+b.history[revoked].key], "is mandate_not_found, not accepted"},
		"a lower limit of a day":       {func(_ *recorded, c *taken) { c.PerDay = 1 }, daily, dailyAsked, "is accepted, not mandate_limit_exceeded"},
		"a lower limit of a month":     {func(_ *recorded, c *taken) { c.PerMonth = 1 }, monthly, monthlyAsked, "is accepted, not mandate_limit_exceeded"},
		"a mandate that does not end":  {func(_ *recorded, c *taken) { c.ValidUntil = time.Time{} }, ending, endingAsked, "is mandate_expired, not"},
		"a charge before the end":      {func(o *recorded, _ *taken) { o.At = o.At.Add(-time.Hour) }, late, asked[b.history[late].wallet+b.history[late].key], "is mandate_expired, not"},
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
	of := revoked
	twiceTold, lost, invented := b, b, b
	twiceTold.history = slices.Insert(slices.Clone(b.history), of, b.history[of])
	lost.history = slices.Delete(slices.Clone(b.history), of, of+1)
	invented.history = slices.Clone(b.history)
	invented.history[of].key = "another"
	for what, row := range map[string]struct {
		books
		lost, twice, faults int
	}{
		"nothing changed":              {b, 0, 0, 0},
		"a revocation applied twice":   {twiceTold, 0, 1, 0},
		"a revocation that is lost":    {lost, 1, 0, 0},
		"a revocation that nobody had": {invented, 1, 0, 1},
	} {
		if v, faults := row.judge(l, l.all, asked); len(v.lost) != row.lost || len(v.twice) != row.twice || len(v.disordered) != 0 || len(faults) != row.faults {
			t.Errorf("%s: found %s, %q", what, v, faults)
		}
	}
	l.undo(func() {})
	if v, _ := lost.judge(l, l.all, asked); len(v.lost) != 1 {
		t.Error("what was decided before the database was put back may be lost")
	}
	l.undone[0].from = time.Time{}
	if v, _ := lost.judge(l, l.all, asked); len(v.lost) != 0 {
		t.Error("what the database has forgotten counts as lost")
	}
}
