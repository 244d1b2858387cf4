package recount

import (
	"fmt"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// Operation is an operation of a wallet: what was asked, as its caller remembers it, and what
// is on record. Amounts are in minor units.
type Operation struct {
	ID           string
	Kind         ledger.Kind
	Refers       string // of a refund: the charge that it gives back
	Asked        int64  // of a refund 0: all that is left
	Sequence     int64
	Reason       ledger.Reason // empty: accepted
	Moved        int64         // only of one that was accepted
	Left         int64         // of a refund: what it left of its charge
	BalanceAfter int64
}

// Wallet is a wallet without a credit limit, which is neither frozen nor closed, and which
// merchants charge that are good. It begins before it is opened.
type Wallet struct {
	sequence, balance int64
	charges           map[string]*charge
}

type charge struct {
	accepted    bool
	moved, left int64
}

// Next decides the wallet's next operation, and says what of it is not what it must be; empty:
// nothing. It goes on from what is on record, so that a fault is told once.
func (w *Wallet) Next(o Operation) (fault string) {
	left, reason := w.decide(o)
	moved := int64(0)
	if reason == "" {
		if moved = o.Asked; moved == 0 {
			moved = left
		}
		left -= moved
	}
	onWallet, _ := client.Moves(o.Kind)
	balance := w.balance + onWallet*moved
	switch {
	case o.Sequence != w.sequence+1:
		fault = fmt.Sprintf("has the sequence %d behind %d", o.Sequence, w.sequence)
	case o.Reason != reason:
		fault = fmt.Sprintf("is %s, not %s", outcome(o.Reason), outcome(reason))
	case reason == "" && o.Moved != moved:
		fault = fmt.Sprintf("moved %d, not %d", o.Moved, moved)
	case client.Refers(o.Kind) && o.Left != left:
		fault = fmt.Sprintf("leaves %d of what it refers to, not %d", o.Left, left)
	case o.BalanceAfter != balance:
		fault = fmt.Sprintf("leaves a balance of %d, not %d", o.BalanceAfter, balance)
	}
	w.keep(o)
	return fault
}

// decide is the rules: why the operation fails, if it does, and what is left of what it
// refers to before it.
func (w *Wallet) decide(o Operation) (left int64, reason ledger.Reason) {
	switch o.Kind {
	case ledger.KindCharge, ledger.KindWithdraw:
		if w.balance < o.Asked {
			reason = ledger.ReasonInsufficientFunds
		}
	case ledger.KindRefund:
		switch c := w.charges[o.Refers]; {
		case c == nil:
			reason = ledger.ReasonChargeNotFound
		case !c.accepted:
			reason = ledger.ReasonChargeNotAccepted
		case c.left == 0 || o.Asked > c.left:
			left, reason = c.left, ledger.ReasonRefundExceedsCharge
		default:
			left = c.left
		}
	default: // it is accepted
	}
	return left, reason
}

// keep goes on from what is on record.
func (w *Wallet) keep(o Operation) {
	w.sequence, w.balance = o.Sequence, o.BalanceAfter
	switch {
	case o.Kind == ledger.KindCharge:
		if w.charges == nil {
			w.charges = map[string]*charge{}
		}
		w.charges[o.ID] = &charge{accepted: o.Reason == "", moved: o.Moved, left: o.Moved}
	case o.Kind == ledger.KindRefund && o.Reason == "":
		if c := w.charges[o.Refers]; c != nil {
			c.left -= o.Moved
		}
	}
}

// Balance is what the wallet holds, in minor units.
func (w *Wallet) Balance() int64 { return w.balance }

// Refunded is how much of a charge was given back, in minor units.
func (w *Wallet) Refunded(id string) int64 {
	c := w.charges[id]
	if c == nil {
		return 0
	}
	return c.moved - c.left
}

func outcome(reason ledger.Reason) string {
	if reason == "" {
		return string(ledger.StatusAccepted)
	}
	return string(reason)
}
