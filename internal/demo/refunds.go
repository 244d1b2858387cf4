package demo

import (
	"fmt"
	"net/http"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// typo is an amount that no wallet holds, in minor units.
const typo = 1_000_000_000_000

func (p *planner) refundedInPart() story {
	s := p.paid()
	return story{name: "refunded in part", steps: []step{s, p.refund(0, s, third(s))}}
}

func (p *planner) refundedInParts() story {
	s := p.paid()
	return story{name: "refunded in parts", steps: []step{
		s, p.refund(0, s, third(s)), p.refund(0, s, third(s)), p.refund(0, s, 0), p.refund(0, s, 0).failing(ledger.ReasonRefundExceedsCharge),
	}}
}

func (p *planner) refundedWholly() story {
	s := p.paid()
	return story{name: "refunded wholly", steps: []step{s, p.refund(0, s, 0)}}
}

func (p *planner) refundRetried() story {
	s := p.paid()
	back := p.refund(0, s, third(s))
	return story{name: "refund retried", steps: []step{s, back, back.wanting(replay, 1)}, together: 2}
}

func (p *planner) refundKeyReused() story {
	s := p.paid()
	back := p.refund(0, s, third(s))
	other := back.wanting(reused, 1)
	other.body.Amount++
	return story{name: "refund's key reused", steps: []step{s, back, other}}
}

// refundedTwice is a form sent by two people at once, each under a key of its own.
func (p *planner) refundedTwice() story {
	s := p.paid()
	return story{
		name: "refunded twice at once", together: 2, anyOrder: true,
		steps: []step{s, p.refund(0, s, 0), p.refund(0, s, 0).failing(ledger.ReasonRefundExceedsCharge)},
	}
}

func (p *planner) refundTooLarge() story {
	s := p.paid()
	rest := s.body.Amount - third(s)
	return story{name: "refund too large", steps: []step{
		s,
		p.refund(0, s, s.body.Amount+1).failing(ledger.ReasonRefundExceedsCharge),
		p.refund(0, s, third(s)),
		p.refund(0, s, rest+1).failing(ledger.ReasonRefundExceedsCharge),
		p.refund(0, s, rest),
	}}
}

func (p *planner) refundOfFailed() story {
	s := p.charge(one(p.rng, p.world.poor), one(p.rng, p.world.merchants)).failing(ledger.ReasonInsufficientFunds)
	return story{name: "refund of a failed charge", steps: []step{s, p.refund(0, s, 0).failing(ledger.ReasonChargeNotAccepted)}}
}

func (p *planner) refundOfRefund() story {
	s := p.paid()
	back := p.refund(0, s, third(s))
	return story{name: "refund of a refund", steps: []step{s, back, p.refund(1, back, 0).failing(ledger.ReasonChargeNotFound)}}
}

func (p *planner) refundOfAnother() story {
	s := p.paid()
	back := p.refund(0, s, 0).failing(ledger.ReasonChargeNotFound)
	back.key = p.world.ownMerchant.key
	return story{name: "refund of another's charge", steps: []step{s, back}}
}

func (p *planner) refundInOtherCurrency() story {
	s := p.paid()
	back := p.refund(0, s, third(s)).failing(ledger.ReasonCurrencyMismatch)
	back.body.Currency = "JPY"
	return story{name: "refund in another currency", steps: []step{s, back}}
}

func (p *planner) refundWithoutKey() story {
	s := p.paid()
	back := p.refund(0, s, 0).refused(http.StatusUnprocessableEntity)
	back.idempotencyKey = ""
	return story{name: "refund without a key", steps: []step{s, back}}
}

// wrongTopUp is money that was paid into the wrong wallet, and is taken out again.
func (p *planner) wrongTopUp() story {
	w := p.world.rich[p.zipf.Uint64()]
	up := p.transfer(ledger.KindTopUp, w, lowAmount+p.rng.Int64N(highAmount))
	return story{name: "wrong top-up undone", steps: []step{up, p.transfer(ledger.KindWithdraw, w, up.body.Amount)}}
}

func (p *planner) withdrawalRetried() story {
	s := p.transfer(ledger.KindWithdraw, p.world.rich[p.zipf.Uint64()], lowAmount)
	return story{name: "withdrawal retried", steps: []step{s, s.wanting(replay, 0)}, together: 2}
}

func (p *planner) withdrawalTooLarge() story {
	s := p.transfer(ledger.KindWithdraw, p.world.rich[p.zipf.Uint64()], typo).failing(ledger.ReasonInsufficientFunds)
	return story{name: "withdrawal too large", steps: []step{s}}
}

// withdrawalOfFrozen: a freeze stops charges, and not the operator.
func (p *planner) withdrawalOfFrozen() story {
	return story{name: "withdrawal of a frozen wallet", steps: []step{p.transfer(ledger.KindWithdraw, one(p.rng, p.world.frozen), lowAmount)}}
}

func (p *planner) merchantWithdraws() story {
	s := p.transfer(ledger.KindWithdraw, p.world.rich[p.zipf.Uint64()], lowAmount).refused(http.StatusForbidden)
	s.key = one(p.rng, p.world.merchants).key
	return story{name: "merchant withdraws", steps: []step{s}}
}

// third is an amount that can be given back twice of the charge, and leaves something.
func third(charge step) int64 { return charge.body.Amount / 3 }

// refund gives back what the story's i-th step took: so much, or with zero all that is left.
func (p *planner) refund(i int, of step, amount int64) step {
	return p.part(ledger.KindRefund, "Return", i, of, amount)
}

// part refers to the story's i-th step: it moves so much of that, or with zero all that is left.
func (p *planner) part(kind ledger.Kind, description string, i int, of step, amount int64) step {
	p.next++
	s := step{key: of.key, idempotencyKey: fmt.Sprintf("%s-%04d-%06d", kind, p.day, p.next), of: i, body: client.Request{
		Kind: kind, Wallet: of.body.Wallet, Amount: amount, Description: description,
	}}
	if amount != 0 {
		s.body.Currency = of.body.Currency
	}
	return s
}

// ask is what an operator asks of a wallet.
func (p *planner) ask(kind ledger.Kind, w *wallet, amount int64) step {
	p.next++
	return step{key: p.world.operator, idempotencyKey: fmt.Sprintf("%s-%04d-%06d", kind, p.day, p.next), body: client.Request{
		Kind: kind, Wallet: w.id, Amount: amount, Currency: w.currency,
	}}
}

// transfer is money that an operator lets in from a bank, or out to one.
func (p *planner) transfer(kind ledger.Kind, w *wallet, amount int64) step {
	s := p.ask(kind, w, amount)
	s.body.Reference, s.body.Description = fmt.Sprintf("E2E-%04d-%06d", p.day, p.next), "By bank transfer"
	return s
}
