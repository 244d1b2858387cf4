package ledger_test

import (
	"fmt"
	"maps"
	"time"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// naive decides as slowly and plainly as can be: it keeps no balance but all
// that was ever funded and charged, and remembers requests as text.
type naive struct {
	merchants map[ledger.MerchantID]ledger.Merchant
	wallets   map[ledger.WalletID]*naiveWallet
	charged   map[string]ledger.OperationID // by wallet, merchant and invoice
	said      map[ledger.OperationID]string
	charges   map[ledger.OperationID]*naiveCharge
}

type naiveCharge struct {
	request  ledger.Request
	accepted bool
	refunds  []int64
}

func (c *naiveCharge) left() int64 {
	left := c.request.Amount
	for _, amount := range c.refunds {
		left -= amount
	}
	return left
}

type naiveWallet struct {
	client   ledger.ClientID
	currency ledger.Currency
	status   ledger.WalletStatus
	limit    int64
	funded   []int64
	spent    []int64
	sequence int64
}

func (w *naiveWallet) balance() int64 {
	var sum int64
	for _, amount := range w.funded {
		sum += amount
	}
	for _, amount := range w.spent {
		sum -= amount
	}
	return sum
}

// outcome is what the model says of a step: all that does not need a hash.
type outcome struct {
	Verdict     ledger.Verdict
	Reason      ledger.Reason
	DuplicateOf ledger.OperationID
	Sequence    int64
	Balance     int64
	Status      ledger.WalletStatus
}

func newNaive(start *store) *naive {
	n := &naive{
		merchants: start.merchants, wallets: map[ledger.WalletID]*naiveWallet{},
		charged: map[string]ledger.OperationID{}, said: map[ledger.OperationID]string{},
		charges: map[ledger.OperationID]*naiveCharge{},
	}
	for id, w := range start.wallets {
		n.wallets[id] = &naiveWallet{
			client: w.Client, currency: w.Currency, status: w.Status, limit: w.CreditLimit, funded: []int64{w.Balance}, sequence: w.Sequence,
		}
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
	if s.refusal != nil {
		if x := s.refusal; x.Kind == ledger.KindCharge {
			n.charges[x.ID] = &naiveCharge{request: ledger.Request{Wallet: x.Wallet, Merchant: x.Merchant}}
		}
		return outcome{Verdict: ledger.Settled, Reason: ledger.ReasonProcessingError}
	}
	r := *s.request
	o := outcome{Verdict: ledger.Settled, Reason: n.reason(r, now)}
	invoice := fmt.Sprintf("%x %x %s", r.Wallet, r.Merchant, r.Invoice)
	if o.Reason == ledger.ReasonDuplicateInvoice {
		o.DuplicateOf = n.charged[invoice]
	}
	if r.Kind == ledger.KindCharge {
		n.charges[r.ID] = &naiveCharge{request: r, accepted: o.Reason == ""}
	}
	w := n.wallets[r.Wallet]
	if o.Reason == "" {
		switch r.Kind {
		case ledger.KindRefund:
			c := n.charges[r.Refers]
			amount := n.refunded(r)
			c.refunds = append(c.refunds, amount)
			w.funded = append(w.funded, amount)
		case ledger.KindOpen:
			if w == nil {
				w = &naiveWallet{client: r.Client, currency: r.Currency, status: ledger.WalletActive}
				n.wallets[r.Wallet] = w
			}
		case ledger.KindTopUp:
			w.funded = append(w.funded, r.Amount)
		case ledger.KindCharge:
			w.spent = append(w.spent, r.Amount)
			if r.Invoice != "" {
				n.charged[invoice] = r.ID
			}
		case ledger.KindWithdraw:
			w.spent = append(w.spent, r.Amount)
		case ledger.KindFreeze:
			w.status = ledger.WalletFrozen
		case ledger.KindUnfreeze:
			w.status = ledger.WalletActive
		case ledger.KindClose:
			w.status = ledger.WalletClosed
		case ledger.KindSetLimit:
			w.limit = r.Amount
		}
	}
	if w != nil {
		w.sequence++
		o.Sequence, o.Balance, o.Status = w.sequence, w.balance(), w.status
	}
	return o
}

// refunded is what an accepted refund gives back.
func (n *naive) refunded(r ledger.Request) int64 {
	if r.Amount > 0 {
		return r.Amount
	}
	return n.charges[r.Refers].left()
}

// reason goes through the reasons in the order of the design.
func (n *naive) reason(r ledger.Request, now time.Time) ledger.Reason {
	w := n.wallets[r.Wallet]
	charge, topUp, setLimit, withdraw := r.Kind == ledger.KindCharge, r.Kind == ledger.KindTopUp, r.Kind == ledger.KindSetLimit, r.Kind == ledger.KindWithdraw
	if limit := r.ApplyBefore; !limit.IsZero() && limit.UnixMicro() <= now.UnixMicro() {
		return ledger.ReasonExpired
	}
	m, found := n.merchants[r.Merchant]
	if charge && !found {
		return ledger.ReasonMerchantNotFound
	}
	if charge && m.Suspended {
		return ledger.ReasonMerchantSuspended
	}
	refunded := n.charges[r.Refers]
	refund := r.Kind == ledger.KindRefund
	if refund && (refunded == nil || refunded.request.Wallet != r.Wallet || refunded.request.Merchant != r.Merchant) {
		return ledger.ReasonChargeNotFound
	}
	if w == nil && r.Kind == ledger.KindOpen {
		return ""
	}
	if w == nil {
		if refund { // its charge failed for the same
			return ledger.ReasonChargeNotAccepted
		}
		return ledger.ReasonWalletNotFound
	}
	_, charged := n.charged[fmt.Sprintf("%x %x %s", r.Wallet, r.Merchant, r.Invoice)]
	switch {
	case charge && m.Owner == w.client:
		return ledger.ReasonSelfCharge
	case w.status == ledger.WalletClosed && r.Kind != ledger.KindClose:
		return ledger.ReasonWalletClosed
	case w.status == ledger.WalletFrozen && charge:
		return ledger.ReasonWalletFrozen
	case (charge || topUp || setLimit || withdraw || refund && r.Currency != "") && r.Currency != w.currency:
		return ledger.ReasonCurrencyMismatch
	case refund && !refunded.accepted:
		return ledger.ReasonChargeNotAccepted
	case refund && (n.refunded(r) == 0 || n.refunded(r) > refunded.left()):
		return ledger.ReasonRefundExceedsCharge
	case refund && w.balance()+n.refunded(r) > ledger.MaxAmount:
		return ledger.ReasonAmountOverflow
	case charge && r.Invoice != "" && charged:
		return ledger.ReasonDuplicateInvoice
	case r.Kind == ledger.KindClose && w.balance() != 0:
		return ledger.ReasonWalletNotEmpty
	case charge && w.balance()-r.Amount < -w.limit:
		return ledger.ReasonInsufficientFunds
	case withdraw && r.Amount > w.balance():
		return ledger.ReasonInsufficientFunds
	case setLimit && w.balance()+r.Amount < 0:
		return ledger.ReasonLimitInUse
	case topUp && w.balance()+r.Amount > ledger.MaxAmount:
		return ledger.ReasonAmountOverflow
	}
	return ""
}

// step is a request or a refusal, and where it came from.
type step struct {
	request *ledger.Request
	refusal *ledger.Refusal
	payload string // of a refusal
	at      ledger.Place
}

func (s step) id() ledger.OperationID {
	if s.refusal != nil {
		return s.refusal.ID
	}
	return s.request.ID
}

func (s step) wallet() ledger.WalletID {
	if s.refusal != nil {
		return s.refusal.Wallet
	}
	return s.request.Wallet
}

// saying is what the step says apart from its identity and the time of its receipt;
// times count to the microsecond.
func (s step) saying() string {
	if s.refusal != nil {
		return "refused " + s.payload
	}
	r := *s.request
	r.ID, r.IdempotencyKey, r.ReceivedAt, r.Asker = ledger.OperationID{}, "", time.Time{}, ledger.Asker{}
	r.ApplyBefore = r.ApplyBefore.Truncate(time.Microsecond)
	return fmt.Sprintf("%#v", r)
}

func (s step) decide(b *ledger.Book) ledger.Verdict {
	if s.refusal != nil {
		return b.Refuse(*s.refusal, s.at)
	}
	return b.Decide(*s.request, s.at)
}

// store is what a database keeps between two books.
type store struct {
	wallets    map[ledger.WalletID]ledger.Wallet
	merchants  map[ledger.MerchantID]ledger.Merchant
	decided    map[ledger.OperationID]ledger.Fingerprint
	invoices   map[ledger.WalletInvoice]ledger.OperationID
	operations []ledger.Operation
	conflicts  []ledger.Conflict
	moved      map[ledger.Movement]int64 // by account and currency
}

func (s *store) clone() *store {
	c := *s
	c.wallets, c.decided, c.invoices, c.moved = maps.Clone(s.wallets), maps.Clone(s.decided), maps.Clone(s.invoices), maps.Clone(s.moved)
	return &c
}

// settle decides the steps in one book and keeps what it says is to be kept,
// taking nothing from the book that a database would not be given.
func (s *store) settle(steps []step, now time.Time) (verdicts []ledger.Verdict, book *ledger.Book) {
	book = ledger.NewBook(ledger.Known{
		Wallets: maps.Clone(s.wallets), Merchants: s.merchants, Decided: maps.Clone(s.decided), Invoices: maps.Clone(s.invoices),
		Position: int64(len(s.operations)), Referred: s.referred(steps),
	}, now)
	for _, step := range steps {
		verdicts = append(verdicts, step.decide(book))
	}
	for _, w := range book.Wallets() {
		s.wallets[w.ID] = w
	}
	for _, op := range book.Operations() {
		s.decided[op.ID] = op.Fingerprint
		if key, ok := op.InvoiceKey(); ok && op.Status() == ledger.StatusAccepted {
			s.invoices[ledger.WalletInvoice{Wallet: op.Wallet, Invoice: key}] = op.ID
		}
	}
	s.operations = append(s.operations, book.Operations()...)
	s.conflicts = append(s.conflicts, book.Conflicts()...)
	for _, m := range book.Movements() {
		s.moved[ledger.Movement{Account: m.Account, Currency: m.Currency}] += m.Amount
	}
	return verdicts, book
}

// referred is what the steps refer to.
func (s *store) referred(steps []step) map[ledger.OperationID]ledger.Referred {
	all := map[ledger.OperationID]ledger.Referred{}
	for _, step := range steps {
		if step.request != nil && !step.request.Refers.IsZero() {
			all[step.request.Refers] = referredIn(s.operations, step.request.Refers)
		}
	}
	return all
}

// referredIn is what the operation of the ID is in the history, as later ones left it.
func referredIn(operations []ledger.Operation, id ledger.OperationID) (r ledger.Referred) {
	for _, o := range operations {
		switch {
		case o.ID == id:
			r = ledger.Referred{Kind: o.Kind, Wallet: o.Wallet, Merchant: o.Merchant, Accepted: o.Reason == ""}
			if r.Accepted {
				r.Left = o.Amount
			}
		case o.Refers == id && o.Reason == "":
			r.Left -= o.Moved
		}
	}
	return r
}

// drawStart is a few merchants and wallets: wallets 1 to 3 are there, 4 and 5
// are not; merchant 4 is not.
func drawStart(t *rapid.T) *store {
	s := &store{
		wallets: map[ledger.WalletID]ledger.Wallet{}, decided: map[ledger.OperationID]ledger.Fingerprint{},
		invoices: map[ledger.WalletInvoice]ledger.OperationID{}, moved: map[ledger.Movement]int64{},
		merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}, {2}: {Suspended: true}, {3}: {Owner: ledger.ClientID{1}}},
	}
	statuses := []ledger.WalletStatus{ledger.WalletActive, ledger.WalletActive, ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed}
	for i := byte(1); i <= 3; i++ {
		w := ledger.Wallet{
			ID: ledger.WalletID{i}, Client: ledger.ClientID{i}, Currency: "EUR", Digest: ledger.Digest{i},
			Status:      rapid.SampledFrom(statuses).Draw(t, "status"),
			CreditLimit: rapid.SampledFrom([]int64{0, 300, ledger.MaxAmount}).Draw(t, "limit"),
			Sequence:    rapid.Int64Range(1, 5).Draw(t, "sequence"),
		}
		if w.Status != ledger.WalletClosed {
			w.Balance = rapid.SampledFrom([]int64{0, 500, ledger.MaxAmount - 100, ledger.MaxAmount, -w.CreditLimit}).Draw(t, "balance")
		}
		s.wallets[w.ID] = w
	}
	return s
}

