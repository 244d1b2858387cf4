package loadgen

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func goodOptions() Options {
	return Options{Rate: 10_000, For: 10 * time.Second, Wallets: 100, Skew: 1, Duplicates: 0.1, Poor: 0.25, Follow: 0.5, InFlight: 100, Seed: 7}
}

func TestFaultsAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	if err := goodOptions().Check(); err != nil {
		t.Fatal(err)
	}
	err := Options{Skew: -1, Duplicates: 0.95, Poor: 1.1, Follow: math.NaN()}.Check()
	for _, want := range []string{"rate must", "for must", "wallets must", "skew must", "duplicates must", "poor must", "follow must", "in-flight must"} {
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
		at, known := first[a.charge]
		if known != a.again {
			t.Fatalf("arrival %d of charge %d: known %v, again %v", i, a.charge, known, a.again)
		}
		if !known {
			first[a.charge] = i
			continue
		}
		repeated++
		// What is repeated may be a repetition itself: of one in the window.
		if i-at > 20*duplicateWindow {
			t.Errorf("arrival %d repeats arrival %d", i, at)
		}
	}
	counts := make([]int64, o.Wallets)
	for _, c := range p.charges {
		counts[c.wallet]++
		if c.follow {
			followed++
		}
	}
	if diff := cmp.Diff(counts, p.counts); diff != "" {
		t.Error(diff)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.02 {
			t.Errorf("share of %s: %.3f, want %.3f", what, got, want)
		}
	}
	near("repetitions", float64(repeated)/float64(len(p.arrivals)), o.Duplicates)
	near("followed charges", float64(followed)/float64(len(p.charges)), o.Follow)
	harmonic := 0.0
	for k := range o.Wallets {
		harmonic += 1 / float64(k+1)
	}
	for _, k := range []int{0, 1, 9, 99} {
		near("a wallet", float64(p.counts[k])/float64(len(p.charges)), 1/float64(k+1)/harmonic)
	}
	if n := len(slices.DeleteFunc(slices.Clone(p.poor), func(poor bool) bool { return !poor })); n != 25 || p.poor[0] || !p.poor[3] {
		t.Errorf("%d are poor: %v", n, p.poor)
	}
	if diff := cmp.Diff(p, newPlan(o), cmp.AllowUnexported(plan{}, arrival{}, charge{})); diff != "" {
		t.Errorf("the same seed makes another plan: %s", diff)
	}
}

func TestWithoutSkewAllWalletsAreAlike(t *testing.T) {
	t.Parallel()
	o := goodOptions()
	o.Skew, o.Poor = 0, 1
	p := newPlan(o)
	for k, n := range p.counts {
		if n < 700 || n > 1100 || !p.poor[k] {
			t.Errorf("wallet %d has %d charges, poor %v", k, n, p.poor[k])
		}
	}
}
