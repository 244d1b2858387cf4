package loadgen

import (
	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	limited  = 1  // the merchant whose mandates have a total
	unlet    = 3  // the merchant that has none of every second mandated wallet
	maxUnlet = 50 // of its submissions are of such wallets: of a hundred Monedero refuses more, at the door
)

// mandate plans which wallets give which mandates. A limited total is half of what its merchant asks for.
func (p *plan) mandate(share float64) {
	p.mandates = make([]map[int]client.Limits, len(p.poor))
	without := map[int32]bool{}
	for rank := range p.mandates {
		nth, is := picked(rank, share, 0.5) // others than the poor, mostly
		if !is {
			continue
		}
		p.mandates[rank] = map[int]client.Limits{}
		for m := range merchants {
			p.mandates[rank][m] = client.Limits{}
		}
		without[int32(rank)] = nth%2 == 0
	}
	asks, submits := map[int32]int64{}, map[int32]int{} // by mandated wallet
	for i, c := range p.requests {
		if m, ok := p.merchant(int32(i)); ok && m == limited && !client.Refers(c.kind) {
			asks[c.wallet]++
		}
	}
	for _, a := range p.arrivals {
		if m, ok := p.merchant(a.request); ok && m == unlet {
			submits[p.requests[a.request].wallet]++
		}
	}
	room := maxUnlet
	for rank, given := range p.mandates {
		w := int32(rank)
		if given == nil {
			continue
		}
		given[limited] = client.Limits{Total: max(1, asks[w]/2) * chargeAmount}
		if n := submits[w]; without[w] && n <= room {
			room -= n
			delete(given, unlet)
		}
	}
}

// merchant is the number of the merchant that makes the i-th request; false: the operator does.
func (p *plan) merchant(i int32) (int, bool) {
	switch c := &p.requests[i]; { // what its callers know of it may be written meanwhile
	case c.kind == ledger.KindWithdraw:
		return 0, false
	case client.Refers(c.kind):
		return int(c.of % merchants), true
	default:
		return int(i % merchants), true
	}
}

// lets reports whether the wallet of the i-th request lets its merchant charge it, up to some limit.
func (p *plan) lets(i int32) bool {
	given := p.mandates[p.requests[i].wallet]
	m, ok := p.merchant(i)
	if given == nil || !ok {
		return true
	}
	_, lets := given[m]
	return lets
}
