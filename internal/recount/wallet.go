package recount

import (
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// Operation is an operation of a wallet: what was asked, as its caller remembers it, and what
// is on record. Amounts are in minor units.
type Operation struct {
	ID        string
	Kind      ledger.Kind
	Refers    string        // of a refund: the charge or the capture; of a capture, a release and an expire: the hold
	Asked     int64         // of what refers to another one 0: all that is left
	Keeps     bool          // of a capture: what it leaves stays held
	ExpiresIn int64         // of a hold: seconds
	Invoice   string        // of a charge and a hold; empty: none. Where there are several merchants, their names are part of it
	Mandated  bool          // of an open: who charges needs a mandate
	Merchant  string        // of a charge, a hold, a grant and a revoke; only needed where the wallet is mandated
	Limits    client.Limits // of a grant

	// Answered is when the caller knew that it was taken, by a clock that differs from Monedero's by less than 10 s; zero: not known.
	Answered time.Time

	Sequence     int64
	Reason       ledger.Reason // empty: accepted
	Moved        int64         // only of one that was accepted; of a hold what it took from what is available
	Left         int64         // of what refers to another one: what it left of that; of what a mandate does not let through: how much it would
	BalanceAfter int64
	HeldAfter    int64
	At           time.Time // when it was decided

	// Received is when it was received. Where the database was restored to an earlier moment, and decisions were made anew, the time
	// of a hold counts from then, and not from At; zero: it does not.
	Received time.Time
}

// heldAt is the moment that counts for how long a hold was open.
func (o Operation) heldAt() time.Time {
	if o.Received.IsZero() {
		return o.At
	}
	return o.Received
}

// Wallet is a wallet without a credit limit, which is neither frozen nor closed, and which
// merchants charge that are good. It begins before it is opened.
type Wallet struct {
	sequence, balance, held int64
	open                    int64 // holds
	referred                map[string]*referred
	invoices                map[string]bool // that are taken
	mandated                bool
	mandates                map[string]*mandate // by merchant; of those that were ever given
}

// referred is an operation that others may refer to: a charge or a capture, or a hold.
type referred struct {
	kind     ledger.Kind
	accepted bool
	amount   int64
	left     int64 // that can still be given back, or is held

	use                         *use   // of the mandate, if the wallet is mandated
	invoice                     string // of a hold
	expiresAt                   time.Time
	captured, released, expired int64
	parts                       int // captures and releases that were accepted
	invoiceKept                 bool
}

// maxOpen and maxParts are the limits of holds that the API's guide names.
const (
	maxOpen  = 1000
	maxParts = 50
)

// Next decides the wallet's next operation, and says what of it is not what it must be; empty:
// nothing. It goes on from what is on record, so that a fault is told once.
func (w *Wallet) Next(o Operation) (fault string) {
	was, reason := w.decide(o)
	moved, left := int64(0), was
	if reason == "" {
		moved = o.moves(was)
		left = o.leaves(was, moved)
	}
	onWallet, _ := client.Moves(o.Kind)
	balance, held := w.balance+onWallet*moved, w.held
	switch {
	case o.Kind == ledger.KindHold:
		held += moved
	case o.Kind != ledger.KindRefund:
		held -= was - left
	}
	switch {
	case o.Sequence != w.sequence+1:
		fault = fmt.Sprintf("has the sequence %d behind %d", o.Sequence, w.sequence)
	case o.Reason != reason:
		fault = fmt.Sprintf("is %s, not %s", outcome(o.Reason), outcome(reason))
	case reason == "" && o.Moved != moved:
		fault = fmt.Sprintf("moved %d, not %d", o.Moved, moved)
	case client.Refers(o.Kind) && o.Left != left:
		fault = fmt.Sprintf("leaves %d of what it refers to, not %d", o.Left, left)
	case reason == ledger.ReasonMandateLimit && o.Left != left:
		fault = fmt.Sprintf("says that the mandate lets %d through, not %d", o.Left, left)
	case o.BalanceAfter != balance:
		fault = fmt.Sprintf("leaves a balance of %d, not %d", o.BalanceAfter, balance)
	case o.HeldAfter != held:
		fault = fmt.Sprintf("leaves %d held, not %d", o.HeldAfter, held)
	default:
		fault = w.inTime(o)
	}
	w.keep(o)
	return fault
}

// moves is what the operation moves if it is accepted, where so much was left of what it refers to.
func (o Operation) moves(left int64) int64 {
	if o.Asked == 0 {
		return left
	}
	return o.Asked
}

// leaves is what it leaves of that if it moves so much.
func (o Operation) leaves(left, moved int64) int64 {
	if !client.Refers(o.Kind) || o.Kind == ledger.KindCapture && !o.Keeps {
		return 0
	}
	return left - moved
}

// decide is the rules: why the operation fails, if it does, and what is left of what it
// refers to before it.
func (w *Wallet) decide(o Operation) (left int64, reason ledger.Reason) {
	switch o.Kind {
	case ledger.KindHold, ledger.KindCharge:
		left, reason := w.lets(o)
		switch {
		case reason != "":
			return left, reason
		case o.Kind == ledger.KindHold && w.open >= maxOpen:
			return 0, ledger.ReasonTooManyHolds
		}
		return 0, w.takes(o)
	case ledger.KindWithdraw:
		return 0, w.takes(o)
	case ledger.KindGrant:
		if !w.mandated {
			return 0, ledger.ReasonWalletNotMandated
		}
		return 0, ""
	case ledger.KindRevoke:
		if m := w.mandates[o.Merchant]; m == nil || !m.given {
			return 0, ledger.ReasonMandateNotFound
		}
		return 0, ""
	case ledger.KindRefund:
		c := w.referred[o.Refers]
		switch {
		case c == nil || c.kind == ledger.KindHold:
			return 0, ledger.ReasonChargeNotFound
		case !c.accepted:
			return 0, ledger.ReasonChargeNotAccepted
		case c.left == 0 || o.Asked > c.left:
			return c.left, ledger.ReasonRefundExceedsCharge
		}
		return c.left, ""
	case ledger.KindCapture, ledger.KindRelease, ledger.KindExpire:
		return w.ends(o)
	default: // it is accepted
		return 0, ""
	}
}

// takes is why the operation cannot take what it asks for from what is available.
func (w *Wallet) takes(o Operation) ledger.Reason {
	switch {
	case o.Invoice != "" && w.invoices[o.Invoice]:
		return ledger.ReasonDuplicateInvoice
	case w.balance-w.held < o.Asked:
		return ledger.ReasonInsufficientFunds
	}
	return ""
}

// ends is why the operation cannot take or give back what a hold holds, and how much that is.
func (w *Wallet) ends(o Operation) (left int64, reason ledger.Reason) {
	h := w.referred[o.Refers]
	switch {
	case h == nil || h.kind != ledger.KindHold:
		return 0, ledger.ReasonHoldNotFound
	case !h.accepted:
		return 0, ledger.ReasonHoldNotAccepted
	case h.left == 0 && h.expired > 0:
		return 0, ledger.ReasonHoldExpired
	case h.left == 0:
		return 0, ledger.ReasonHoldClosed
	case o.Asked > h.left:
		return h.left, ledger.ReasonExceedsHold
	case h.parts >= maxParts && o.leaves(h.left, o.moves(h.left)) > 0:
		return h.left, ledger.ReasonTooManyCaptures
	}
	return h.left, ""
}

// inTime says what is wrong with when a hold ended: not before it expires, and with no capture
// refused for it that was taken before.
func (w *Wallet) inTime(o Operation) string {
	h := w.referred[o.Refers]
	switch {
	case h == nil:
	case o.Kind == ledger.KindExpire && o.heldAt().Before(h.expiresAt):
		return fmt.Sprintf("came %s before the hold expires", h.expiresAt.Sub(o.heldAt()))
	case o.Kind == ledger.KindCapture && o.Reason == ledger.ReasonHoldExpired && !o.Answered.IsZero() && o.Answered.Before(h.expiresAt):
		return fmt.Sprintf("is %s, and was taken %s before", o.Reason, h.expiresAt.Sub(o.Answered))
	}
	return ""
}

// keep goes on from what is on record.
func (w *Wallet) keep(o Operation) {
	w.sequence, w.balance, w.held = o.Sequence, o.BalanceAfter, o.HeldAfter
	switch o.Kind {
	case ledger.KindCharge, ledger.KindCapture, ledger.KindHold:
		if w.referred == nil {
			w.referred, w.invoices = map[string]*referred{}, map[string]bool{}
		}
		w.referred[o.ID] = &referred{
			kind: o.Kind, accepted: o.Reason == "", amount: o.Moved, left: o.Moved, use: w.used(o),
			invoice: o.Invoice, expiresAt: o.heldAt().Add(time.Duration(o.ExpiresIn) * time.Second),
		}
	default: // nothing refers to it
	}
	if o.Reason != "" {
		return
	}
	switch o.Kind {
	case ledger.KindHold:
		w.open++
	case ledger.KindOpen:
		w.mandated = o.Mandated
	case ledger.KindGrant:
		w.mandate(o.Merchant).give(o.Limits)
	case ledger.KindRevoke:
		w.mandate(o.Merchant).given = false
	default:
	}
	if o.Invoice != "" {
		w.invoices[o.Invoice] = true
	}
	if of := w.referred[o.Refers]; of != nil {
		w.use(of, o)
	}
}

// use is what the accepted operation makes of the one that it refers to.
func (w *Wallet) use(of *referred, o Operation) {
	before := of.left
	of.left = o.leaves(before, o.Moved)
	if of.kind != ledger.KindHold {
		return
	}
	of.parts++
	switch o.Kind {
	case ledger.KindCapture:
		of.captured += o.Moved
		of.released += before - o.Moved - of.left
		of.use.unuse(before - o.Moved - of.left)
		of.invoiceKept = true
	case ledger.KindExpire:
		of.expired += o.Moved
		of.use.unuse(o.Moved)
	default:
		of.released += o.Moved
		of.use.unuse(o.Moved)
	}
	if of.left == 0 {
		w.open--
		if !of.invoiceKept {
			delete(w.invoices, of.invoice)
		}
	}
}

// Balance is what the wallet holds, in minor units.
func (w *Wallet) Balance() int64 { return w.balance }

// Held is what its open holds have left together, in minor units.
func (w *Wallet) Held() (held int64) {
	for _, of := range w.referred {
		if of.kind == ledger.KindHold {
			held += of.left
		}
	}
	return held
}

// Refunded is how much of a charge or a capture was given back, in minor units.
func (w *Wallet) Refunded(id string) int64 {
	c := w.referred[id]
	if c == nil || c.kind == ledger.KindHold {
		return 0
	}
	return c.amount - c.left
}

// Holding is what became of an accepted hold, in minor units; ok: there is one of this ID. It comes to what
// was held.
func (w *Wallet) Holding(id string) (h client.Holding, ok bool) {
	of := w.referred[id]
	if of == nil || of.kind != ledger.KindHold || !of.accepted {
		return h, false
	}
	h = client.Holding{State: "open", Captured: of.captured, Released: of.released, Expired: of.expired, Remaining: of.left}
	switch {
	case of.left > 0:
	case of.expired > 0:
		h.State = "expired"
	case of.captured > 0:
		h.State = "captured"
	default:
		h.State = "released"
	}
	return h, true
}

func outcome(reason ledger.Reason) string {
	if reason == "" {
		return string(ledger.StatusAccepted)
	}
	return string(reason)
}
