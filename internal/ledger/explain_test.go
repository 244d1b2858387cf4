package ledger_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// comparisons is what the numbers of a check say: whether it passes. A check without the numbers that it needs says nothing.
var comparisons = map[ledger.Reason]struct {
	needs  []string
	passes func(n map[string]int64) bool
}{
	ledger.ReasonExceedsHold:         {[]string{"asked", "remaining"}, func(n map[string]int64) bool { return n["asked"] <= n["remaining"] }},
	ledger.ReasonRefundExceedsCharge: {[]string{"asked", "refundable"}, func(n map[string]int64) bool { return n["asked"] <= n["refundable"] }},
	ledger.ReasonWalletNotEmpty:      {[]string{"balance", "held"}, func(n map[string]int64) bool { return n["balance"] == 0 && n["held"] == 0 }},
	ledger.ReasonInsufficientFunds: {[]string{"needed", "available", "balance", "held"}, func(n map[string]int64) bool {
		return n["needed"] <= n["available"] && n["available"] == n["balance"]+n["credit_limit"]-n["held"]
	}},
	ledger.ReasonLimitInUse: {[]string{"credit_limit", "used", "balance", "held"}, func(n map[string]int64) bool {
		return n["used"] <= n["credit_limit"] && n["used"] == max(0, n["held"]-n["balance"])
	}},
	ledger.ReasonAmountOverflow: {[]string{"added", "balance", "most"}, func(n map[string]int64) bool { return n["added"] <= n["most"]-n["balance"] }},
}

// ofWallet are the numbers that only the wallet's owner and the operator see.
var ofWallet = []ledger.Reason{
	ledger.ReasonWalletNotEmpty, ledger.ReasonInsufficientFunds, ledger.ReasonLimitInUse, ledger.ReasonAmountOverflow,
}

// fataler is a test or a rapid one.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkExplanation holds the explanation of an operation against its outcome, and against the wallet and the rest of
// what it refers to as they were before it.
func checkExplanation(t fataler, op ledger.Operation, before ledger.Wallet, left int64) {
	t.Helper()
	checks := op.Checks(true)
	want := append([]ledger.Reason{ledger.ReasonProcessingError}, op.Kind.Reasons()...)
	want = want[:len(want)-1] // the same again
	if len(checks) != len(want) {
		t.Fatalf("%d checks, want %d: %+v", len(checks), len(want), checks)
	}
	expected := ledger.CheckPassed
	for i, c := range checks {
		if c.Reason != want[i] {
			t.Fatalf("check %d is %s, want %s", i, c.Reason, want[i])
		}
		switch {
		case expected == ledger.CheckFailed:
			expected = ledger.CheckNotReached
		case expected == ledger.CheckPassed && op.Reason == c.Reason:
			expected = ledger.CheckFailed
		}
		if c.Result != expected || c.Text == "" {
			t.Fatalf("%s of %+v: %q, %q, want %q", c.Reason, op, c.Result, c.Text, expected)
		}
		if expected == ledger.CheckNotReached && (c.Numbers != nil || c.Times != nil) {
			t.Fatalf("%s was not reached, and says %v, %v", c.Reason, c.Numbers, c.Times)
		}
		checkNumbers(t, op, c, before, left)
	}
	if (expected == ledger.CheckPassed) != (op.Reason == "") {
		t.Fatalf("%q: the last check has the result %q", op.Reason, expected)
	}
	for i, c := range op.Checks(false) {
		full := checks[i]
		hidden := slices.Contains(ofWallet, c.Reason) && full.Numbers != nil
		if c.Reason != full.Reason || c.Result != full.Result || hidden == (c.Text == full.Text) || hidden && c.Numbers != nil || strings.Contains(c.Text, "balance of") {
			t.Fatalf("%s without the wallet's numbers: %+v", c.Reason, c)
		}
	}
}

// checkNumbers compares the numbers of a check with what was there, with its result, and with its text.
func checkNumbers(t fataler, op ledger.Operation, c ledger.Check, before ledger.Wallet, left int64) {
	t.Helper()
	real := map[string]int64{
		"balance": before.Balance, "held": before.Held, "remaining": left, "refundable": left, "asked": op.Amount, "needed": op.Amount,
		"credit_limit": before.CreditLimit,
	}
	if c.Reason == ledger.ReasonLimitInUse {
		real["credit_limit"] = op.Amount
	}
	for name, number := range c.Numbers {
		if there, known := real[name]; known && number != there {
			t.Fatalf("%s of %+v: %s is %d, and was %d", c.Reason, op, name, number, there)
		}
		if !strings.Contains(c.Text, fmt.Sprint(number)) {
			t.Fatalf("%s: %q does not say that %s is %d", c.Reason, c.Text, name, number)
		}
	}
	if late, has := c.Times["apply_before"]; has && c.Times["decided_at"].Before(late) != (c.Result == ledger.CheckPassed) {
		t.Fatalf("%s: %v, and the result %q", c.Reason, c.Times, c.Result)
	}
	comparison := comparisons[c.Reason]
	if all, asked := op.Amount == 0, comparison.needs; all && len(asked) == 2 && asked[0] == "asked" && c.Numbers != nil { // all that was left
		if (c.Numbers[asked[1]] > 0) != (c.Result == ledger.CheckPassed) {
			t.Fatalf("%s: %v, and the result %q", c.Reason, c.Numbers, c.Result)
		}
		return
	}
	final := op.Kind == ledger.KindCapture && op.Rest == "" && op.Reason == ""
	for _, name := range comparison.needs {
		if _, has := c.Numbers[name]; !has && c.Result != ledger.CheckNotReached && !final {
			t.Fatalf("%s of %+v: %v does not say %s", c.Reason, op, c.Numbers, name)
		}
	}
	if comparison.passes != nil && c.Result != ledger.CheckNotReached && !final && comparison.passes(c.Numbers) != (c.Result == ledger.CheckPassed) {
		t.Fatalf("%s of %+v: %v, and the result %q", c.Reason, op, c.Numbers, c.Result)
	}
}

