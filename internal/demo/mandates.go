package demo

import (
	"net/http"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// mandateUsedUp: charges and what is held count, what is released does not any more, and a refund gives nothing back.
func (p *planner) mandateUsedUp() story {
	w, ok := p.mandated()
	if !ok {
		return p.ordinary()
	}
	m := one(p.rng, p.world.merchants)
	first, held, rest := p.charge(w, m), p.hold(w, m), p.charge(w, m)
	rest.body.Amount = held.body.Amount - quarter(held)
	total := first.body.Amount + held.body.Amount
	return story{name: "mandate used up", steps: []step{
		p.grant(w, m, client.Limits{Total: total}),
		p.beyond(p.charge(w, m), total+1, total), first, p.beyond(p.charge(w, m), held.body.Amount+1, held.body.Amount), held,
		p.beyond(p.hold(w, m), 1, 0),
		p.capture(4, held, quarter(held)).kept(), p.beyond(p.charge(w, m), 1, 0), p.release(4, held, 0), rest,
		p.refund(2, first, 0), p.beyond(p.charge(w, m), 1, 0),
	}}
}

// mandateRevoked: what is held then may still be captured.
func (p *planner) mandateRevoked() story {
	w, ok := p.mandated()
	if !ok {
		return p.ordinary()
	}
	m := one(p.rng, p.world.merchants)
	held := p.hold(w, m)
	return story{name: "mandate revoked", steps: []step{
		p.grant(w, m, client.Limits{}), held, p.charge(w, m), p.revoke(w, m), p.charge(w, m).failing(ledger.ReasonMandateRequired),
		p.hold(w, m).failing(ledger.ReasonMandateRequired), p.capture(1, held, 0), p.revoke(w, m).failing(ledger.ReasonMandateNotFound),
	}}
}

// mandateMissing: another merchant's is none, and no merchant gives itself one.
func (p *planner) mandateMissing() story {
	w, ok := p.mandated()
	if !ok {
		return p.ordinary()
	}
	m, other := p.world.merchants[0], p.world.merchants[1]
	own := p.grant(w, m, client.Limits{}).refused(http.StatusForbidden)
	own.key = m.key
	return story{name: "mandate missing", steps: []step{
		p.charge(w, m).failing(ledger.ReasonMandateRequired), own, p.grant(w, other, client.Limits{}),
		p.charge(w, m).failing(ledger.ReasonMandateRequired), p.charge(w, other),
	}}
}

// mandateRaised: given again, it has other limits.
func (p *planner) mandateRaised() story {
	w, ok := p.mandated()
	if !ok {
		return p.ordinary()
	}
	m := one(p.rng, p.world.merchants)
	grant := p.grant(w, m, client.Limits{MaxAmount: lowAmount})
	return story{name: "mandate raised", steps: []step{
		grant, grant.wanting(replay, 0), p.beyond(p.charge(w, m), lowAmount+1, lowAmount),
		p.grant(w, m, client.Limits{MaxAmount: highAmount}), p.charge(w, m),
	}}
}

// mandateOfAnyone: a wallet that anyone may charge needs no mandates.
func (p *planner) mandateOfAnyone() story {
	s := p.grant(p.world.rich[0], one(p.rng, p.world.merchants), client.Limits{}).failing(ledger.ReasonWalletNotMandated)
	s.key = p.world.clientKey
	return story{name: "mandate of a wallet that anyone charges", steps: []step{s}}
}

// mandated is a wallet that is charged under mandates, and has given none; false: the day has no other one.
func (p *planner) mandated() (*wallet, bool) {
	if p.given == len(p.world.mandated) {
		return nil, false
	}
	p.given++
	return p.world.mandated[p.given-1], true
}

// grant is what the wallet's client asks, with its own key.
func (p *planner) grant(w *wallet, m *merchant, limits client.Limits) step {
	s := p.ask(ledger.KindGrant, w, 0)
	s.key, s.body.Merchant, s.body.Limits, s.body.Description = w.key, m.id, limits, "Subscription at "+m.name
	return s
}

// revoke has no body.
func (p *planner) revoke(w *wallet, m *merchant) step {
	s := p.ask(ledger.KindRevoke, w, 0)
	s.key, s.body.Merchant, s.body.Currency = w.key, m.id, ""
	return s
}

// beyond is the step for an amount that the mandate does not let through, but so much.
func (p *planner) beyond(s step, amount, left int64) step {
	s.body.Amount = amount
	s = s.failing(ledger.ReasonMandateLimit)
	s.want.left = left
	return s
}
