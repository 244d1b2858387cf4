package ledger

import (
	"maps"
	"slices"
	"time"
)

// MaxBatch is how many requests one [Book] may decide: so few that no sum of
// their amounts leaves int64.
const MaxBatch = 1000

// Known is what is on record about everything that a batch of requests touches,
// read under the locks of the wallets.
type Known struct {
	Wallets   map[WalletID]Wallet
	Merchants map[MerchantID]Merchant
	Decided   map[OperationID]Fingerprint   // which of the batch's IDs have an outcome
	Invoices  map[WalletInvoice]OperationID // which of the batch's invoices were accepted or are held, and as what
	Mandates  map[WalletMerchant]Mandate    // of the merchants that use one, or are to have one or none
	Given     map[WalletID]int              // of the wallets that give a mandate: to how many merchants they ever did
	Referred  map[OperationID]Referred      // what the batch refers to: an entry for each, a zero one where there is no such operation
	Position  int64                         // of the partition's last operation; 0: it has none
}

// Referred is what is on record of an operation that another one refers to.
type Referred struct {
	Kind     Kind // empty: there is no such operation
	Wallet   WalletID
	Merchant MerchantID
	Accepted bool
	Left     int64  // minor units: how much of it can still be moved
	Invoice  string // of a hold
	Parts    int    // of a hold: how many accepted operations refer to it
	Captured bool   // of a hold: one of them captured some of it
	Last     Kind   // of a hold: what the last of them was
	Day      int32  // of a hold: the [Operation.MandateDay]
}

// Hold is money that a merchant has set aside in a wallet: what a hold is while it is open.
type Hold struct {
	ID        OperationID
	Wallet    WalletID
	Merchant  MerchantID
	Invoice   string
	ExpiresAt time.Time
}

// Verdict says what became of one request or record.
type Verdict int

// The verdicts.
const (
	Settled     Verdict = iota + 1 // it has an outcome, and it is a new one
	Duplicate                      // the same request already has an outcome
	Conflicting                    // another request has this ID and already has an outcome
)

// Conflict is a request whose ID already belongs to another one.
type Conflict struct {
	ID          OperationID
	Fingerprint Fingerprint
	Place       Place
}

// Book decides a batch of requests in the order in which they are given, each
// on what the ones before left. It keeps what is to be written down.
type Book struct {
	known      Known
	now        time.Time
	changed    map[WalletID]bool
	operations []Operation
	conflicts  []Conflict
	movements  map[Movement]int64      // by account and currency, Amount zero in the key
	mandates   map[WalletMerchant]bool // that changed
	opened     map[OperationID]Hold
	ended      []OperationID
}

// NewBook opens a book on what is known. The book owns the maps from then on.
// It cuts now to microseconds, as the history keeps it.
func NewBook(known Known, now time.Time) *Book {
	if known.Wallets == nil {
		known.Wallets = map[WalletID]Wallet{}
	}
	if known.Decided == nil {
		known.Decided = map[OperationID]Fingerprint{}
	}
	if known.Referred == nil {
		known.Referred = map[OperationID]Referred{}
	}
	if known.Invoices == nil {
		known.Invoices = map[WalletInvoice]OperationID{}
	}
	if known.Mandates == nil {
		known.Mandates = map[WalletMerchant]Mandate{}
	}
	if known.Given == nil {
		known.Given = map[WalletID]int{}
	}
	return &Book{known: known, now: microseconds(now), changed: map[WalletID]bool{}, movements: map[Movement]int64{}, opened: map[OperationID]Hold{}}
}

// Expect makes room for n operations, which saves copying them; more may come.
func (b *Book) Expect(n int) { b.operations = slices.Grow(b.operations, n) }

