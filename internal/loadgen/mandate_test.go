package loadgen

import (
	"testing"
	"time"

	"github.com/monedero/monedero/internal/client"
)

// TestPlanOfMandates counts on its own what each merchant asks of each wallet.
func TestPlanOfMandates(t *testing.T) {
	t.Parallel()
	wide := Options{Rate: 400, For: 10 * time.Second, Wallets: 1000, Duplicates: 0.1, Refunds: 0.1, Holds: 0.1, Poor: 0.05, Mandated: 0.1, Seed: 3}
	for name, row := range map[string]struct {
		options                       Options
		mandated, poor, least, atMost int // wallets; of those without a mandate of one merchant so many
	}{
		"spread":          {wide, 100, 0, 50, 50},
		"on a few":        {goodOptions(), 20, 5, 0, 1},
		"all":             {with(wide, func(o *Options) { o.Mandated = 1 }), 1000, 50, 50, 499},
		"none":            {with(wide, func(o *Options) { o.Mandated = 0 }), 0, 0, 0, 0},
		"one of a single": {with(wide, func(o *Options) { o.Wallets, o.Mandated = 1, 1 }), 1, 0, 0, 0},
	} {
		p := newPlan(row.options)
		type from struct {
			wallet   int32
			merchant int
		}
		asks, submits := map[from]int64{}, map[from]int{}
		for i, c := range p.requests {
			if m, ok := p.merchant(int32(i)); ok && !client.Refers(c.kind) {
				asks[from{c.wallet, m}] += int64(c.amount)
			}
		}
		for _, a := range p.arrivals {
			if m, ok := p.merchant(a.request); ok {
				submits[from{p.requests[a.request].wallet, m}]++
			}
		}
		mandated, poor, without, submitted := 0, 0, 0, 0
		for i, given := range p.mandates {
			if given == nil {
				continue
			}
			mandated++
			if p.poor[i] {
				poor++
			}
			for m := range merchants {
				w := from{int32(i), m}
				limits, lets := given[m]
				want := client.Limits{}
				if m == limited {
					want.Total = max(chargeAmount, asks[w]/2/chargeAmount*chargeAmount)
				}
				switch {
				case !lets && m == unlet:
					without++
					submitted += submits[w]
				case !lets || limits != want:
					t.Errorf("%s: wallet %d lets merchant %d take %+v (%v), not %+v", name, i, m, limits, lets, want)
				}
			}
		}
		if mandated != row.mandated || poor != row.poor {
			t.Errorf("%s: %d wallets are mandated, %d of them poor", name, mandated, poor)
		}
		if without < row.least || without > row.atMost || submitted > maxUnlet {
			t.Errorf("%s: %d wallets do not let a merchant charge them, which submits %d", name, without, submitted)
		}
	}
}

func with(o Options, change func(*Options)) Options {
	change(&o)
	return o
}
