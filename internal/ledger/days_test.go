package ledger_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// batch is what is settled at one time.
type batch struct {
	steps []step
	now   time.Time
}

// clockSteps are those of the clock, from one batch to the next: some go back.
var clockSteps = []time.Duration{
	0, time.Microsecond, time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour, 48 * time.Hour, 31 * 24 * time.Hour, -time.Hour, -24 * time.Hour, -13 * time.Hour,
}

// begins are times near to the ends of days and months.
var begins = []time.Time{
	propertyTime, propertyTime.Add(-13 * time.Hour), time.Date(2026, 3, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC),
	time.Date(2028, 2, 28, 23, 30, 0, 0, time.FixedZone("", -3600)), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
}

// checkDays runs the property on drawn beginnings and batches of some days.
func checkDays(t *testing.T, property func(t *rapid.T, start *store, batches []batch)) {
	t.Helper()
	m := newMinter(t, testSecret)
	rapid.Check(t, func(t *rapid.T) {
		start := drawStart(t)
		now := rapid.SampledFrom(begins).Draw(t, "begin")
		var all []step
		var batches []batch
		for range rapid.IntRange(2, 5).Draw(t, "batches") {
			before := len(all)
			all = drawMore(t, m, now, start, all, 24)
			batches = append(batches, batch{all[before:], now})
			now = now.Add(rapid.SampledFrom(clockSteps).Draw(t, "later"))
		}
		property(t, start, batches)
	})
}

// settleAll settles the batches one after the other.
func (s *store) settleAll(batches []batch) (verdicts []ledger.Verdict) {
	for _, b := range batches {
		v, _ := s.settle(b.steps, b.now)
		verdicts = append(verdicts, v...)
	}
	return verdicts
}

func TestBooksDecideAsTheModel(t *testing.T) {
	t.Parallel()
	checkDays(t, func(t *rapid.T, start *store, batches []batch) {
		end, model := start.clone(), newNaive(start)
		for _, b := range batches {
			verdicts, book := end.settle(b.steps, b.now)
			compareWithModel(t, model, end, b.steps, verdicts, book, b.now)
		}
	})
}

// Of no mandate more was used than the grant in force allowed, on any day, in any month, or ever, as the operations alone say.
func TestNoMandateIsExceeded(t *testing.T) {
	t.Parallel()
	checkDays(t, func(t *rapid.T, start *store, batches []batch) {
		end := start.clone()
		end.settleAll(batches)
		checkMandates(t, start, end)
	})
}

// The same of one wallet, of which much is held, and given back on other days.
func TestNoMandateOfAWalletIsExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkMandates(t, newStore(), settledOver(drawDays(t)...))
	})
}

// checkMandates says that what was decided since the start went by the mandates, and that these are what the operations say.
func checkMandates(t *rapid.T, start, end *store) {
	t.Helper()
	standing := map[ledger.WalletMerchant]ledger.Mandate{}
	for of, m := range start.mandates {
		standing[of] = ledger.Mandate{Wallet: m.Wallet, Merchant: m.Merchant, Terms: m.Terms, Given: m.Given}
	}
	for i := len(start.operations); i < len(end.operations); i++ {
		o, of := &end.operations[i], ledger.WalletMerchant{Wallet: end.operations[i].Wallet, Merchant: end.operations[i].Merchant}
		m, mandated := standing[of], end.wallets[o.Wallet].Charges == ledger.ChargesMandated
		switch {
		case o.Reason != "" || o.Sequence == 0:
			checkRefused(t, *o, m, mandated)
		case ofMandate(o.Kind):
			m.Wallet, m.Merchant, m.Given = of.Wallet, of.Merchant, o.Kind == ledger.KindGrant
			if m.Given {
				m.Terms = o.Terms
			}
			standing[of] = m
		case pays(o.Kind) && mandated:
			checkWithin(t, m, usesIn(end.operations[:i], of), *o)
		case o.MandateDay != 0:
			t.Fatalf("it uses a mandate: %+v", o)
		}
	}
	for of, m := range standing {
		if uses := usesIn(end.operations, of); len(uses) > 0 {
			m.Day, m.UsedDay, m.UsedMonth, m.Used = tally(uses)
		}
		standing[of] = m
	}
	if diff := gocmp.Diff(standing, end.mandates); diff != "" {
		t.Fatalf("mandates (-as operations say +as books do):\n%s", diff)
	}
}

