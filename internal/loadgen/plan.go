package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"
)

// duplicateWindow is how far back a submission is repeated, in arrivals.
const duplicateWindow = 1000

// plan is every arrival and every charge, before the first one is sent.
type plan struct {
	arrivals []arrival
	charges  []charge
	poor     []bool  // by wallet
	counts   []int64 // charges, by wallet
}

// arrival is one submission: of a charge, for the first time or again.
type arrival struct {
	charge int32
	again  bool
}

// charge is one charge, and what its callers know of it.
type charge struct {
	wallet int32
	follow bool // the first submission waits for the outcome

	sent    bool   // at least once
	unknown bool   // some answer, or none at all, leaves open whether it was taken
	id      string // of its operation; empty: no submission of it was taken
	outcome string // accepted or a reason, as a caller saw it; empty: none did
}

func newPlan(o Options) *plan {
	r := rand.New(rand.NewPCG(o.Seed, 0))
	p := &plan{
		arrivals: make([]arrival, o.arrivals()),
		poor:     make([]bool, o.Wallets), counts: make([]int64, o.Wallets),
	}
	for rank := range p.poor {
		p.poor[rank] = math.Floor(float64(rank+1)*o.Poor) > math.Floor(float64(rank)*o.Poor)
	}
	wallets := newSkewed(o.Wallets, o.Skew)
	for i := range p.arrivals {
		if i > 0 && r.Float64() < o.Duplicates {
			p.arrivals[i] = arrival{charge: p.arrivals[i-1-r.IntN(min(i, duplicateWindow))].charge, again: true}
			continue
		}
		c := charge{wallet: int32(wallets.draw(r)), follow: r.Float64() < o.Follow}
		p.counts[c.wallet]++
		p.arrivals[i] = arrival{charge: int32(len(p.charges))}
		p.charges = append(p.charges, c)
	}
	return p
}

// skewed draws numbers from 0 on: k with a weight of 1/(k+1)^skew.
type skewed struct{ cumulative []float64 }

func newSkewed(n int, skew float64) skewed {
	s := skewed{cumulative: make([]float64, n)}
	sum := 0.0
	for k := range s.cumulative {
		sum += math.Pow(float64(k+1), -skew)
		s.cumulative[k] = sum
	}
	return s
}

func (s skewed) draw(r *rand.Rand) int {
	last := len(s.cumulative) - 1
	at, _ := slices.BinarySearch(s.cumulative, r.Float64()*s.cumulative[last])
	return min(at, last)
}
