package demo

import (
	"net/http"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// shortest is how many seconds a hold is open at least. None of a day's stories takes as long.
	shortest = 60
	tooShort = shortest - 1
)

func (p *planner) heldAndCaptured() story {
	s := p.held()
	return story{name: "held and captured", steps: []step{s, p.capture(0, s, 0)}}
}

// capturedInParts is a stay that is paid day by day, and costs less than was held.
func (p *planner) capturedInParts() story {
	s := p.held()
	return story{name: "captured in parts", steps: []step{
		s, p.capture(0, s, quarter(s)).kept(), p.capture(0, s, quarter(s)).kept(), p.capture(0, s, quarter(s)),
		p.capture(0, s, quarter(s)).failing(ledger.ReasonHoldClosed),
	}}
}

func (p *planner) heldAndReleased() story {
	s := p.held()
	return story{name: "held and released", steps: []step{s, p.release(0, s, 0), p.release(0, s, 0).failing(ledger.ReasonHoldClosed)}}
}

func (p *planner) releasedInPart() story {
	s := p.held()
	return story{name: "released in part", steps: []step{s, p.release(0, s, quarter(s)), p.capture(0, s, 0)}}
}

func (p *planner) captureRetried() story {
	s := p.held()
	part := p.capture(0, s, quarter(s)).kept()
	return story{name: "capture retried", together: 2, steps: []step{s, part, part.wanting(replay, 1)}}
}

// capturedTwice is a form sent by two people at once, each under a key of its own.
func (p *planner) capturedTwice() story {
	s := p.held()
	return story{
		name: "captured twice at once", together: 2, anyOrder: true,
		steps: []step{s, p.capture(0, s, 0), p.capture(0, s, 0).failing(ledger.ReasonHoldClosed)},
	}
}

func (p *planner) captureTooLarge() story {
	s := p.held()
	rest := s.body.Amount - quarter(s)
	return story{name: "capture too large", steps: []step{
		s,
		p.capture(0, s, s.body.Amount+1).failing(ledger.ReasonExceedsHold),
		p.capture(0, s, quarter(s)).kept(),
		p.capture(0, s, rest+1).failing(ledger.ReasonExceedsHold),
		p.release(0, s, rest+1).failing(ledger.ReasonExceedsHold),
		p.capture(0, s, rest),
	}}
}

func (p *planner) captureOfReleased() story {
	s := p.held()
	return story{name: "capture of a hold that ended", steps: []step{s, p.release(0, s, 0), p.capture(0, s, 0).failing(ledger.ReasonHoldClosed)}}
}

func (p *planner) captureOfAnother() story {
	s := p.held()
	other := p.capture(0, s, 0).failing(ledger.ReasonHoldNotFound)
	other.key = p.world.ownMerchant.key
	return story{name: "capture of another's hold", steps: []step{s, other, p.release(0, s, 0)}}
}

func (p *planner) captureInOtherCurrency() story {
	s := p.held()
	part := p.capture(0, s, quarter(s)).failing(ledger.ReasonCurrencyMismatch)
	part.body.Currency = "JPY"
	return story{name: "capture in another currency", steps: []step{s, part, p.capture(0, s, 0)}}
}

func (p *planner) captureRefunded() story {
	s := p.held()
	part := p.capture(0, s, quarter(s)*2)
	return story{name: "capture refunded", steps: []step{
		s, part, p.refund(1, part, quarter(s)), p.refund(1, part, quarter(s)+1).failing(ledger.ReasonRefundExceedsCharge),
		p.refund(0, s, 0).failing(ledger.ReasonChargeNotFound), p.refund(1, part, 0),
	}}
}

// invoiceHeld: an open hold has its invoice, gives it back where it ends uncaptured, and else its capture has it.
func (p *planner) invoiceHeld() story {
	s := p.held()
	again := func(suffix string) step {
		other := s
		other.idempotencyKey += suffix
		return other
	}
	taken := func(of step, by int) step {
		of = of.failing(ledger.ReasonDuplicateInvoice)
		of.want.first = by
		return of
	}
	charge := again("-charge")
	charge.body = p.paid().body
	charge.body.Wallet, charge.body.Currency, charge.body.Invoice = s.body.Wallet, s.body.Currency, s.body.Invoice
	return story{name: "invoice held", steps: []step{
		s, taken(again("-2"), 0), p.release(0, s, 0), again("-3"), p.capture(3, s, 0), taken(charge, 4),
	}}
}