// Decide gives the request its outcome, unless its ID already has one. The
// request has no [Request.Faults].
func (b *Book) Decide(r Request, at Place) Verdict {
	r.ApplyBefore = microseconds(r.ApplyBefore)
	r.ReceivedAt = microseconds(r.ReceivedAt)
	r.Terms.ValidUntil = microseconds(r.Terms.ValidUntil)
	op, verdict := b.next(&r, r.Fingerprint(), at)
	if op == nil {
		return verdict
	}
	kind := r.Kind.row()
	w, exists := b.known.Wallets[r.Wallet]
	if !exists && kind.opens {
		w = Wallet{ID: r.Wallet, Client: r.Client, Currency: r.Currency, Status: WalletActive, Charges: r.Charges}
	}
	b.findMerchant(op)
	invoice, _ := r.WalletInvoice()
	if kind.refers != nil {
		b.refer(op, &w)
	}
	op.Reason = b.judge(kind, op, invoice, &w, exists)
	switch op.Reason {
	case "":
		referred := b.known.Referred[op.Refers]
		if kind.refers != nil {
			b.settleReferred(op, &w)
			invoice, _ = op.WalletInvoice() // a hold's first capture has the hold's
		}
		b.settleMandate(kind, op, &w, referred)
		w, exists = w.apply(kind, op), true
		b.accept(op, invoice)
	case ReasonMandateLimit:
		op.MandateLimit, op.LeftAfter = b.mandate(op).exceeds(op.Amount, b.now)
	case ReasonDuplicateInvoice:
		op.DuplicateOf = b.known.Invoices[invoice]
	default:
		op.Moved = 0
	}
	b.remember(op)
	if !exists {
		op.Digest = op.Seal(Digest{})
		return Settled
	}
	w.Sequence++
	op.Sequence, op.BalanceAfter, op.HeldAfter, op.LimitAfter, op.StatusAfter = w.Sequence, w.Balance, w.Held, w.CreditLimit, w.Status
	op.Digest = op.Seal(w.Digest)
	w.Digest = op.Digest
	b.put(w)
	return Settled
}

// Refusal is what is left of a record whose ID computes but which cannot be
// decided: only fields that cannot be at fault.
type Refusal struct {
	ID          OperationID
	Kind        Kind // empty unless it is one of ours
	Wallet      WalletID
	Asker       Asker
	Merchant    MerchantID
	Fingerprint Fingerprint
	ReceivedAt  time.Time // zero: not known
}

// Refuse records the refusal as a failed operation without a sequence, unless
// its ID already has an outcome. It touches no wallet.
func (b *Book) Refuse(x Refusal, at Place) Verdict {
	r := Request{
		ID: x.ID, Kind: x.Kind, Wallet: x.Wallet, Asker: x.Asker, Merchant: x.Merchant, ReceivedAt: microseconds(x.ReceivedAt),
	}
	op, verdict := b.next(&r, x.Fingerprint, at)
	if op == nil {
		return verdict
	}
	op.Reason = ReasonProcessingError
	b.remember(op)
	op.Digest = op.Seal(Digest{})
	return Settled
}

// Decided reports whether the ID has an outcome, as far as is known.
func (b *Book) Decided(id OperationID) bool {
	_, decided := b.known.Decided[id]
	return decided
}

// Operations are the new outcomes, in the order decided.
func (b *Book) Operations() []Operation { return b.operations }

// Position is that of the partition's last operation, the new ones included.
func (b *Book) Position() int64 { return b.known.Position }

// Conflicts are the requests that came under an ID that another one has.
func (b *Book) Conflicts() []Conflict { return b.conflicts }

// Wallets are the wallets that changed, each once, as they are now, in no order.
func (b *Book) Wallets() []Wallet {
	wallets := make([]Wallet, 0, len(b.changed))
	for id := range b.changed {
		wallets = append(wallets, b.known.Wallets[id])
	}
	return wallets
}

// Mandates are the mandates that changed, each once, as they are now, in no order.
func (b *Book) Mandates() []Mandate {
	mandates := make([]Mandate, 0, len(b.mandates))
	for of := range b.mandates {
		mandates = append(mandates, b.known.Mandates[of])
	}
	return mandates
}

// Movements are the sums moved, one for each account and currency, in no order.
func (b *Book) Movements() []Movement {
	movements := make([]Movement, 0, len(b.movements))
	for m, sum := range b.movements {
		m.Amount = sum
		movements = append(movements, m)
	}
	return movements
}

// Holds are the holds that the batch opened and left open, and those from before that it ended, in no order.
func (b *Book) Holds() (opened []Hold, ended []OperationID) {
	return slices.Collect(maps.Values(b.opened)), b.ended
}

// next begins the record of an operation that has no outcome yet, and gives it the next
// position. It is nil where the ID has one already: then the verdict says of what.
func (b *Book) next(r *Request, f Fingerprint, at Place) (*Operation, Verdict) {
	switch first, decided := b.known.Decided[r.ID]; {
	case decided && first == f:
		return nil, Duplicate
	case decided:
		b.conflicts = append(b.conflicts, Conflict{ID: r.ID, Fingerprint: f, Place: at})
		return nil, Conflicting
	}
	b.known.Decided[r.ID] = f
	b.known.Position++
	b.operations = append(b.operations, Operation{
		Request: *r, Place: at, Fingerprint: f, Position: b.known.Position, DecidedAt: b.now, SealVersion: SealVersion,
	})
	return &b.operations[len(b.operations)-1], Settled
}

