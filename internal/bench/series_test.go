package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                      string
		of                        series
		median, smallest, largest float64
	}{
		{"of none", nil, 0, 0, 0},
		{"of one", series{3}, 3, 3, 3},
		{"odd, in no order", series{9, 1, 4}, 4, 1, 9},
		{"even: the mean of the middle two", series{8, 1, 2, 4}, 3, 1, 8},
	} {
		if m, s, l := c.of.median(), c.of.smallest(), c.of.largest(); m != c.median || s != c.smallest || l != c.largest {
			t.Errorf("%s: median %v, smallest %v, largest %v; want %v, %v, %v", c.name, m, s, l, c.median, c.smallest, c.largest)
		}
	}
	odd := series{9, 1, 4}
	_ = odd.median()
	if diff := cmp.Diff(series{9, 1, 4}, odd); diff != "" {
		t.Errorf("the median put the rounds into another order: %s", diff)
	}
}

func TestOverGoesRoundByRound(t *testing.T) {
	t.Parallel()
	got := series{2, 6, 5, 7}.over(series{4, 3, 0})
	if diff := cmp.Diff(series{0.5, 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goal               Goal
		text               string
		ours, limit, ratio float64
		met                bool
	}{
		{ratioAtLeast(0.8), ">= 0.80", 80, 100, 0.8, true},
		{ratioAtLeast(0.8), ">= 0.80", 79, 100, 0.79, false},
		{ratioAtMost(1.15), "<= 1.15", 115, 100, 1.15, true},
		{ratioAtMost(1.15), "<= 1.15", 116, 100, 1.16, false},
		{oursAtMost(100, "MB"), "<= 100 MB", 100, 0, 0, true},
		{oursAtMost(100, "MB"), "<= 100 MB", 100.1, 0, 0, false},
		{oursAtMostOver(1, "s"), "<= limit + 1 s", 7, 6, 1.17, true},
		{oursAtMostOver(1, "s"), "<= limit + 1 s", 7.1, 6, 1.18, false},
	} {
		if c.goal.Text != c.text {
			t.Errorf("text %q, want %q", c.goal.Text, c.text)
		}
		if met := c.goal.met(c.ours, c.limit, c.ratio); met != c.met {
			t.Errorf("%s with %v against %v: met %v", c.text, c.ours, c.limit, met)
		}
	}
}