// kindsByWeight is every kind, and some more often.
var kindsByWeight = append(ledger.Kinds(),
	ledger.KindCharge, ledger.KindCharge, ledger.KindCharge, ledger.KindCharge, ledger.KindTopUp, ledger.KindUnfreeze, ledger.KindRefund, ledger.KindRefund)

// drawSteps is a batch with repeats, conflicts and refusals among new requests.
func drawSteps(t *rapid.T, m *ledger.Minter, now time.Time) []step {
	n := rapid.IntRange(0, 60).Draw(t, "steps")
	steps := make([]step, 0, n)
	for i := range n {
		at := ledger.Place{Log: 1, Offset: int64(i)}
		if i > 0 && rapid.IntRange(0, 5).Draw(t, "repeat") == 0 {
			s := steps[rapid.IntRange(0, i-1).Draw(t, "which")]
			if s.request != nil {
				again := *s.request
				again.ReceivedAt = again.ReceivedAt.Add(time.Second)
				s.request = &again
			}
			s.at = at
			steps = append(steps, s)
			continue
		}
		s := step{request: drawRequest(t, m, now, steps), at: at}
		if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
			s.payload = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "payload")
			s.refusal = &ledger.Refusal{
				ID: s.request.ID, Kind: s.request.Kind, Wallet: s.request.Wallet, Asker: s.request.Asker, Merchant: s.request.Merchant, ReceivedAt: s.request.ReceivedAt,
				Fingerprint: ledger.RefusedFingerprint([]byte(s.payload)),
			}
			s.request = nil
		}
		steps = append(steps, s)
	}
	return steps
}

