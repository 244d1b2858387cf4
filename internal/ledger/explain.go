package ledger

import (
	"fmt"
	"time"
)

// CheckResult is what came of a check. Results are shown: add new ones, never rename one.
type CheckResult string

// The results of a check.
const (
	CheckPassed     CheckResult = "passed"
	CheckFailed     CheckResult = "failed"
	CheckNotReached CheckResult = "not_reached" // one before it failed
)

// Check is one of the checks that decided an operation.
type Check struct {
	Reason  Reason // for which the operation fails if the check does
	Result  CheckResult
	Text    string           // in sentences for people
	Numbers map[string]int64 // what was compared, in minor units or as a count; nil: no numbers, or none that are known
	Times   map[string]time.Time
}

// Checks explains the decision: every check of the operation's kind, in the order in which they are made. The first one that
// fails is the operation's reason, and those behind it were not reached. It claims nothing that the operation on record does not tell.
//
// Without wallet it says nothing of the wallet's numbers: balance, credit limit, and what is held.
func (o Operation) Checks(wallet bool) []Check {
	reasons := append([]Reason{ReasonProcessingError}, o.Kind.row().reasons...) // who reads the record is first
	checks := make([]Check, len(reasons))
	result := CheckPassed
	for i, reason := range reasons {
		c := &checks[i]
		c.Reason = reason
		switch {
		case result != CheckPassed:
			c.Result, c.Text = CheckNotReached, "It was not checked: a check before it failed."
			continue
		case reason == o.Reason:
			result = CheckFailed
		}
		c.Result = result
		row := reason.check()
		if c.Text = row.passed; result == CheckFailed {
			c.Text = reason.Comment()
		}
		if row.compared != nil && (wallet || !row.ofWallet) {
			row.compared(o, c)
		}
	}
	return checks
}

// Effect says in sentences for people what came of the operation. Without wallet it says nothing of the wallet's numbers.
func (o Operation) Effect(wallet bool) string {
	if o.Reason != "" {
		return "Nothing was moved, and nothing changed."
	}
	text := o.done()
	if o.Kind.row().refers != nil {
		text += fmt.Sprintf(" Of what it refers to, %d is left.", o.LeftAfter)
	}
	if wallet {
		text += fmt.Sprintf(" The wallet has a balance of %d and a credit limit of %d, of which %d is held.", o.BalanceAfter, o.LimitAfter, o.HeldAfter)
	}
	return text
}

// done is what an accepted operation did.
func (o Operation) done() string {
	switch kind := o.Kind.row(); {
	case kind.holds:
		return fmt.Sprintf("Of the wallet's money, %d was set aside.", o.Amount)
	case kind.limits:
		return fmt.Sprintf("The credit limit became %d.", o.Amount)
	case kind.becomes != "":
		return fmt.Sprintf("The wallet became %s.", kind.becomes)
	case kind.opens:
		return "The wallet is open."
	case kind.mandate == mandateGiven:
		return "The merchant has a mandate, with these limits, from now on."
	case kind.mandate == mandateTaken:
		return "The merchant has no mandate from now on."
	case kind.moves > 0:
		return fmt.Sprintf("The wallet got %d.", o.moved())
	case kind.moves < 0:
		return fmt.Sprintf("The wallet paid %d.", o.moved())
	}
	return fmt.Sprintf("Of what was held, %d is available again.", o.Moved)
}

// checkRow is how a check is explained.
type checkRow struct {
	reason   Reason
	passed   string                  // that it did; that it failed is the reason's comment
	compared func(Operation, *Check) // adds what was compared; nil: nothing that the operation on record tells
	ofWallet bool                    // what was compared is for the wallet's owner and the operator alone
}

