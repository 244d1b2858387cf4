package ledger

import (
	"fmt"
	"slices"
)

// Rule names one of the things that must hold of every history.
type Rule string

// The rules of a wallet's history.
const (
	RuleSequence    Rule = "sequence"    // 1, 2, 3 ... without gaps
	RuleOrder       Rule = "order"       // queued operations in the order of the log
	RulePosition    Rule = "position"    // in the partition 1, 2, 3 ... without gaps, in a wallet rising
	RuleDigest      Rule = "digest"      // follows from the operation and the digest before it
	RuleFingerprint Rule = "fingerprint" // follows from the request
	RuleOutcome     Rule = "outcome"     // deciding again comes to the same
)

// Flaw is one place where a history cannot be right.
type Flaw struct {
	Rule   Rule
	Detail string
}

// Audit follows the history of one wallet, operation by operation in the order
// of their sequence, and decides each again. Operations without a sequence may
// come at any time. The zero value is ready; it keeps no more than the wallet's
// state and its mandates, however long the history is.
//
// Where the history goes wrong, the audit goes on from what is on record, so
// that one fault is not reported for every operation after it.
type Audit struct {
	wallet Wallet
	exists bool
	last   Place
	behind int64 // the position of the last operation

	mandates map[MerchantID]Mandate
}

// Wallet is what the operations so far made of the wallet, and whether there is
// one.
func (a *Audit) Wallet() (Wallet, bool) { return a.wallet, a.exists }

// Check says what is wrong with the next operation. Charged is the earlier
// accepted charge or capture of the operation's invoice on this wallet, or the hold that was open with it; zero if there is
// none.
//
// What was found of the merchant, and the credit limit, are taken from the operation,
// and never from today.
//
// Referred is what the operation refers to, as it was left by the operations before; zero if there is no such one.
func (a *Audit) Check(o Operation, charged OperationID, referred Referred) []Flaw {
	f := flaws{}
	bare := o.Reason == ReasonProcessingError
	if !bare && o.Fingerprint != o.Request.Fingerprint() {
		f.add(RuleFingerprint, "is not that of the request")
	}
	if o.Sequence == 0 {
		if o.Digest != o.Seal(Digest{}) {
			f.add(RuleDigest, "does not follow from the operation")
		}
		if !bare {
			f.compareOutcome(o, (&Audit{}).decideAgain(o, OperationID{}, referred))
		}
		return f
	}
	if o.Sequence != a.wallet.Sequence+1 {
		f.add(RuleSequence, "%d comes after %d", o.Sequence, a.wallet.Sequence)
	}
	if !o.Place.IsZero() {
		if o.Place.Log < a.last.Log || o.Place.Log == a.last.Log && o.Place.Offset <= a.last.Offset {
			f.add(RuleOrder, "log %d, offset %d comes after log %d, offset %d", o.Place.Log, o.Place.Offset, a.last.Log, a.last.Offset)
		}
		a.last = o.Place
	}
	if o.Position <= a.behind {
		f.add(RulePosition, "position %d comes after position %d", o.Position, a.behind)
	}
	a.behind = o.Position
	if o.Digest != o.Seal(a.wallet.Digest) {
		f.add(RuleDigest, "does not follow from the operation and the one before it")
	}
	f.compareOutcome(o, a.decideAgain(o, charged, referred))
	a.followRecord(o, referred)
	return f
}

