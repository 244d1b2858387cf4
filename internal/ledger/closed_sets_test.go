package ledger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// constants are the values of the file's string constants of one type, in the
// order in which the source declares them.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
			return false
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, text)
		}
		return false
	})
	return values
}

// A reason that is declared and forgotten elsewhere fails here.
func TestReasonsAreComplete(t *testing.T) {
	t.Parallel()
	declared := constants(t, "reason.go", "Reason")
	var listed []string
	for _, r := range ledger.Reasons() {
		listed = append(listed, string(r))
	}
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("Reasons() (-declared +listed):\n%s", diff)
	}

	// The whole order of the design: what speaks of the merchant, of its mandate and of what is referred to stands before what speaks of the wallet.
	const design = "expired merchant_not_found merchant_suspended mandate_required charge_not_found hold_not_found charge_not_accepted " +
		"hold_not_accepted wallet_not_found self_charge_not_allowed wallet_closed wallet_frozen currency_mismatch mandate_not_found " +
		"wallet_not_mandated too_many_mandates mandate_expired mandate_limit_exceeded hold_closed hold_expired exceeds_hold " +
		"refund_exceeds_charge too_many_holds too_many_captures duplicate_invoice wallet_not_empty insufficient_funds " +
		"credit_limit_in_use amount_overflow processing_error"
	if diff := cmp.Diff(strings.Fields(design), listed); diff != "" {
		t.Errorf("the order (-of the design +listed):\n%s", diff)
	}
}

func TestEveryReasonExplainsItself(t *testing.T) {
	t.Parallel()
	advices := constants(t, "reason.go", "Advice")
	comments := map[string]ledger.Reason{}
	for _, r := range ledger.Reasons() {
		comment := r.Comment()
		if len(comment) < 10 || !strings.HasSuffix(comment, ".") || strings.ToUpper(comment[:1]) != comment[:1] {
			t.Errorf("%s: %q is not a sentence", r, comment)
		}
		if other, twice := comments[comment]; twice {
			t.Errorf("%s and %s have one comment", r, other)
		}
		comments[comment] = r
		if !slices.Contains(advices, string(r.Advice())) {
			t.Errorf("%s: advice %q", r, r.Advice())
		}
	}
	if ledger.Reason("").Comment() != "" || ledger.Reason("").Advice() != "" || ledger.Reason("new").Comment() != "" {
		t.Error("what is no reason explains itself")
	}

	want := map[ledger.Reason]ledger.Advice{
		ledger.ReasonExpired:             ledger.AdviceRetryWithNewKey,
		ledger.ReasonWalletNotFound:      ledger.AdviceFixRequest,
		ledger.ReasonMerchantNotFound:    ledger.AdviceFixRequest,
		ledger.ReasonMerchantSuspended:   ledger.AdviceDoNotRetry,
		ledger.ReasonMandateRequired:     ledger.AdviceDoNotRetry,
		ledger.ReasonMandateNotFound:     ledger.AdviceFixRequest,
		ledger.ReasonWalletNotMandated:   ledger.AdviceFixRequest,
		ledger.ReasonTooManyMandates:     ledger.AdviceDoNotRetry,
		ledger.ReasonMandateExpired:      ledger.AdviceDoNotRetry,
		ledger.ReasonMandateLimit:        ledger.AdviceRetryWithNewKey,
		ledger.ReasonChargeNotFound:      ledger.AdviceFixRequest,
		ledger.ReasonChargeNotAccepted:   ledger.AdviceDoNotRetry,
		ledger.ReasonRefundExceedsCharge: ledger.AdviceFixRequest,
		ledger.ReasonHoldNotFound:        ledger.AdviceFixRequest,
		ledger.ReasonHoldNotAccepted:     ledger.AdviceDoNotRetry,
		ledger.ReasonHoldClosed:          ledger.AdviceDoNotRetry,
		ledger.ReasonHoldExpired:         ledger.AdviceDoNotRetry,
		ledger.ReasonExceedsHold:         ledger.AdviceFixRequest,
		ledger.ReasonTooManyHolds:        ledger.AdviceRetryWithNewKey,
		ledger.ReasonTooManyCaptures:     ledger.AdviceFixRequest,
		ledger.ReasonSelfCharge:          ledger.AdviceDoNotRetry,
		ledger.ReasonWalletClosed:        ledger.AdviceDoNotRetry,
		ledger.ReasonWalletFrozen:        ledger.AdviceRetryWithNewKey,
		ledger.ReasonCurrencyMismatch:    ledger.AdviceFixRequest,
		ledger.ReasonDuplicateInvoice:    ledger.AdviceDoNotRetry,
		ledger.ReasonWalletNotEmpty:      ledger.AdviceRetryWithNewKey,
		ledger.ReasonInsufficientFunds:   ledger.AdviceRetryAfterTopUp,
		ledger.ReasonLimitInUse:          ledger.AdviceRetryAfterTopUp,
		ledger.ReasonAmountOverflow:      ledger.AdviceFixRequest,
		ledger.ReasonProcessingError:     ledger.AdviceRetryWithNewKey,
	}
	got := map[ledger.Reason]ledger.Advice{}
	for _, r := range ledger.Reasons() {
		got[r] = r.Advice()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("advices (-want +got):\n%s", diff)
	}
}