// checkRows is the table of them.
//
//nolint:gochecknoglobals // read only
var checkRows = [...]checkRow{
	{reason: ReasonExpired, passed: "It was decided in time.", compared: compareTimes},
	{reason: ReasonMerchantNotFound, passed: "There is a merchant with this ID."},
	{reason: ReasonMerchantSuspended, passed: "The merchant is not suspended."},
	{reason: ReasonMandateRequired, passed: "The merchant has a mandate of the wallet, or anyone may charge it."},
	{reason: ReasonChargeNotFound, passed: "The charge is one of the merchant's, on this wallet."},
	{reason: ReasonHoldNotFound, passed: "The hold is one of the merchant's, on this wallet."},
	{reason: ReasonChargeNotAccepted, passed: "The charge was accepted."},
	{reason: ReasonHoldNotAccepted, passed: "The hold was accepted."},
	{reason: ReasonWalletNotFound, passed: "There is a wallet with this ID."},
	{reason: ReasonSelfCharge, passed: "The wallet is not one of the merchant's own owner."},
	{reason: ReasonWalletClosed, passed: "The wallet is not closed."},
	{reason: ReasonWalletFrozen, passed: "The wallet is not frozen."},
	{reason: ReasonCurrencyMismatch, passed: "The currency is the wallet's currency.", compared: compareCurrency},
	{reason: ReasonMandateNotFound, passed: "The merchant has a mandate of the wallet."},
	{reason: ReasonWalletNotMandated, passed: "The wallet is charged under mandates."},
	{
		reason: ReasonTooManyMandates, passed: "The wallet has not given too many mandates.",
		compared: bound("A wallet gives mandates to %d merchants at most.", MaxMandates),
	},
	{reason: ReasonMandateExpired, passed: "No mandate that it needs has expired."},
	{reason: ReasonMandateLimit, passed: "No mandate that it needs allows less.", compared: compareMandate},
	{reason: ReasonHoldClosed, passed: "The hold was not captured or released to its end."},
	{reason: ReasonHoldExpired, passed: "The hold has not expired."},
	{reason: ReasonExceedsHold, passed: "The hold holds that much.", compared: compareLeft("remaining")},
	{reason: ReasonRefundExceedsCharge, passed: "That much of the charge can be given back.", compared: compareLeft("refundable")},
	{reason: ReasonTooManyHolds, passed: "The wallet has room for one more open hold.", compared: bound("A wallet has %d open holds at most.", MaxHolds)},
	{
		reason: ReasonTooManyCaptures, passed: "The hold was not captured and released in too many parts.",
		compared: bound("After %d parts only what ends the hold is accepted.", MaxCaptures),
	},
	{reason: ReasonDuplicateInvoice, passed: "No accepted charge and no open hold of the merchant has the invoice on this wallet.", compared: compareInvoice},
	{reason: ReasonWalletNotEmpty, passed: "The wallet is empty, and has no open holds.", compared: compareEmpty, ofWallet: true},
	{reason: ReasonInsufficientFunds, passed: "The wallet has enough available money.", compared: compareFunds, ofWallet: true},
	{reason: ReasonLimitInUse, passed: "The wallet owes and holds no more than the credit limit allows.", compared: compareLimit, ofWallet: true},
	{reason: ReasonAmountOverflow, passed: "The wallet can hold that much money.", compared: compareRoom, ofWallet: true},
	{reason: ReasonProcessingError, passed: "It could be read."},
}

// check is the row of the reason's check.
func (r Reason) check() checkRow {
	for i := range checkRows {
		if checkRows[i].reason == r {
			return checkRows[i]
		}
	}
	return checkRow{}
}

// add adds a sentence and the numbers that it speaks of.
func (c *Check) add(numbers map[string]int64, format string, args ...any) {
	c.Numbers = numbers
	c.Text += " " + fmt.Sprintf(format, args...)
}

func compareTimes(o Operation, c *Check) {
	if o.ApplyBefore.IsZero() {
		c.add(nil, "It named no time by which to decide it.")
		return
	}
	c.Times = map[string]time.Time{"apply_before": o.ApplyBefore, "decided_at": o.DecidedAt}
	c.add(nil, "It was decided at %s, and was to be decided before %s.", o.DecidedAt.Format(time.RFC3339Nano), o.ApplyBefore.Format(time.RFC3339Nano))
}

func compareCurrency(o Operation, c *Check) {
	if o.ofAllLeft() {
		c.add(nil, "It named none.")
		return
	}
	c.add(nil, "It named %s.", o.Currency)
}