// refer notes what the operation would move of the one that it refers to, and what is left
// of that.
func (b *Book) refer(op *Operation, w *Wallet) {
	found := b.known.Referred[op.Refers]
	if !found.suits(op) || !found.Accepted {
		return // nothing is said of the wallet
	}
	if op.Currency == "" {
		op.Currency = w.Currency
	}
	op.LeftAfter, op.Moved = found.Left, op.Amount
	if op.Moved == 0 {
		op.Moved = found.Left
	}
}

// suits reports whether the operation may refer to what was found: it is the merchant's own,
// of the kind, on the same wallet. To the merchant there is nothing else.
func (r Referred) suits(op *Operation) bool {
	return r.Kind != "" && slices.Contains(op.Kind.row().refers, r.Kind) && r.Wallet == op.Wallet && r.Merchant == op.Merchant
}

// settleReferred is the effect of an accepted operation on the one that it refers to, and on what the
// wallet holds.
func (b *Book) settleReferred(op *Operation, w *Wallet) {
	found := b.known.Referred[op.Refers]
	before := found.Left
	found.Left -= op.Moved
	if found.Kind == KindHold {
		if op.Kind == KindCapture {
			if op.Rest != RestKept {
				found.Left = 0
			}
			if !found.Captured {
				op.Invoice, found.Captured = found.Invoice, true
			}
		}
		found.Parts++
		found.Last = op.Kind
		w.Held -= before - found.Left
		if found.Left == 0 {
			w.Holds--
			b.end(op, found)
		}
	}
	op.LeftAfter = found.Left
	b.known.Referred[op.Refers] = found
}

// settleMandate is the effect of an accepted operation on the merchant's mandate. Referred is what the
// operation refers to, as it was before.
func (b *Book) settleMandate(kind *kindRow, op *Operation, w *Wallet, referred Referred) {
	if kind.mandate == 0 && (w.Charges != ChargesMandated || !kind.uses && referred.Day == 0) {
		return
	}
	m := b.mandate(op)
	if kind.uses {
		op.MandateDay = m.dayOf(b.now)
	}
	if kind.mandate == mandateGiven && m.Wallet.IsZero() {
		b.known.Given[op.Wallet]++
	}
	of := WalletMerchant{op.Wallet, op.Merchant}
	b.known.Mandates[of] = m.after(op, referred)
	if b.mandates == nil {
		b.mandates = map[WalletMerchant]bool{}
	}
	b.mandates[of] = true
}

// mandate is what is known of the mandate that the operation is about.
func (b *Book) mandate(op *Operation) Mandate {
	return b.known.Mandates[WalletMerchant{op.Wallet, op.Merchant}]
}

// end ends a hold; one that was never captured gives its invoice back.
func (b *Book) end(op *Operation, hold Referred) {
	if _, is := b.opened[op.Refers]; is {
		delete(b.opened, op.Refers)
	} else {
		b.ended = append(b.ended, op.Refers)
	}
	if hold.Invoice != "" && !hold.Captured {
		delete(b.known.Invoices, WalletInvoice{Wallet: hold.Wallet, Invoice: NewInvoiceKey(hold.Merchant, hold.Invoice)})
	}
}

// remember keeps what an operation of the batch is to others that refer to it.
func (b *Book) remember(op *Operation) {
	if _, wanted := b.known.Referred[op.ID]; wanted {
		b.known.Referred[op.ID] = op.referred()
	}
}

// referred is what the operation, new as it is, is to others that refer to it.
func (o *Operation) referred() Referred {
	r := Referred{Kind: o.Kind, Wallet: o.Wallet, Merchant: o.Merchant, Accepted: o.Reason == ""}
	if r.Accepted {
		r.Left = o.Amount
		if !o.Refers.IsZero() {
			r.Left = o.Moved
		}
	}
	if o.Kind == KindHold {
		r.Invoice, r.Day = o.Invoice, o.MandateDay
	}
	return r
}

// findMerchant notes what is known of the merchant to pay: the row keeps what it was decided on.
func (b *Book) findMerchant(op *Operation) {
	m, found := b.known.Merchants[op.Merchant]
	if !found || op.Merchant.IsZero() {
		return
	}
	op.MerchantState, op.MerchantOwner = MerchantActive, m.Owner
	if m.Suspended {
		op.MerchantState = MerchantSuspended
	}
}

