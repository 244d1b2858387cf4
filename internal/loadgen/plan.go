package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	duplicateWindow = 1000 // how far back a submission is repeated, in arrivals
	refundWindow    = 1000 // how far back a charge is refunded, in charges
)

// plan is every arrival and every request, before the first one is sent.
type plan struct {
	arrivals []arrival
	requests []request
	poor     []bool  // by wallet
	takes    []int64 // requests that take chargeAmount, by wallet
}

// arrival is one submission: of a request, for the first time or again.
type arrival struct {
	request int32
	again   bool
}

// request is a charge, a refund or a withdrawal, and what its callers know of it.
type request struct {
	kind   ledger.Kind
	wallet int32
	of     int32 // of a refund: the charge
	amount int32 // minor units; of a refund 0: all that is left
	follow bool  // the first submission waits for the outcome

	unknown bool   // some answer, or none at all, leaves open whether it was taken
	id      string // of its operation; empty: no submission of it was taken
	outcome string // accepted or a reason, as a caller saw it; empty: none did
}

func newPlan(o Options) *plan {
	r := rand.New(rand.NewPCG(o.Seed, 0))
	p := &plan{
		arrivals: make([]arrival, o.arrivals()),
		poor:     make([]bool, o.Wallets), takes: make([]int64, o.Wallets),
	}
	for rank := range p.poor {
		p.poor[rank] = math.Floor(float64(rank+1)*o.Poor) > math.Floor(float64(rank)*o.Poor)
	}
	wallets := newSkewed(o.Wallets, o.Skew)
	var charges []int32
	for i := range p.arrivals {
		if i > 0 && r.Float64() < o.Duplicates {
			p.arrivals[i] = arrival{request: p.arrivals[i-1-r.IntN(min(i, duplicateWindow))].request, again: true}
			continue
		}
		next := int32(len(p.requests))
		c := request{kind: ledger.KindCharge, wallet: int32(wallets.draw(r)), amount: chargeAmount, follow: r.Float64() < o.Follow}
		switch at := r.Float64(); {
		case at < o.Refunds && len(charges) > 0:
			c.kind, c.of, c.amount = ledger.KindRefund, charges[len(charges)-1-r.IntN(min(len(charges), refundWindow))], refundAmount(r)
			c.wallet = p.requests[c.of].wallet
		case at < o.Refunds+o.Withdrawals:
			c.kind = ledger.KindWithdraw
			p.takes[c.wallet]++
		default:
			charges = append(charges, next)
			p.takes[c.wallet]++
		}
		p.arrivals[i] = arrival{request: next}
		p.requests = append(p.requests, c)
	}
	return p
}

// refundAmount is mostly a part that a charge can give back twice, often all that is
// left, seldom more than any charge took.
func refundAmount(r *rand.Rand) int32 {
	switch r.IntN(10) {
	case 0:
		return chargeAmount + 1
	case 1, 2, 3:
		return 0
	}
	return chargeAmount * 2 / 5
}

// counts is how many requests there are of each kind.
func (p *plan) counts() Counts {
	n := Counts{}
	for i := range p.requests {
		n[string(p.requests[i].kind)]++
	}
	return n
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
