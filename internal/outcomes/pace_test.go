package outcomes_test

import (
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// TestPace sees a partition at several moments, and asks how long a thousand records take.
func TestPace(t *testing.T) {
	t.Parallel()
	type seen struct {
		after     time.Duration
		log       int32
		next, end int64
	}
	second := time.Second
	for name, c := range map[string]struct {
		seen []seen
		idle time.Duration // before it is asked
		want time.Duration // 0: not known
	}{
		"nothing":                      {},
		"once":                         {seen: []seen{{0, 1, 0, 1000}}},
		"at work":                      {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}}, want: 2 * second},
		"at work, more arrives":        {seen: []seen{{0, 1, 0, 600}, {second, 1, 500, 2000}, {second, 1, 1000, 3000}}, want: 2 * second},
		"idle in between":              {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}, {8 * second, 1, 1001, 1001}}, want: 2 * second},
		"never behind":                 {seen: []seen{{0, 1, 0, 1}, {second, 1, 1, 2}, {second, 1, 2, 3}}},
		"it stands":                    {seen: []seen{{0, 1, 5, 1000}, {second, 1, 5, 1000}, {second, 1, 5, 1000}}},
		"it stood, and goes on":        {seen: []seen{{0, 1, 0, 1000}, {second, 1, 0, 1000}, {second, 1, 500, 1000}}, want: 4 * second},
		"long ago":                     {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}}, idle: 11 * second},
		"too short":                    {seen: []seen{{0, 1, 0, 1000}, {300 * time.Millisecond, 1, 500, 1000}}},
		"sooner than counts":           {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}, {time.Millisecond, 1, 999, 1000}}, want: 2 * second},
		"a log that was made anew":     {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}, {second, 2, 600, 5000}}},
		"a progress that was put back": {seen: []seen{{0, 1, 0, 1000}, {second, 1, 500, 1000}, {second, 1, 10, 1000}, {second, 1, 110, 1000}}, want: 10 * second},
	} {
		now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
		p := outcomes.NewPace(func() time.Time { return now })
		for _, s := range c.seen {
			now = now.Add(s.after)
			p.See(3, ledger.Place{Log: s.log, Offset: s.next}, s.end)
		}
		now = now.Add(c.idle)
		got, known := p.Takes(3, 1000)
		if known != (c.want != 0) || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, known, c.want)
		}
		if _, known := p.Takes(4, 1000); known {
			t.Errorf("%s: another partition is known", name)
		}
	}
}
