package ledger_test

import (
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// naive decides as slowly and plainly as can be: it keeps no balance but all
// that was ever funded and charged, and remembers requests as text.
type naive struct {
	merchants map[ledger.MerchantID]ledger.Merchant
	wallets   map[ledger.WalletID]*naiveWallet
	said      map[ledger.OperationID]string
	charges   map[ledger.OperationID]*naiveCharge
	holds     map[ledger.OperationID]*naiveHold
	mandates  map[ledger.WalletMerchant]*naiveMandate
	given     map[ledger.WalletID]int // to how many merchants that the model does not know
}

// naiveCharge is a charge or a capture.
type naiveCharge struct {
	request  ledger.Request
	size     int64
	invoice  string // that it took
	accepted bool
	refunds  []int64
}

func (c *naiveCharge) left() int64 { return c.size - sum(c.refunds) }

// naiveHold is a hold, and everything that was ever taken from it.
type naiveHold struct {
	request  ledger.Request
	accepted bool
	captured []int64
	released []int64
	rests    []int64 // what last captures gave back
	expired  []int64
}

func (h *naiveHold) left() int64 {
	if !h.accepted {
		return 0
	}
	return h.request.Amount - sum(h.captured) - sum(h.released) - sum(h.rests) - sum(h.expired)
}

type naiveWallet struct {
	client   ledger.ClientID
	currency ledger.Currency
	status   ledger.WalletStatus
	charges  ledger.Charges
	limit    int64
	funded   []int64
	spent    []int64
	sequence int64
	held     int64 // by holds that nobody knows of any more
	holds    int   // how many they are
}

func (w *naiveWallet) balance() int64 { return sum(w.funded) - sum(w.spent) }

func sum(amounts []int64) (total int64) {
	for _, amount := range amounts {
		total += amount
	}
	return total
}

// held is how much the wallet's holds keep, and how many of them are open.
func (n *naive) held(w ledger.WalletID) (amount int64, open int) {
	amount, open = n.wallets[w].held, n.wallets[w].holds
	for _, h := range n.holds {
		if h.request.Wallet == w && h.left() > 0 {
			amount, open = amount+h.left(), open+1
		}
	}
	return amount, open
}

// took is what took the request's invoice before: a charge or a capture for ever, or a hold that
// is open.
func (n *naive) took(r ledger.Request) (id ledger.OperationID, taken bool) {
	same := func(o ledger.Request) bool { return o.Wallet == r.Wallet && o.Merchant == r.Merchant }
	for id, c := range n.charges {
		if c.accepted && same(c.request) && r.Invoice != "" && c.invoice == r.Invoice {
			return id, true
		}
	}
	for id, h := range n.holds {
		if h.left() > 0 && same(h.request) && r.Invoice != "" && h.request.Invoice == r.Invoice {
			return id, true
		}
	}
	return id, false
}

// outcome is what the model says of a step: all that does not need a hash.
type outcome struct {
	Verdict     ledger.Verdict
	Reason      ledger.Reason
	DuplicateOf ledger.OperationID
	Invoice     string
	Moved       int64
	Left        int64
	Day         int32
	Exceeds     ledger.Limit
	Sequence    int64
	Balance     int64
	Held        int64
	Limit       int64
	Status      ledger.WalletStatus
}

func newNaive(start *store) *naive {
	n := &naive{
		merchants: start.merchants, wallets: map[ledger.WalletID]*naiveWallet{}, said: map[ledger.OperationID]string{},
		charges: map[ledger.OperationID]*naiveCharge{}, holds: map[ledger.OperationID]*naiveHold{},
		mandates: map[ledger.WalletMerchant]*naiveMandate{}, given: start.given,
	}
	for id, w := range start.wallets {
		n.wallets[id] = &naiveWallet{
			client: w.Client, currency: w.Currency, status: w.Status, limit: w.CreditLimit, funded: []int64{w.Balance}, sequence: w.Sequence,
			charges: w.Charges,
		}
	}
	for of, m := range start.mandates {
		n.mandates[of] = &naiveMandate{terms: m.Terms, given: m.Given}
	}
	for _, o := range start.operations {
		switch o.Kind {
		case ledger.KindHold:
			n.holds[o.ID] = &naiveHold{request: o.Request, accepted: true}
		case ledger.KindCharge:
			n.charges[o.ID] = &naiveCharge{request: o.Request, size: o.Amount, accepted: true}
		default:
			h := n.holds[o.Refers]
			h.released = append(h.released, o.Moved)
		}
		if o.MandateDay != 0 {
			n.use(o.Request, dayOf(time.Unix(int64(o.MandateDay)*24*3600, 0)))
		}
	}
	for id, w := range start.wallets {
		held, holds := n.held(id)
		n.wallets[id].held, n.wallets[id].holds = w.Held-held, int(w.Holds)-holds
	}
	return n
}

func (n *naive) decide(s step, now time.Time) outcome {
	id, saying := s.id(), s.saying()
	if before, repeated := n.said[id]; repeated {
		if before == saying {
			return outcome{Verdict: ledger.Duplicate}
		}
		return outcome{Verdict: ledger.Conflicting}
	}
	n.said[id] = saying
	if x := s.refusal; x != nil {
		n.remember(ledger.Request{ID: x.ID, Kind: x.Kind, Wallet: x.Wallet, Merchant: x.Merchant}, outcome{Reason: ledger.ReasonProcessingError})
		return outcome{Verdict: ledger.Settled, Reason: ledger.ReasonProcessingError}
	}
	r := *s.request
	o := outcome{Verdict: ledger.Settled, Reason: n.reason(r, now), Invoice: r.Invoice}
	switch o.Reason {
	case "":
		n.apply(r, &o)
	case ledger.ReasonDuplicateInvoice:
		o.DuplicateOf, _ = n.took(r)
	case ledger.ReasonMandateLimit:
		o.Exceeds, o.Left = n.mandate(r).exceeds(r.Amount, now)
	default: // it is what it was
	}
	n.remember(r, o)
	if o.Reason == "" && pays(r.Kind) && n.wallets[r.Wallet].charges == ledger.ChargesMandated {
		day := n.mandate(r).today(now)
		o.Day = dayNumber(day)
		n.use(r, day)
	}
	if c := n.charge(r); c != nil {
		o.Left = c.left()
	}
	if h := n.hold(r); h != nil {
		o.Left = h.left()
	}
	if w := n.wallets[r.Wallet]; w != nil {
		w.sequence++
		o.Sequence, o.Balance, o.Limit, o.Status = w.sequence, w.balance(), w.limit, w.status
		o.Held, _ = n.held(r.Wallet)
	}
	return o
}

// apply is what an accepted request does.
func (n *naive) apply(r ledger.Request, o *outcome) {
	w := n.wallets[r.Wallet]
	switch r.Kind {
	case ledger.KindRefund:
		c := n.charge(r)
		o.Moved = asked(r, c.left())
		c.refunds = append(c.refunds, o.Moved)
		w.funded = append(w.funded, o.Moved)
	case ledger.KindCapture:
		h := n.hold(r)
		if len(h.captured) == 0 {
			o.Invoice = h.request.Invoice
		}
		o.Moved = asked(r, h.left())
		h.captured = append(h.captured, o.Moved)
		w.spent = append(w.spent, o.Moved)
		if r.Rest != ledger.RestKept {
			h.rests = append(h.rests, h.left())
		}
	case ledger.KindRelease:
		h := n.hold(r)
		o.Moved = asked(r, h.left())
		h.released = append(h.released, o.Moved)
	case ledger.KindExpire:
		h := n.hold(r)
		o.Moved = h.left()
		h.expired = append(h.expired, o.Moved)
	case ledger.KindOpen:
		if w == nil {
			n.wallets[r.Wallet] = &naiveWallet{client: r.Client, currency: r.Currency, status: ledger.WalletActive, charges: r.Charges}
		}
	case ledger.KindTopUp:
		w.funded = append(w.funded, r.Amount)
	case ledger.KindCharge, ledger.KindWithdraw:
		w.spent = append(w.spent, r.Amount)
	case ledger.KindFreeze:
		w.status = ledger.WalletFrozen
	case ledger.KindUnfreeze:
		w.status = ledger.WalletActive
	case ledger.KindClose:
		w.status = ledger.WalletClosed
	case ledger.KindSetLimit:
		w.limit = r.Amount
	case ledger.KindGrant, ledger.KindRevoke:
		n.changeMandate(r)
	case ledger.KindHold: // it is remembered
	}
}

// remember keeps what others may refer to.
func (n *naive) remember(r ledger.Request, o outcome) {
	switch r.Kind {
	case ledger.KindCharge:
		c := &naiveCharge{request: r, invoice: r.Invoice, accepted: o.Reason == ""}
		if c.accepted {
			c.size = r.Amount
		}
		n.charges[r.ID] = c
	case ledger.KindCapture:
		n.charges[r.ID] = &naiveCharge{request: r, size: o.Moved, invoice: o.Invoice, accepted: o.Reason == ""}
	case ledger.KindHold:
		n.holds[r.ID] = &naiveHold{request: r, accepted: o.Reason == ""}
	case ledger.KindOpen, ledger.KindTopUp, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindSetLimit,
		ledger.KindWithdraw, ledger.KindRefund, ledger.KindRelease, ledger.KindExpire, ledger.KindGrant, ledger.KindRevoke:
	}
}

// charge is the charge or the capture that a refund gives back; nil if it is none of the merchant's
// on the wallet.
func (n *naive) charge(r ledger.Request) *naiveCharge {
	c := n.charges[r.Refers]
	if r.Kind != ledger.KindRefund || c == nil || c.request.Wallet != r.Wallet || c.request.Merchant != r.Merchant {
		return nil
	}
	return c
}

// hold is the hold that the request takes from; nil if it is none of the merchant's on the wallet.
func (n *naive) hold(r ledger.Request) *naiveHold {
	h := n.holds[r.Refers]
	if !ofHold(r.Kind) || h == nil || h.request.Wallet != r.Wallet || h.request.Merchant != r.Merchant {
		return nil
	}
	return h
}

// ofHold are the kinds that take from a hold.
func ofHold(k ledger.Kind) bool {
	return k == ledger.KindCapture || k == ledger.KindRelease || k == ledger.KindExpire
}

// asked is the amount, or all that is left.
func asked(r ledger.Request, left int64) int64 {
	if r.Amount > 0 {
		return r.Amount
	}
	return left
}

// reason goes through the reasons in the order of the design.
func (n *naive) reason(r ledger.Request, now time.Time) ledger.Reason {
	w := n.wallets[r.Wallet]
	pays := pays(r.Kind)
	if limit := r.ApplyBefore; !limit.IsZero() && limit.UnixMicro() <= now.UnixMicro() {
		return ledger.ReasonExpired
	}
	m, found := n.merchants[r.Merchant]
	if (pays || r.Kind == ledger.KindGrant) && !found {
		return ledger.ReasonMerchantNotFound
	}
	if (pays || r.Kind == ledger.KindCapture) && m.Suspended {
		return ledger.ReasonMerchantSuspended
	}
	c, h := n.charge(r), n.hold(r)
	switch {
	case pays && (w == nil || w.charges == ledger.ChargesMandated && !n.mandate(r).given):
		return ledger.ReasonMandateRequired
	case r.Kind == ledger.KindRefund && c == nil:
		return ledger.ReasonChargeNotFound
	case ofHold(r.Kind) && h == nil:
		return ledger.ReasonHoldNotFound
	case c != nil && !c.accepted:
		return ledger.ReasonChargeNotAccepted
	case h != nil && !h.accepted:
		return ledger.ReasonHoldNotAccepted
	case w == nil && r.Kind == ledger.KindOpen:
		return ""
	case w == nil:
		return ledger.ReasonWalletNotFound
	case pays && m.Owner == w.client:
		return ledger.ReasonSelfCharge
	case w.status == ledger.WalletClosed && r.Kind != ledger.KindClose && r.Kind != ledger.KindExpire && r.Kind != ledger.KindRevoke:
		return ledger.ReasonWalletClosed
	case w.status == ledger.WalletFrozen && pays:
		return ledger.ReasonWalletFrozen
	case r.Currency != "" && r.Kind != ledger.KindOpen && r.Currency != w.currency:
		return ledger.ReasonCurrencyMismatch
	}
	switch {
	case c != nil:
		return n.reasonOfRefund(r, c)
	case h != nil:
		return reasonOfHold(r, h)
	}
	if reason := n.reasonOfMandate(r, now); reason != "" {
		return reason
	}
	return n.reasonOfFunds(r)
}

func (n *naive) reasonOfRefund(r ledger.Request, c *naiveCharge) ledger.Reason {
	switch amount := asked(r, c.left()); {
	case amount == 0 || amount > c.left():
		return ledger.ReasonRefundExceedsCharge
	case n.wallets[r.Wallet].balance()+amount > ledger.MaxAmount:
		return ledger.ReasonAmountOverflow
	}
	return ""
}

// reasonOfHold is why nothing can be taken from the hold.
func reasonOfHold(r ledger.Request, h *naiveHold) ledger.Reason {
	last := r.Kind == ledger.KindExpire || r.Kind == ledger.KindCapture && r.Rest != ledger.RestKept
	switch {
	case h.left() == 0 && len(h.expired) == 0:
		return ledger.ReasonHoldClosed
	case h.left() == 0:
		return ledger.ReasonHoldExpired
	case asked(r, h.left()) > h.left():
		return ledger.ReasonExceedsHold
	case len(h.captured)+len(h.released) >= 50 && asked(r, h.left()) < h.left() && !last:
		return ledger.ReasonTooManyCaptures
	}
	return ""
}

// reasonOfFunds is why the wallet has not the money or the room.
func (n *naive) reasonOfFunds(r ledger.Request) ledger.Reason {
	w := n.wallets[r.Wallet]
	held, open := n.held(r.Wallet)
	pays := pays(r.Kind)
	_, taken := n.took(r)
	switch {
	case r.Kind == ledger.KindHold && open >= 1000:
		return ledger.ReasonTooManyHolds
	case pays && taken:
		return ledger.ReasonDuplicateInvoice
	case r.Kind == ledger.KindClose && (w.balance() != 0 || open > 0):
		return ledger.ReasonWalletNotEmpty
	case pays && w.balance()+w.limit-held < r.Amount:
		return ledger.ReasonInsufficientFunds
	case r.Kind == ledger.KindWithdraw && w.balance()-held < r.Amount:
		return ledger.ReasonInsufficientFunds
	case r.Kind == ledger.KindSetLimit && w.balance()+r.Amount-held < 0:
		return ledger.ReasonLimitInUse
	case r.Kind == ledger.KindTopUp && w.balance()+r.Amount > ledger.MaxAmount:
		return ledger.ReasonAmountOverflow
	}
	return ""
}