// compareLeft compares what was asked with what was left of the operation that it refers to.
func compareLeft(name string) func(Operation, *Check) {
	return func(o Operation, c *Check) {
		left, known := o.leftBefore()
		switch {
		case o.ofAllLeft():
			c.add(map[string]int64{name: left}, "It asked for all that was left: %d.", left)
		case known:
			c.add(map[string]int64{"asked": o.Amount, name: left}, "It asked for %d, and %d was left.", o.Amount, left)
		default:
			c.add(map[string]int64{"asked": o.Amount}, "It asked for %d.", o.Amount)
		}
	}
}

func bound(format string, most int64) func(Operation, *Check) {
	return func(_ Operation, c *Check) { c.add(map[string]int64{"most": most}, format, most) }
}

func compareMandate(o Operation, c *Check) {
	if o.MandateLimit != "" {
		c.add(map[string]int64{"asked": o.Amount, "left": o.LeftAfter}, "It asked for %d, and the limit %s had %d left.", o.Amount, o.MandateLimit, o.LeftAfter)
	}
}

func compareInvoice(o Operation, c *Check) {
	switch {
	case o.Invoice == "":
		c.Text = "It named no invoice."
	case !o.DuplicateOf.IsZero():
		c.add(nil, "It is that of %s.", o.DuplicateOf)
	}
}

func compareEmpty(o Operation, c *Check) {
	w := o.walletBefore()
	c.add(map[string]int64{"balance": w.Balance, "held": w.Held}, "Its balance is %d, and %d is held.", w.Balance, w.Held)
}

func compareFunds(o Operation, c *Check) {
	w := o.walletBefore()
	if !o.Kind.row().credit {
		available := w.Balance - w.Held
		c.add(map[string]int64{"needed": o.Amount, "available": available, "balance": w.Balance, "held": w.Held},
			"Needed is %d. Available, without credit, is %d: a balance of %d, of which %d is held.", o.Amount, available, w.Balance, w.Held)
		return
	}
	c.add(map[string]int64{"needed": o.Amount, "available": w.Available(), "balance": w.Balance, "credit_limit": w.CreditLimit, "held": w.Held},
		"Needed is %d. Available is %d: a balance of %d and a credit limit of %d, of which %d is held.",
		o.Amount, w.Available(), w.Balance, w.CreditLimit, w.Held)
}

func compareLimit(o Operation, c *Check) {
	w := o.walletBefore()
	used := max(0, w.Held-w.Balance)
	c.add(map[string]int64{"credit_limit": o.Amount, "used": used, "balance": w.Balance, "held": w.Held},
		"It would allow %d, and %d is used: a balance of %d, of which %d is held.", o.Amount, used, w.Balance, w.Held)
}

func compareRoom(o Operation, c *Check) {
	w, added := o.walletBefore(), o.Amount
	if o.ofAllLeft() {
		added, _ = o.leftBefore()
	}
	c.add(map[string]int64{"added": added, "balance": w.Balance, "most": MaxAmount},
		"To a balance of %d it adds %d, and a wallet holds %d at most.", w.Balance, added, MaxAmount)
}

// ofAllLeft reports whether it asked for all that was left of the operation that it refers to.
func (o Operation) ofAllLeft() bool { return !o.Refers.IsZero() && o.Amount == 0 }

// leftBefore is how much was left, when it was decided, of the operation that it refers to. What a last capture gave back
// with a part is not on record.
func (o Operation) leftBefore() (left int64, known bool) {
	switch {
	case o.Reason != "":
		return o.LeftAfter, true
	case o.Kind == KindCapture && o.Rest != RestKept && o.Amount != 0:
		return 0, false
	}
	return o.LeftAfter + o.Moved, true
}

// walletBefore are the numbers of the wallet that it was decided on: those that a check of its kind compares.
func (o Operation) walletBefore() Wallet {
	w := Wallet{Balance: o.BalanceAfter, Held: o.HeldAfter, CreditLimit: o.LimitAfter}
	if o.Reason != "" {
		return w
	}
	kind := o.Kind.row()
	w.Balance -= kind.moves * o.moved()
	if kind.holds {
		w.Held -= o.Amount
	}
	return w
}
