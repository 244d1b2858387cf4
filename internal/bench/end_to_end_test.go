package bench

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/loadgen"
)

// TestHighestRate: the rates that are tried, where so many a second are settled.
func TestHighestRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what                               string
		first, limit, bisections, capacity int
		tried                              []int
		want                               int
	}{
		{"above the first", 1000, 100_000, 2, 5000, []int{1000, 2000, 4000, 8000, 5657, 4757}, 4757},
		{"below the first", 1000, 100_000, 2, 300, []int{1000, 500, 250, 354, 297}, 297},
		{"all hold", 1000, 3000, 2, 5000, []int{1000, 2000, 3000}, 3000},
		{"the limit does not", 1000, 3000, 1, 2500, []int{1000, 2000, 3000, 2449}, 2449},
		{"the first is the limit", 250, 250, 2, 5000, []int{250}, 250},
		{"no rate lies between", 1, 10, 5, 1, []int{1, 2}, 1},
	} {
		var tried []int
		got, err := highestRate(c.first, c.limit, c.bisections, func(rate int) (bool, error) {
			tried = append(tried, rate)
			return rate <= c.capacity, nil
		})
		if err != nil || got != c.want || !slices.Equal(tried, c.tried) {
			t.Errorf("%s: %d, %v after %v; want %d after %v", c.what, got, err, tried, c.want, c.tried)
		}
	}
	if _, err := highestRate(4, 8, 2, func(int) (bool, error) { return false, nil }); err == nil {
		t.Error("nothing holds, and a rate was found")
	}
	broken := errors.New("broken")
	if _, err := highestRate(4, 8, 2, func(int) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("want the fault, got %v", err)
	}
}

// TestUnheld plays loads of 8 s whose lag is seen twice a second.
func TestUnheld(t *testing.T) {
	t.Parallel()
	const lasts = 8 * time.Second
	began := time.Now()
	lag := func(at func(second float64) int64) (seen lags) {
		for s := -1.0; s < 12; s += 0.5 {
			seen = append(seen, lagAt{began.Add(time.Duration(s * float64(time.Second))), at(s)})
		}
		return seen
	}
	steady := lag(func(float64) int64 { return 40 })
	good := func() loadgen.Report {
		return loadgen.Report{
			Rate: 1000, Began: began, Submissions: 8000, Achieved: 1000, InFlight: 10, Answers: map[string]int64{"200": 3000, "202": 5000},
		}
	}
	for _, c := range []struct {
		what   string
		change func(*loadgen.Report)
		seen   lags
		want   string
	}{
		{"steady", func(*loadgen.Report) {}, steady, ""},
		{"grows slowly", func(*loadgen.Report) {}, lag(func(s float64) int64 { return int64(20 * s) }), ""},
		{"grows", func(*loadgen.Report) {}, lag(func(s float64) int64 { return int64(50 * s) }), "the lag was 188 in the middle and 338 at the end"},
		{"a spike", func(*loadgen.Report) {}, lag(func(s float64) int64 {
			if s == 6.5 {
				return 10_000
			}
			return 40
		}), ""},
		{"shrinks, and grows when nothing comes any more", func(*loadgen.Report) {}, lag(func(s float64) int64 {
			if s >= 8 {
				return 10_000
			}
			return int64(1000 - 50*s)
		}), ""},
		{"some were shed", func(r *loadgen.Report) { r.Answers["202"]--; r.Answers["503 overloaded"]++ }, steady, "1 of 8000 were refused"},
		{"some were not sent", func(r *loadgen.Report) { r.Answers["202"] -= 2; r.NotSent += 2 }, steady, "10 were in flight and 2 more could not be sent"},
		{"sent too slowly", func(r *loadgen.Report) { r.Achieved = 900 }, steady, "only 900/s could be sent"},
	} {
		report := good()
		c.change(&report)
		if got := unheld(report, c.seen, lasts); got != c.want {
			t.Errorf("%s: %q; want %q", c.what, got, c.want)
		}
	}
	if why := unheld(good(), steady[:8], lasts); why == "" {
		t.Error("nobody saw the lag at the end, and yet it holds")
	}
}

func TestRateNotes(t *testing.T) {
	t.Parallel()
	quick := strings.Join(rateNotes(4000, mostRate, 2000, 4*time.Second, []string{"8000/s: why", "5657/s: also"}), "\n")
	for _, part := range []string{"4000/s", "2000/s", "for 4s", "tries each rate for 30s", "8000/s: why; 5657/s: also"} {
		if !strings.Contains(quick, part) {
			t.Errorf("%q is not in %q", part, quick)
		}
	}
	full := strings.Join(rateNotes(500, 500, 250, fullLoad, nil), "\n")
	if !strings.Contains(full, "500/s at least") || strings.Contains(full, "full form") || strings.Contains(full, "did not hold") {
		t.Error(full)
	}
}

func TestTypical(t *testing.T) {
	t.Parallel()
	got := typical([]alone{{1, 20, 300}, {2, 10, 100}, {9, 30, 200}})
	if want := (alone{2, 20, 200}); got != want || got.sum() != 222 {
		t.Errorf("%+v, %v", got, got.sum())
	}
}