// judge is the first of the kind's reasons that holds.
func (b *Book) judge(kind *kindRow, op *Operation, invoice WalletInvoice, w *Wallet, exists bool) Reason {
	for _, reason := range kind.reasons {
		if b.holds(reason, op, invoice, w, exists) {
			return reason
		}
	}
	return ""
}

// holds is the rules: whether the reason speaks against the request, given that none
// before it does.
func (b *Book) holds(reason Reason, op *Operation, invoice WalletInvoice, w *Wallet, exists bool) bool {
	switch reason {
	case ReasonExpired:
		return !op.ApplyBefore.IsZero() && !b.now.Before(op.ApplyBefore)
	case ReasonWalletNotFound:
		return !exists
	case ReasonMerchantNotFound:
		return op.MerchantState == ""
	case ReasonMerchantSuspended:
		return op.MerchantState == MerchantSuspended
	case ReasonMandateRequired:
		return !exists || w.Charges == ChargesMandated && !b.mandate(op).Given
	case ReasonMandateNotFound:
		return !b.mandate(op).Given
	case ReasonWalletNotMandated:
		return w.Charges != ChargesMandated
	case ReasonTooManyMandates:
		return b.known.Given[op.Wallet] >= MaxMandates && b.mandate(op).Wallet.IsZero()
	case ReasonMandateExpired:
		return w.Charges == ChargesMandated && b.mandate(op).Expired(b.now)
	case ReasonMandateLimit:
		if w.Charges != ChargesMandated {
			return false
		}
		limit, _ := b.mandate(op).exceeds(op.Amount, b.now)
		return limit != ""
	case ReasonSelfCharge:
		return !op.MerchantOwner.IsZero() && op.MerchantOwner == w.Client
	case ReasonWalletClosed:
		return w.Status == WalletClosed
	case ReasonWalletFrozen:
		return w.Status == WalletFrozen
	case ReasonChargeNotFound, ReasonHoldNotFound:
		return !b.known.Referred[op.Refers].suits(op)
	case ReasonChargeNotAccepted, ReasonHoldNotAccepted:
		return !b.known.Referred[op.Refers].Accepted
	case ReasonHoldClosed:
		return op.LeftAfter == 0 && b.known.Referred[op.Refers].Last != KindExpire
	case ReasonHoldExpired:
		return op.LeftAfter == 0
	case ReasonRefundExceedsCharge, ReasonExceedsHold:
		return op.Moved == 0 || op.Moved > op.LeftAfter
	case ReasonTooManyCaptures:
		return b.known.Referred[op.Refers].Parts >= MaxCaptures && op.Moved < op.LeftAfter && (op.Kind != KindCapture || op.Rest == RestKept)
	case ReasonTooManyHolds:
		return w.Holds >= MaxHolds
	case ReasonCurrencyMismatch:
		return exists && op.Currency != w.Currency
	case ReasonDuplicateInvoice:
		_, taken := b.known.Invoices[invoice]
		return taken && op.Invoice != ""
	case ReasonWalletNotEmpty:
		return w.Status != WalletClosed && (w.Balance != 0 || w.Holds != 0)
	case ReasonInsufficientFunds:
		var credit int64
		if op.Kind.row().credit {
			credit = w.CreditLimit
		}
		return w.Balance-w.Held < op.Amount-credit // written so that no limit overflows
	case ReasonLimitInUse:
		return w.Balance-w.Held < -op.Amount
	case ReasonAmountOverflow:
		return w.Balance > MaxAmount-op.moved()
	case ReasonProcessingError: // decided by who reads the record
	}
	return false
}

// apply is the effect of an accepted request.
func (w Wallet) apply(kind *kindRow, op *Operation) Wallet {
	w.Balance += kind.moves * op.moved()
	if kind.holds {
		w.Held += op.Amount
		w.Holds++
	}
	if kind.limits {
		w.CreditLimit = op.Amount
	}
	if kind.becomes != "" {
		w.Status = kind.becomes
	}
	return w
}

func (b *Book) accept(op *Operation, invoice WalletInvoice) {
	if op.Invoice != "" {
		b.known.Invoices[invoice] = op.ID
	}
	if op.Kind == KindHold {
		b.opened[op.ID] = Hold{ID: op.ID, Wallet: op.Wallet, Merchant: op.Merchant, Invoice: op.Invoice, ExpiresAt: op.ExpiresAt()}
	}
	if m := op.Movement(); m.Amount != 0 {
		sum := m.Amount
		m.Amount = 0
		b.movements[m] += sum
	}
}

func (b *Book) put(w Wallet) {
	b.changed[w.ID] = true
	b.known.Wallets[w.ID] = w
}

func microseconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