func drawRequest(t *rapid.T, m *ledger.Minter, now time.Time, before []step) *ledger.Request {
	r := ledger.Request{
		Kind:       rapid.SampledFrom(kindsByWeight).Draw(t, "kind"),
		Wallet:     ledger.WalletID{rapid.ByteRange(1, 5).Draw(t, "wallet")},
		ReceivedAt: now.Add(-time.Minute),
		Asker:      ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{rapid.ByteRange(0, 2).Draw(t, "asker's key")}},
	}
	if r.Kind.MovesMoney() || r.Kind == ledger.KindSetLimit {
		r.Amount = rapid.SampledFrom([]int64{1, 100, 250, 250, 400, ledger.MaxAmount - 50, ledger.MaxAmount}).Draw(t, "amount")
	}
	if r.Kind.MovesMoney() || r.Kind == ledger.KindOpen || r.Kind == ledger.KindSetLimit {
		r.Currency = rapid.SampledFrom([]ledger.Currency{"EUR", "EUR", "EUR", "EUR", "USD"}).Draw(t, "currency")
	}
	switch r.Kind {
	case ledger.KindCharge:
		r.Merchant = ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 1, 2, 3, 4}).Draw(t, "merchant")}
		r.Asker.Party = ledger.AsMerchant(r.Merchant)
		r.Invoice = rapid.SampledFrom([]string{"", "i1", "i2", "i3", "i4", "i5"}).Draw(t, "invoice")
	case ledger.KindRefund:
		r.Merchant = ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 2}).Draw(t, "merchant")}
		r.Refers = operationOf(r.Wallet, 1)
		if charges := chargesAmong(before); len(charges) > 0 && rapid.IntRange(0, 9).Draw(t, "known") > 0 {
			c := rapid.SampledFrom(charges).Draw(t, "charge")
			r.Wallet, r.Refers = c.Wallet, c.ID
			if rapid.IntRange(0, 5).Draw(t, "other's") > 0 {
				r.Merchant = c.Merchant
			}
			if rapid.Bool().Draw(t, "of its size") {
				r.Amount = min(r.Amount, c.Amount/2+1)
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "all that is left") == 0 {
			r.Amount, r.Currency = 0, ""
		}
		r.Asker.Party = ledger.AsMerchant(r.Merchant)
	case ledger.KindOpen:
		r.Client = ledger.ClientID{rapid.ByteRange(1, 2).Draw(t, "client")}
	case ledger.KindTopUp, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindSetLimit,
		ledger.KindWithdraw:
	}
	if limit := rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 0, 0, -time.Hour, -1, 1, time.Microsecond, time.Hour}).Draw(t, "limit"); limit != 0 {
		r.ApplyBefore = now.Add(limit)
	}
	if r.Invoice == "" || rapid.Bool().Draw(t, "keyed") {
		r.IdempotencyKey = fmt.Sprintf("k%d", rapid.IntRange(1, 12).Draw(t, "key"))
	}
	r.ID = m.OperationID(r.Identity())
	if f := r.Faults(); f != nil {
		t.Fatalf("the generator made a request with faults: %v", f)
	}
	return &r
}

// chargesAmong are the requests of charges among the steps.
func chargesAmong(steps []step) (charges []ledger.Request) {
	for _, s := range steps {
		if s.request != nil && s.request.Kind == ledger.KindCharge {
			charges = append(charges, *s.request)
		}
	}
	return charges
}
