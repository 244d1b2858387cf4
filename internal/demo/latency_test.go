package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, c := range []struct {
		name string
		n    int // durations of 1 to n ms, longest first
		want Spread
	}{
		{"none", 0, Spread{}},
		{"one", 1, Spread{Count: 1, P50: ms(1), P99: ms(1)}},
		{"two", 2, Spread{Count: 2, P50: ms(1), P99: ms(2)}},
		{"hundred", 100, Spread{Count: 100, P50: ms(50), P99: ms(99)}},
		{"thousand", 1000, Spread{Count: 1000, P50: ms(500), P99: ms(990)}},
	} {
		var l latencies
		for i := c.n; i > 0; i-- {
			l.add(ms(i))
		}
		if diff := cmp.Diff(c.want, l.spread()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
