package loadgen

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

func goodOptions() Options {
	return Options{Rate: 10_000, For: 10 * time.Second, Wallets: 100, Skew: 1, Duplicates: 0.1, Refunds: 0.05, Withdrawals: 0.02, Holds: 0.05, Poor: 0.25, Mandated: 0.2, Grants: 0.01, Follow: 0.5, InFlight: 100, Seed: 7}
}

func TestFaultsAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	if err := goodOptions().Check(); err != nil {
		t.Fatal(err)
	}
	err := Options{Skew: -1, Duplicates: 0.95, Refunds: 0.5, Withdrawals: -1, Holds: math.NaN(), Poor: 1.1, Mandated: -1, Grants: 1, Follow: math.NaN()}.Check()
	for _, want := range []string{"rate must", "for must", "wallets must", "skew must", "duplicates must", "refunds must", "withdrawals must", "holds must", "poor must", "mandated must", "grants must", "follow must", "in-flight must"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	for _, o := range []Options{goodOptions(), goodOptions()} {
		o.For = time.Microsecond
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), "0 submissions") {
			t.Errorf("a load of nothing: %v", err)
		}
		o.For = time.Hour
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), "36000000 submissions") {
			t.Errorf("a load that cannot be kept in memory: %v", err)
		}
	}
}

func TestPlanIsAsTheOptionsSay(t *testing.T) {
	t.Parallel()
	o := goodOptions()
	p := newPlan(o)
	if n := len(p.arrivals); n != 100_000 {
		t.Fatalf("%d arrivals", n)
	}
	repeated, followed, first := 0, 0, map[int32]int{}
	for i, a := range p.arrivals {
		at, known := first[a.request]
		if known != a.again {
			t.Fatalf("arrival %d of request %d: known %v, again %v", i, a.request, known, a.again)
		}
		if !known {
			first[a.request] = i
			continue
		}
		repeated++
		// What is repeated may be a repetition itself: of one in the window.
		if i-at > 20*duplicateWindow {
			t.Errorf("arrival %d repeats arrival %d", i, at)
		}
	}
	takes, taking, kinds, sizes := make([]int64, o.Wallets), 0, map[ledger.Kind]int{}, map[int32]int{}
	referred := map[ledger.Kind]ledger.Kind{ledger.KindRefund: ledger.KindCharge, ledger.KindCapture: ledger.KindHold, ledger.KindRelease: ledger.KindHold}
	kept := 0
	for i, c := range p.requests {
		kinds[c.kind]++
		if c.follow {
			followed++
		}
		if c.keeps {
			kept++
		}
		if client.Direct(c.kind) {
			if n := p.grants[c.wallet]; p.mandates[c.wallet] == nil || (c.kind == ledger.KindGrant) != (p.limits[int32(i)] != client.Limits{}) || n > 500 {
				t.Errorf("request %d, %+v, is of limits %+v, and of %d of the wallet", i, c, p.limits[int32(i)], n)
			}
			continue
		}
		if !client.Refers(c.kind) {
			takes[c.wallet]++
			taking++
			continue
		}
		sizes[c.amount]++
		if of := p.requests[c.of]; of.kind != referred[c.kind] || of.wallet != c.wallet || int(c.of) >= i || c.keeps && c.kind != ledger.KindCapture {
			t.Fatalf("request %d, %+v, refers to request %d: %+v", i, c, c.of, of)
		}
	}
	if diff := cmp.Diff(takes, p.takes); diff != "" {
		t.Error(diff)
	}
	if sizes[0] == 0 || sizes[40] <= sizes[0] || sizes[101] == 0 || len(sizes) != 3 {
		t.Errorf("parts by their amount: %v", sizes)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.02 {
			t.Errorf("share of %s: %.3f, want %.3f", what, got, want)
		}
	}
	near("repetitions", float64(repeated)/float64(len(p.arrivals)), o.Duplicates)
	near("followed requests", float64(followed)/float64(len(p.requests)), o.Follow)
	near("refunds", float64(kinds[ledger.KindRefund])/float64(len(p.requests)), o.Refunds)
	near("withdrawals", float64(kinds[ledger.KindWithdraw])/float64(len(p.requests)), o.Withdrawals)
	holds, ends := kinds[ledger.KindHold], kinds[ledger.KindCapture]+kinds[ledger.KindRelease]
	near("holds and what ends them", float64(holds+ends)/float64(len(p.requests)), o.Holds)
	near("holds among those", float64(holds)/float64(holds+ends), 0.4)
	near("captures that keep the rest", float64(kept)/float64(kinds[ledger.KindCapture]), 0.5)
	consents := kinds[ledger.KindGrant] + kinds[ledger.KindRevoke]
	near("grants and revocations, tenfold", 10*float64(consents)/float64(len(p.requests)), 10*o.Grants)
	near("revocations among those", float64(kinds[ledger.KindRevoke])/float64(consents), revokeShare)
	harmonic := 0.0
	for k := range o.Wallets {
		harmonic += 1 / float64(k+1)
	}
	for _, k := range []int{0, 1, 9, 99} {
		near("a wallet", float64(p.takes[k])/float64(taking), 1/float64(k+1)/harmonic)
	}
	held := map[bool]int{}
	for i, amount := range p.held {
		if amount != 0 {
			held[p.poor[i] && amount > 100*chargeAmount-1]++
		}
	}
	if held[true] != 12 || held[false] != 0 {
		t.Errorf("of the 25 poor the money of these is held: %v", held)
	}
	if n := len(slices.DeleteFunc(slices.Clone(p.poor), func(poor bool) bool { return !poor })); n != 25 || p.poor[0] || !p.poor[3] {
		t.Errorf("%d are poor: %v", n, p.poor)
	}
	if diff := cmp.Diff(p, newPlan(o), cmp.AllowUnexported(plan{}, arrival{}, request{})); diff != "" {
		t.Errorf("the same seed makes another plan: %s", diff)
	}
}

func TestWithoutSkewAllWalletsAreAlike(t *testing.T) {
	t.Parallel()
	o := goodOptions()
	o.Skew, o.Poor = 0, 1
	p := newPlan(o)
	for k, n := range p.takes {
		if n < 650 || n > 1100 || !p.poor[k] {
			t.Errorf("wallet %d has %d charges, poor %v", k, n, p.poor[k])
		}
	}
}