// Every reason has a check that can be explained, in words of its own.
func TestEachCheckIsExplained(t *testing.T) {
	t.Parallel()
	passed := map[string]ledger.Reason{}
	for _, kind := range ledger.Kinds() {
		for _, c := range (ledger.Operation{Request: ledger.Request{Kind: kind, Invoice: "INV-1", Amount: 1, Currency: "EUR"}}).Checks(false) {
			if c.Text == "" || c.Text == c.Reason.Comment() || passed[c.Text] != "" && passed[c.Text] != c.Reason {
				t.Errorf("%s of a %s says %q", c.Reason, kind, c.Text)
			}
			passed[c.Text] = c.Reason
		}
	}
	for _, r := range ledger.Reasons() {
		if !slices.Contains(slices.Collect(maps.Values(passed)), r) {
			t.Errorf("no check of any kind is explained by %s", r)
		}
	}
}

// In every world the explanation says what was decided, and on what.
func TestExplanationOfEachWorld(t *testing.T) {
	t.Parallel()
	for _, w := range worlds() {
		there := w.withDefaults()
		checkExplanation(t, w.decide(), there.wallet(), there.refersTo().Left)
	}
}

// Every kind says what it did, and what failed that it did nothing.
func TestEffectOfEachKind(t *testing.T) {
	t.Parallel()
	const without, credit, hold = "The wallet has a balance of %d and a credit limit of 0, of which 0 is held.", "The wallet has a balance of 1000 and a credit limit of 1000, of which %d is held.", "Of what it refers to, %d is left."
	effects := map[ledger.Kind][]string{
		ledger.KindOpen:     {"The wallet is open.", fmt.Sprintf(without, 1000)},
		ledger.KindTopUp:    {"The wallet got 400.", fmt.Sprintf(without, 1400)},
		ledger.KindCharge:   {"The wallet paid 400.", fmt.Sprintf(without, 600)},
		ledger.KindFreeze:   {"The wallet became frozen.", fmt.Sprintf(without, 1000)},
		ledger.KindUnfreeze: {"The wallet became active.", fmt.Sprintf(without, 1000)},
		ledger.KindClose:    {"The wallet became closed.", fmt.Sprintf(without, 0)},
		ledger.KindSetLimit: {"The credit limit became 400.", "The wallet has a balance of 1000 and a credit limit of 400, of which 0 is held."},
		ledger.KindWithdraw: {"The wallet paid 400.", fmt.Sprintf(without, 600)},
		ledger.KindRefund:   {"The wallet got 400. " + fmt.Sprintf(hold, 600), fmt.Sprintf(without, 1400)},
		ledger.KindHold:     {"Of the wallet's money, 400 was set aside.", "The wallet has a balance of 1000 and a credit limit of 0, of which 400 is held."},
		ledger.KindCapture:  {"The wallet paid 400. " + fmt.Sprintf(hold, 600), "The wallet has a balance of 600 and a credit limit of 1000, of which 600 is held."},
		ledger.KindRelease:  {"Of what was held, 400 is available again. " + fmt.Sprintf(hold, 600), fmt.Sprintf(credit, 600)},
		ledger.KindGrant:    {"The merchant has a mandate, with these limits, from now on.", fmt.Sprintf(without, 1000)},
		ledger.KindRevoke:   {"The merchant has no mandate from now on.", fmt.Sprintf(without, 1000)},
		ledger.KindExpire:   {"Of what was held, 1000 is available again. " + fmt.Sprintf(hold, 0), fmt.Sprintf(credit, 0)},
	}
	for _, kind := range ledger.Kinds() {
		want := effects[kind]
		if want == nil {
			t.Errorf("nobody says what a %s does", kind)
			continue
		}
		w := world{kind: kind, kept: kind == ledger.KindCapture}
		switch kind {
		case ledger.KindClose:
			w.balance = -1
		case ledger.KindGrant, ledger.KindRevoke:
			w.mandate = "given"
		default:
		}
		if op := w.decide(); op.Effect(false) != want[0] || op.Effect(true) != strings.Join(want, " ") {
			t.Errorf("%s: %q\nwant %q", kind, op.Effect(true), strings.Join(want, " "))
		}
	}
	if got := (world{late: true}).decide().Effect(true); got != "Nothing was moved, and nothing changed." {
		t.Errorf("what failed: %q", got)
	}
}

// What is drawn at random is explained by what the model knows of the wallet, step by step.
func TestExplanationComparesWhatWasThere(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end, model := start.clone(), newNaive(start)
		_, book := end.settle(steps, propertyTime)
		operations := book.Operations()
		for _, s := range steps {
			before, left := model.seen(s)
			if model.decide(s, propertyTime).Verdict != ledger.Settled {
				continue
			}
			checkExplanation(t, operations[0], before, left)
			operations = operations[1:]
		}
	})
}

// seen is the step's wallet, and what is left of what the step refers to, as the model has them now.
func (n *naive) seen(s step) (w ledger.Wallet, left int64) {
	if there, exists := n.wallets[s.wallet()]; exists {
		w = ledger.Wallet{Balance: there.balance(), CreditLimit: there.limit}
		w.Held, _ = n.held(s.wallet())
	}
	if s.request == nil {
		return w, 0
	}
	if hold := n.holds[s.request.Refers]; hold != nil {
		left = hold.left()
	}
	if charge := n.charges[s.request.Refers]; charge != nil && charge.accepted {
		left = charge.left()
	}
	return w, left
}