func (p *planner) holdKeyReused() story {
	s := p.held()
	other := s.wanting(reused, 0)
	other.body.Amount++
	return story{name: "hold's key reused", steps: []step{s, other, p.release(0, s, 0)}}
}

func (p *planner) holdWithoutMoney() story {
	s := p.hold(one(p.rng, p.world.poor), one(p.rng, p.world.merchants)).failing(ledger.ReasonInsufficientFunds)
	return story{name: "hold without money", steps: []step{s, p.capture(0, s, 0).failing(ledger.ReasonHoldNotAccepted)}}
}

func (p *planner) holdOfFrozen() story {
	s := p.hold(one(p.rng, p.world.frozen), one(p.rng, p.world.merchants)).failing(ledger.ReasonWalletFrozen)
	return story{name: "hold of a frozen wallet", steps: []step{s}}
}

func (p *planner) holdTooShort() story {
	s := p.held().refused(http.StatusUnprocessableEntity)
	s.body.ExpiresIn = tooShort
	return story{name: "hold too short", steps: []step{s}}
}

// allHeld: of a wallet whose money is all held nothing can be taken, and all of it once it is released.
func (p *planner) allHeld() story {
	w, ok := p.counted()
	if !ok {
		return p.ordinary()
	}
	m := one(p.rng, p.world.merchants)
	s := p.hold(w, m)
	rest := p.charge(w, m)
	rest.body.Amount = s.body.Amount - quarter(s)
	return story{name: "all is held", steps: []step{
		s, p.cent(p.charge(w, m)), p.cent(p.hold(w, m)), p.cent(p.transfer(ledger.KindWithdraw, w, 1)),
		p.capture(0, s, quarter(s)).kept(), p.cent(p.charge(w, m)), p.release(0, s, 0), rest,
	}}
}

// leftOpen is a hold that nobody ends: it expires, unless the day is over before.
func (p *planner) leftOpen() story {
	w, ok := p.counted()
	if !ok {
		return p.ordinary()
	}
	m := one(p.rng, p.world.merchants)
	s := p.hold(w, m)
	s.body.ExpiresIn = shortest
	return story{name: "left open", steps: []step{s, p.cent(p.charge(w, m))}}
}

// cent is the step for the smallest amount, which is not available.
func (p *planner) cent(s step) step {
	s.body.Amount = 1
	return s.failing(ledger.ReasonInsufficientFunds)
}

// counted is a wallet that holds what one story needs, and nothing more; false: the day has no other one.
func (p *planner) counted() (*wallet, bool) {
	if p.told == len(p.world.counted) {
		return nil, false
	}
	p.told++
	return p.world.counted[p.told-1], true
}

// held is a hold that has all it needs.
func (p *planner) held() step {
	return p.hold(p.world.rich[p.zipf.Uint64()], one(p.rng, p.world.merchants))
}

// hold is like a charge, and needs a key. Its merchant leaves it open for as long as the API does.
func (p *planner) hold(w *wallet, m *merchant) step {
	s := p.charge(w, m)
	s.idempotencyKey = "hold-of-" + s.body.Invoice
	s.body.Kind, s.body.Description = ledger.KindHold, "Booking at "+m.name
	return s
}

// capture takes what the story's i-th step holds: so much, or with zero all that is left.
func (p *planner) capture(i int, of step, amount int64) step {
	return p.part(ledger.KindCapture, "Stay", i, of, amount)
}

// release gives it back.
func (p *planner) release(i int, of step, amount int64) step {
	return p.part(ledger.KindRelease, "Cancellation", i, of, amount)
}

// kept is the capture that leaves the rest held.
func (s step) kept() step {
	s.body = s.body.Kept()
	return s
}

// quarter is an amount that can be captured three times of the hold, and leaves something.
func quarter(hold step) int64 { return hold.body.Amount / 4 }
