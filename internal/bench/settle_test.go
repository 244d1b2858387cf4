package bench

import (
	"testing"
	"time"
)

func TestProgressIsReadSeldomInBetween(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_000, 0)
	first := stand{at: began, offsets: 100}
	after := func(d time.Duration, offsets int64) stand { return stand{at: began.Add(d), offsets: offsets} }
	for name, row := range map[string]struct {
		first, now stand
		want       time.Duration
	}{
		"nothing settled yet":   {stand{}, after(time.Second, 0), pollLeast},
		"only the first":        {first, first, pollLeast},
		"a second is left":      {first, after(time.Second, 600), pollMost},
		"a fifth of it is left": {first, after(time.Second, 1_000), 28 * time.Millisecond},
		"hardly any is left":    {first, after(time.Second, 1_099), pollLeast},
	} {
		if got := nextPoll(row.first, row.now, 1_100).Round(time.Millisecond); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}