// An action that is declared and forgotten elsewhere fails here.
func TestActionsAreComplete(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, a := range ledger.Actions() {
		listed = append(listed, string(a))
	}
	if diff := cmp.Diff(constants(t, "change.go", "Action"), listed); diff != "" {
		t.Errorf("Actions() (-declared +listed):\n%s", diff)
	}
}

// A limit of a mandate that is declared and forgotten elsewhere fails here. They have the names of the API, and
// are looked at from the narrow to the wide.
func TestLimitsAreComplete(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, l := range ledger.Limits() {
		listed = append(listed, string(l))
	}
	if diff := cmp.Diff(constants(t, "mandate.go", "Limit"), listed); diff != "" {
		t.Errorf("Limits() (-declared +listed):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"max_amount", "per_day", "per_month", "total"}, listed); diff != "" {
		t.Errorf("the order (-of the design +listed):\n%s", diff)
	}
}

// Who may charge a wallet: those that have a mandate, or, where nothing is said, anyone.
func TestChargesAreComplete(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"mandated"}, constants(t, "wallet.go", "Charges")); diff != "" {
		t.Errorf("(-want +declared):\n%s", diff)
	}
	for charges, valid := range map[ledger.Charges]bool{"": true, ledger.ChargesMandated: true, "anyone": false, "Mandated": false} {
		r := validRequests()[ledger.KindOpen]
		if r.Charges = charges; (len(r.Faults()) == 0) != valid {
			t.Errorf("a wallet that %q may charge: %v", charges, r.Faults())
		}
	}
}

// A kind that is declared and forgotten elsewhere fails here.
func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, k := range ledger.Kinds() {
		listed = append(listed, string(k))
		if !k.Known() {
			t.Errorf("%s is not known", k)
		}
	}
	if diff := cmp.Diff(constants(t, "kinds.go", "Kind"), listed); diff != "" {
		t.Errorf("Kinds() (-declared +listed):\n%s", diff)
	}
	for _, k := range []ledger.Kind{"", "Charge", "charge ", "refunds", "char", "holds", "void", "mandate", "grants"} {
		if k.Known() || k.Queued() || k.MovesMoney() || len(k.Reasons()) > 1 {
			t.Errorf("%q is taken for a kind", k)
		}
	}
	for _, k := range ledger.Kinds() {
		place := -1
		for _, r := range k.Reasons() {
			next := slices.Index(ledger.Reasons(), r)
			if next <= place {
				t.Errorf("%s: the reason %s is not in order of precedence", k, r)
			}
			place = next
		}
	}
	moves := map[ledger.Kind]bool{
		ledger.KindCharge: true, ledger.KindTopUp: true, ledger.KindWithdraw: true, ledger.KindRefund: true, ledger.KindCapture: true,
	}
	sets := map[ledger.Kind]bool{ledger.KindHold: true, ledger.KindRelease: true, ledger.KindExpire: true} // aside, or back
	for _, k := range ledger.Kinds() {
		if k.Queued() != (moves[k] || sets[k]) || k.MovesMoney() != moves[k] {
			t.Errorf("%s: queued %t, moves money %t", k, k.Queued(), k.MovesMoney())
		}
	}
}

func TestCurrencies(t *testing.T) {
	t.Parallel()
	for _, c := range []ledger.Currency{"", " ", "EU", "EURO", "eur", "Eur", " EU", "EU ", "D A", "ED ", "D AF", "AED AFN", "E\x00R", "ÉU", "€", "XXX", "XTS", "XAU"} {
		if c.Known() {
			t.Errorf("%q is taken for a currency", c)
		}
	}
	for _, c := range []ledger.Currency{"AED", "CHF", "EUR", "HTG", "HUF", "JPY", "KWD", "MKD", "MMK", "RWF", "SAR", "UZS", "VED", "XCG", "ZWG"} {
		if !c.Known() {
			t.Errorf("%q is not known", c)
		}
	}
	// The list holds codes alone: no text across two of them is a code.
	source := constantText(t, "currency.go", "currencies")
	codes := strings.Fields(source)
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Error("the codes are not sorted, or one is there twice")
	}
	if source != strings.Join(codes, " ")+" " {
		t.Error("the codes are not each followed by one blank")
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ "
	known := 0
	for _, a := range letters {
		for _, b := range letters {
			for _, c := range letters {
				code := string([]rune{a, b, c})
				if ledger.Currency(code).Known() != slices.Contains(codes, code) {
					t.Fatalf("%q: known %t", code, ledger.Currency(code).Known())
				}
				if ledger.Currency(code).Known() {
					known++
				}
			}
		}
	}
	if known != len(codes) {
		t.Errorf("%d codes are known, %d are listed", known, len(codes))
	}
}

// constantText is the value of a constant that is a sum of literals.
func constantText(t *testing.T, file, name string) string {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != name {
			return true
		}
		ast.Inspect(spec, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				part, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				text.WriteString(part)
			}
			return true
		})
		return false
	})
	return text.String()
}