// decideAgain decides the operation on what the ones before it left.
func (a *Audit) decideAgain(o Operation, charged OperationID, referred Referred) Operation {
	known := Known{
		Wallets: map[WalletID]Wallet{}, Merchants: map[MerchantID]Merchant{}, Invoices: map[WalletInvoice]OperationID{},
		Referred: map[OperationID]Referred{}, Mandates: map[WalletMerchant]Mandate{}, Given: map[WalletID]int{o.Wallet: len(a.mandates)},
	}
	if m, given := a.mandates[o.Merchant]; given {
		known.Mandates[WalletMerchant{o.Wallet, o.Merchant}] = m
	}
	if !o.Refers.IsZero() {
		known.Referred[o.Refers] = referred
	}
	if a.exists {
		known.Wallets[o.Wallet] = a.wallet
	}
	if o.MerchantState != "" {
		known.Merchants[o.Merchant] = Merchant{Owner: o.MerchantOwner, Suspended: o.MerchantState == MerchantSuspended}
	}
	if !charged.IsZero() {
		invoice, _ := o.WalletInvoice()
		known.Invoices[invoice] = charged
	}
	book := NewBook(known, o.DecidedAt)
	if !o.Refers.IsZero() {
		o.Invoice = "" // it has what it refers to give it one
	}
	book.Decide(o.Request, o.Place)
	return book.Operations()[0]
}

// followRecord makes the wallet what is on record.
func (a *Audit) followRecord(o Operation, referred Referred) {
	if !a.exists {
		a.exists = true
		a.wallet = Wallet{ID: o.Wallet, Client: o.Client, Currency: o.Currency, Charges: o.Charges}
	}
	a.wallet = a.wallet.After(o)
	if o.Reason == "" && (o.Kind.row().mandate != 0 || o.MandateDay != 0 || referred.Day != 0) {
		if a.mandates == nil {
			a.mandates = map[MerchantID]Mandate{}
		}
		a.mandates[o.Merchant] = a.mandates[o.Merchant].after(&o, referred)
	}
	if o.Reason == "" && o.Kind == KindHold {
		a.wallet.Holds++
	}
	if o.Reason == "" && o.LeftAfter == 0 && slices.Contains(o.Kind.row().refers, KindHold) {
		a.wallet.Holds--
	}
}

type flaws []Flaw

func (f *flaws) add(rule Rule, format string, args ...any) {
	*f = append(*f, Flaw{Rule: rule, Detail: fmt.Sprintf(format, args...)})
}

// compareOutcome compares what is on record with what deciding again came to.
func (f *flaws) compareOutcome(o, again Operation) {
	switch {
	case o.Reason != again.Reason:
		f.add(RuleOutcome, "is %q, deciding again gives %q", o.result(), again.result())
	case o.DuplicateOf != again.DuplicateOf:
		f.add(RuleOutcome, "names another charge as the first of its invoice")
	case o.Invoice != again.Invoice:
		f.add(RuleOutcome, "has another invoice than deciding again gives it")
	case o.Moved != again.Moved:
		f.add(RuleOutcome, "moves %d, deciding again gives %d", o.Moved, again.Moved)
	case o.MandateDay != again.MandateDay:
		f.add(RuleOutcome, "counts for day %d of its mandate, deciding again gives %d", o.MandateDay, again.MandateDay)
	case o.MandateLimit != again.MandateLimit:
		f.add(RuleOutcome, "exceeds %q of its mandate, deciding again gives %q", o.MandateLimit, again.MandateLimit)
	case o.LeftAfter != again.LeftAfter:
		f.add(RuleOutcome, "leaves %d of what it refers to, deciding again gives %d", o.LeftAfter, again.LeftAfter)
	case o.Sequence == 0:
	case o.BalanceAfter != again.BalanceAfter:
		f.add(RuleOutcome, "leaves a balance of %d, deciding again gives %d", o.BalanceAfter, again.BalanceAfter)
	case o.HeldAfter != again.HeldAfter:
		f.add(RuleOutcome, "leaves %d held, deciding again gives %d", o.HeldAfter, again.HeldAfter)
	case o.LimitAfter != again.LimitAfter:
		f.add(RuleOutcome, "leaves a credit limit of %d, deciding again gives %d", o.LimitAfter, again.LimitAfter)
	case o.StatusAfter != again.StatusAfter:
		f.add(RuleOutcome, "leaves the wallet %s, deciding again gives %s", o.StatusAfter, again.StatusAfter)
	}
}

func (o Operation) result() string {
	if o.Reason == "" {
		return string(StatusAccepted)
	}
	return string(o.Reason)
}
