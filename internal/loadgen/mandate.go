package loadgen

import (
	"math/rand/v2"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	limited   = 1  // the merchant whose mandates have a total
	regranted = 2  // the merchant whose mandates are revoked and granted again during the load
	unlet     = 3  // the merchant that has none of every second mandated wallet
	maxUnlet  = 50 // of its submissions are of such wallets: of a hundred Monedero refuses more, at the door

	mandatePhase = 0.5 // others than the poor are mandated, mostly
	grantStep    = 5 * chargeAmount
	revokeShare  = 0.4 // of what is asked of mandates
)

// mandated lists the wallets that are charged under mandates.
func (o Options) mandated() (wallets []int32) {
	for rank := range o.Wallets {
		if _, is := picked(rank, o.Mandated, mandatePhase); is {
			wallets = append(wallets, int32(rank))
		}
	}
	return wallets
}

// consent makes the next request one that grants or revokes the regranted merchant's mandate of a wallet. What is used counts on: so
// each grant lets through grantStep more, in all, of a month or a day; or it lets through nothing that the load asks for.
func (p *plan) consent(r *rand.Rand, wallet int32) request {
	c := request{kind: ledger.KindRevoke, wallet: wallet}
	if r.Float64() < revokeShare {
		return c
	}
	c.kind = ledger.KindGrant
	p.grants[c.wallet]++
	most := grantStep * p.grants[c.wallet]
	limits := []client.Limits{{Total: most}, {PerMonth: most}, {PerDay: most}, {MaxAmount: chargeAmount - 1}}
	p.limits[int32(len(p.requests))] = limits[r.IntN(len(limits))]
	return c
}

// mandate plans which wallets give which mandates. A limited total is half of what its merchant asks for.
func (p *plan) mandate(share float64) {
	p.mandates = make([]map[int]client.Limits, len(p.poor))
	without := map[int32]bool{}
	for rank := range p.mandates {
		nth, is := picked(rank, share, mandatePhase)
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
	case c.kind == ledger.KindWithdraw, client.Direct(c.kind):
		return 0, false
	case client.Refers(c.kind):
		return int(c.of % merchants), true
	default:
		return int(i % merchants), true
	}
}

// hangsOnOrder reports whether the mandate of the i-th request comes and goes during the load.
func (p *plan) hangsOnOrder(i int32) bool {
	m, ok := p.merchant(i)
	return ok && m == regranted && p.mandates[p.requests[i].wallet] != nil
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