// checkRefused says what a merchant without a mandate is told.
func checkRefused(t *rapid.T, o ledger.Operation, m ledger.Mandate, mandated bool) {
	t.Helper()
	told := []ledger.Reason{
		ledger.ReasonExpired, ledger.ReasonMerchantNotFound, ledger.ReasonMerchantSuspended, ledger.ReasonMandateRequired, ledger.ReasonProcessingError,
	}
	if without := o.Sequence == 0 || mandated && !m.Given; pays(o.Kind) && without && !slices.Contains(told, o.Reason) {
		t.Fatalf("it is told more: %+v", o)
	}
	if o.Reason == ledger.ReasonMandateRequired && o.Sequence != 0 && (m.Given || !mandated) {
		t.Fatalf("it has a mandate, or needs none: %+v", o)
	}
	if o.MandateDay != 0 || (o.MandateLimit != "") != (o.Reason == ledger.ReasonMandateLimit) {
		t.Fatalf("it counts, or exceeds something: %+v", o)
	}
}

// checkWithin says that the mandate let the charge or hold through rightly, given what was used before.
func checkWithin(t *rapid.T, m ledger.Mandate, used []use, o ledger.Operation) {
	t.Helper()
	day := lastDay(used, dayOf(o.DecidedAt))
	_, ofDay, ofMonth, ever := tally(append(used, use{day, o.Amount}))
	until := m.Terms.ValidUntil
	switch {
	case !m.Given, !until.IsZero() && !o.DecidedAt.Before(until):
		t.Fatalf("without a mandate in force, %+v: %+v", m, o)
	case o.MandateDay != dayNumber(day):
		t.Fatalf("for day %d, not %s: %+v", o.MandateDay, day, o)
	}
	limits := []int64{m.Terms.MaxAmount, m.Terms.PerDay, m.Terms.PerMonth, m.Terms.Total}
	for i, amount := range []int64{o.Amount, ofDay, ofMonth, ever} {
		if limits[i] != 0 && amount > limits[i] {
			t.Fatalf("%d are used of %d: %+v", amount, limits[i], o)
		}
	}
}

// Wherever a day's batch is cut, and once all came again, a month later, the outcome is the same to the digest.
func TestCutsAndReplayOfDays(t *testing.T) {
	t.Parallel()
	checkDays(t, func(t *rapid.T, start *store, batches []batch) {
		whole, parts := start.clone(), start.clone()
		want := whole.settleAll(batches)
		var got []ledger.Verdict
		for _, b := range batches {
			for rest := b.steps; len(rest) > 0; {
				n := rapid.IntRange(0, len(rest)).Draw(t, "part")
				verdicts, _ := parts.settle(rest[:n], b.now)
				got, rest = append(got, verdicts...), rest[n:]
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("verdicts (-want +got):\n%s", diff)
		}
		compareStores(t, whole, parts)
		for _, b := range batches {
			_, book := parts.settle(b.steps, b.now.AddDate(0, 1, 0))
			if len(book.Operations())+len(book.Mandates())+len(book.Wallets()) > 0 {
				t.Fatalf("a replay made %v, changed %v and %v", book.Operations(), book.Mandates(), book.Wallets())
			}
		}
		parts.conflicts = whole.conflicts
		compareStores(t, whole, parts)
	})
}

// What becomes of a mandate depends on its own wallet's order alone.
func TestOrderOfOtherWalletsOverDays(t *testing.T) {
	t.Parallel()
	checkDays(t, func(t *rapid.T, start *store, batches []batch) {
		inOrder, inOther := start.clone(), start.clone()
		inOrder.settleAll(batches)
		for _, b := range batches {
			mixed := slices.Clone(b.steps)
			slices.SortStableFunc(mixed, func(a, b step) int {
				x, y := a.wallet(), b.wallet()
				return -cmp.Compare(string(x[:]), string(y[:]))
			})
			inOther.settle(mixed, b.now)
		}
		if diff := gocmp.Diff(inOrder.mandates, inOther.mandates); diff != "" {
			t.Fatalf("mandates (-in order +in another):\n%s", diff)
		}
	})
}
