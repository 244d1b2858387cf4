package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	duplicateWindow = 1000 // how far back a submission is repeated, in arrivals
	refundWindow    = 1000 // how far back a charge is refunded, in charges
	holdWindow      = 20   // how far back a hold is captured or released, in holds: few have ended
)

// plan is every arrival and every request, before the first one is sent.
type plan struct {
	arrivals []arrival
	requests []request
	poor     []bool                  // by wallet
	held     []int64                 // by wallet: what is held of the poor to begin with
	takes    []int64                 // requests that take chargeAmount of what is available, by wallet
	mandates []map[int]client.Limits // by wallet and merchant, to begin with; nil: anyone charges the wallet
	limits   map[int32]client.Limits // by request: of grants during the load
	grants   map[int32]int64         // how many of those there are, by wallet
}

// arrival is one submission: of a request, for the first time or again.
type arrival struct {
	request int32
	again   bool
}

// request is what is asked of a wallet, and what its callers know of it.
type request struct {
	kind   ledger.Kind
	wallet int32
	of     int32 // of what refers to another request: that one
	amount int32 // minor units; of what refers to another request 0: all that is left
	keeps  bool  // of a capture: what it leaves stays held
	follow bool  // the first submission waits for the outcome

	unknown bool   // some answer, or none at all, leaves open whether it was taken
	id      string // of its operation; empty: no submission of it was taken
	outcome string // accepted or a reason, as a caller saw it; empty: none did
}

func newPlan(o Options) *plan {
	r := rand.New(rand.NewPCG(o.Seed, 0))
	p := &plan{
		arrivals: make([]arrival, o.arrivals()),
		poor:     make([]bool, o.Wallets), held: make([]int64, o.Wallets), takes: make([]int64, o.Wallets),
		limits: map[int32]client.Limits{}, grants: map[int32]int64{},
	}
	for rank := range p.poor {
		var nth int
		if nth, p.poor[rank] = picked(rank, o.Poor, 0); p.poor[rank] && nth%2 == 0 {
			p.held[rank] = heldAmount
		}
	}
	wallets, mandated := newSkewed(o.Wallets, o.Skew), o.mandated()
	consents := newSkewed(len(mandated), o.Skew)
	var charges, holds []int32
	for i := range p.arrivals {
		if i > 0 && r.Float64() < o.Duplicates {
			p.arrivals[i] = arrival{request: p.arrivals[i-1-r.IntN(min(i, duplicateWindow))].request, again: true}
			continue
		}
		next := int32(len(p.requests))
		c := request{kind: ledger.KindCharge, wallet: int32(wallets.draw(r)), amount: chargeAmount, follow: r.Float64() < o.Follow}
		switch at := r.Float64(); {
		case at < o.Refunds && len(charges) > 0:
			c = c.part(r, ledger.KindRefund, charges[max(0, len(charges)-refundWindow):])
		case at < o.Refunds+o.Withdrawals:
			c.kind = ledger.KindWithdraw
		case at < o.Refunds+o.Withdrawals+o.Holds:
			if c.kind = endOrHold(r); c.kind == ledger.KindHold || len(holds) == 0 {
				c.kind, holds = ledger.KindHold, append(holds, next)
			} else {
				c = c.part(r, c.kind, holds[max(0, len(holds)-holdWindow):])
			}
		case at < o.Refunds+o.Withdrawals+o.Holds+o.Grants && len(mandated) > 0:
			c = p.consent(r, mandated[consents.draw(r)])
		default:
			charges = append(charges, next)
		}
		switch {
		case client.Refers(c.kind):
			c.wallet = p.requests[c.of].wallet
		case !client.Direct(c.kind):
			p.takes[c.wallet]++
		}
		p.arrivals[i] = arrival{request: next}
		p.requests = append(p.requests, c)
	}
	p.mandate(o.Mandated)
	return p
}

// picked reports whether the rank is one of the share of all, spread evenly; nth counts those up to it. The phase, below 1, brings
// them forward by that part of the distance between them.
func picked(rank int, share, phase float64) (nth int, is bool) {
	upTo := func(rank int) int { return int(math.Floor(float64(rank)*share + phase)) }
	return upTo(rank + 1), upTo(rank+1) > upTo(rank)
}

// part is the request as one of the kind, which moves a part of one of those.
func (c request) part(r *rand.Rand, kind ledger.Kind, of []int32) request {
	c.kind, c.of, c.amount = kind, of[r.IntN(len(of))], partAmount(r)
	c.keeps = kind == ledger.KindCapture && r.IntN(2) == 0
	return c
}

// endOrHold draws captures and releases together oftener than holds: some are captured in parts.
func endOrHold(r *rand.Rand) ledger.Kind {
	return []ledger.Kind{ledger.KindHold, ledger.KindHold, ledger.KindCapture, ledger.KindCapture, ledger.KindRelease}[r.IntN(5)]
}

// partAmount is mostly a part that a charge can give back twice, often all that is
// left, seldom more than any charge took or hold holds.
func partAmount(r *rand.Rand) int32 {
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
