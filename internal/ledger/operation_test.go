package ledger_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// fullOperation has every field set.
func fullOperation() ledger.Operation {
	return ledger.Operation{
		Request: ledger.Request{
			ID: ledger.OperationID{0x01, 15: 0xf1}, Kind: ledger.KindCharge, Wallet: ledger.WalletID{0x02, 15: 0xf2},
			Merchant: ledger.MerchantID{0x03, 15: 0xf3}, Client: ledger.ClientID{0x04, 15: 0xf4}, Amount: 1250, Currency: "EUR",
			Refers:  ledger.OperationID{0x0a, 15: 0xfa},
			Invoice: "INV-1001", Reference: "E2E-17", Description: "Café, dos tazas", Metadata: `{"color":"red","tilde":"ñ"}`, Note: "seen before", IdempotencyKey: "key-1",
			ExpiresIn: 86_400, Rest: ledger.RestKept, Charges: ledger.ChargesMandated,
			Terms: ledger.Terms{
				MaxAmount: 5_001, PerDay: 5_002, PerMonth: 5_003, Total: 5_004, ValidUntil: time.Date(2027, 3, 1, 12, 0, 0, 654_321_000, time.UTC),
			},
			ApplyBefore: time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC),
			ReceivedAt:  time.Date(2026, 3, 1, 11, 59, 59, 1_000, time.UTC),
			Asker:       ledger.Asker{Party: ledger.AsMerchant(ledger.MerchantID{0x03, 15: 0xf3}), Key: ledger.KeyID{0x08, 15: 0xf8}},
		},
		Place:        ledger.Place{Log: 1, Offset: 4711},
		Fingerprint:  ledger.Fingerprint{0x05, 31: 0xf5},
		Reason:       ledger.ReasonDuplicateInvoice,
		Moved:        700,
		LeftAfter:    550,
		MandateDay:   20_513,
		MandateLimit: ledger.LimitPerMonth,
		DuplicateOf:  ledger.OperationID{0x06, 15: 0xf6},
		Sequence:     42,
		BalanceAfter: -1250,
		HeldAfter:    300,
		LimitAfter:   5000,
		StatusAfter:  ledger.WalletFrozen,
		DecidedAt:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Position:     4242,

		MerchantState: ledger.MerchantActive,
		MerchantOwner: ledger.ClientID{0x09, 15: 0xf9},

		SealVersion: ledger.SealVersion,
		Digest:      ledger.Digest{0x07, 31: 0xf7},
	}
}

// leaves are the fields of v that hold a value themselves, by path. It fails on
// a field of a type that it does not know how to change.
func leaves(t *testing.T, v reflect.Value, path string) map[string]reflect.Value {
	t.Helper()
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if path != "" {
			name = path + "." + name
		}
		if field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[time.Time]() {
			for k, leaf := range leaves(t, field, name) {
				all[k] = leaf
			}
			continue
		}
		all[name] = field
	}
	return all
}

// change gives the field other values, one after the other, and puts the first
// one back at the end.
func change(t *testing.T, field reflect.Value, each func(what string)) {
	t.Helper()
	before := reflect.New(field.Type()).Elem()
	before.Set(field)
	set := func(what string, v reflect.Value) {
		field.Set(v.Convert(field.Type()))
		each(what)
		field.Set(before)
	}
	switch {
	case field.Type() == reflect.TypeFor[time.Time]():
		at := before.Interface().(time.Time)
		set("a microsecond later", reflect.ValueOf(at.Add(time.Microsecond)))
		set("a year earlier", reflect.ValueOf(at.AddDate(-1, 0, 0)))
		set("1970", reflect.ValueOf(time.Unix(0, 0).UTC()))
	case field.Kind() == reflect.String:
		set("longer", reflect.ValueOf(before.String()+"x"))
		set("a U+0000 longer", reflect.ValueOf(before.String()+"\x00"))
		set("in other letters", reflect.ValueOf("x"+before.String()[1:]))
	case field.CanInt():
		set("one more", reflect.ValueOf(before.Int()+1))
		set("negative", reflect.ValueOf(-before.Int()))
	case field.Kind() == reflect.Array && field.Type().Elem().Kind() == reflect.Uint8:
		for i := range field.Len() {
			field.Index(i).SetUint(field.Index(i).Uint() ^ 1)
			each("another byte")
			field.Set(before)
		}
	default:
		t.Fatalf("no way to change a %s: teach this test", field.Type())
	}
	set("unset", reflect.Zero(field.Type()))
}

// A new field of Operation that Seal forgets fails here: the history could be
// changed in it without being found out.
func TestSealCoversEveryField(t *testing.T) {
	t.Parallel()
	previous := ledger.Digest{0x08}
	op := fullOperation()
	seen := map[ledger.Digest]string{op.Seal(previous): "as it is"}
	for path, field := range leaves(t, reflect.ValueOf(&op).Elem(), "") {
		if field.IsZero() {
			t.Errorf("%s is not set in the full operation", path)
		}
		sealed := path != "Digest" // what Seal gives, not what it seals
		change(t, field, func(what string) {
			digest := op.Seal(previous)
			if _, twice := seen[digest]; twice == sealed {
				t.Errorf("%s %s: digest seen before: %t", path, what, twice)
			}
			if sealed {
				seen[digest] = path + " " + what
			}
		})
	}
	if diff := cmp.Diff(fullOperation(), op); diff != "" {
		t.Fatalf("the test left a change behind:\n%s", diff)
	}
	for i := range previous {
		other := previous
		other[i] ^= 1
		if _, twice := seen[op.Seal(other)]; twice {
			t.Errorf("byte %d of the digest before is not sealed", i)
		}
	}
}

// A new field of Request that Fingerprint forgets fails here: a request that
// says something else would pass for a retry. What an operation has from the one that it
// refers to was not asked for.
func TestFingerprintCoversWhatIsAsked(t *testing.T) {
	t.Parallel()
	alone, referring, rest := fullOperation().Request, fullOperation().Request, fullOperation().Request
	alone.Refers, rest.Amount = ledger.OperationID{}, 0
	for name, c := range map[string]struct {
		request ledger.Request
		found   []string
	}{
		"alone":                       {alone, nil},
		"referring":                   {referring, []string{"Invoice"}},
		"referring, all that is left": {rest, []string{"Invoice", "Currency"}},
	} {
		leftOut := map[string]bool{
			"ID": true, "IdempotencyKey": true, "ReceivedAt": true,
			"Asker.Party.Role": true, "Asker.Party.Owner": true, // the ID depends on them
			"Asker.Key": true, // a retry may come under another one
		}
		for _, path := range c.found {
			leftOut[path] = true
		}
		r := c.request
		seen := map[ledger.Fingerprint]string{r.Fingerprint(): "as it is"}
		found := 0
		for path, field := range leaves(t, reflect.ValueOf(&r).Elem(), "") {
			if field.IsZero() {
				continue
			}
			if leftOut[path] {
				found++
			}
			change(t, field, func(what string) {
				print := r.Fingerprint()
				if _, twice := seen[print]; twice != leftOut[path] {
					t.Errorf("%s: %s %s: fingerprint seen before: %t", name, path, what, twice)
				}
				seen[print] = path + " " + what
			})
		}
		if found != len(leftOut) {
			t.Errorf("%s: %d of the fields that are left out exist, want %d", name, found, len(leftOut))
		}
	}
}

// Text does not run from one field into the next.
func TestFieldsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	a, b := fullOperation(), fullOperation()
	a.Invoice, a.Description = "ab", "c"
	b.Invoice, b.Description = "a", "bc"
	if a.Seal(ledger.Digest{}) == b.Seal(ledger.Digest{}) {
		t.Error("two operations have one digest")
	}
	if a.Request.Fingerprint() == b.Request.Fingerprint() {
		t.Error("two requests have one fingerprint")
	}
	if ledger.NewInvoiceKey(ledger.MerchantID{15: 'a'}, "b") == ledger.NewInvoiceKey(ledger.MerchantID{}, "ab") {
		t.Error("two invoices have one key")
	}
	request := ledger.Request{}
	if ledger.RefusedFingerprint(nil) == request.Fingerprint() || ledger.RefusedFingerprint(nil) == ledger.RefusedFingerprint([]byte{0}) {
		t.Error("two records have one fingerprint")
	}
}

// The digest is of the moment in microseconds, wherever on earth it was noted.
func TestSealOfTimes(t *testing.T) {
	t.Parallel()
	op := fullOperation()
	want := op.Seal(ledger.Digest{})
	op.DecidedAt = op.DecidedAt.In(time.FixedZone("", 5*3600)).Add(999 * time.Nanosecond)
	op.ApplyBefore = op.ApplyBefore.Local().Add(time.Nanosecond)
	if op.Seal(ledger.Digest{}) != want {
		t.Error("zone or nanoseconds are sealed")
	}
	op.ApplyBefore = time.Time{}
	none := op.Seal(ledger.Digest{})
	op.ApplyBefore = time.Unix(0, 0)
	if op.Seal(ledger.Digest{}) == none {
		t.Error("no time and 1970 have one digest")
	}
}

// Each merchant has an account of its own, and none is the funding account.
func TestAccounts(t *testing.T) {
	t.Parallel()
	a, b := ledger.MerchantID{15: 1}.Account(), ledger.MerchantID{14: 1}.Account()
	if a == b || a == ledger.FundingAccount() || b == ledger.FundingAccount() {
		t.Errorf("accounts %x, %x and funding %x are not three", a, b, ledger.FundingAccount())
	}
	if a != (ledger.AccountID{15: 1}) {
		t.Errorf("account %x is not the merchant's", a)
	}
}

func TestPlaceOfADirectOperation(t *testing.T) {
	t.Parallel()
	if !(ledger.Place{}).IsZero() || (ledger.Place{Log: 1}).IsZero() {
		t.Error("only the place without a log is none: offset 0 of log 1 is a record")
	}
}

func TestMovement(t *testing.T) {
	t.Parallel()
	op := fullOperation()
	for _, kind := range ledger.Kinds() {
		var want ledger.Movement
		switch kind {
		case ledger.KindCharge:
			want = ledger.Movement{Account: op.Merchant.Account(), Currency: "EUR", Amount: 1250}
		case ledger.KindTopUp:
			want = ledger.Movement{Account: ledger.FundingAccount(), Currency: "EUR", Amount: -1250}
		case ledger.KindRefund:
			op.Moved = 1250
			want = ledger.Movement{Account: op.Merchant.Account(), Currency: "EUR", Amount: -1250}
		case ledger.KindWithdraw:
			want = ledger.Movement{Account: ledger.FundingAccount(), Currency: "EUR", Amount: 1250}
		case ledger.KindCapture:
			op.Moved = 1100
			want = ledger.Movement{Account: op.Merchant.Account(), Currency: "EUR", Amount: 1100}
		case ledger.KindOpen, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindSetLimit,
			ledger.KindHold, ledger.KindRelease, ledger.KindExpire, ledger.KindGrant, ledger.KindRevoke:
		}
		op.Kind, op.Reason = kind, ""
		if got := op.Movement(); got != want || op.Status() != ledger.StatusAccepted {
			t.Errorf("an accepted %s is %s and moves %v, want %v", kind, op.Status(), got, want)
		}
		op.Reason = ledger.ReasonExpired
		if got := op.Movement(); got != (ledger.Movement{}) || op.Status() != ledger.StatusFailed {
			t.Errorf("a failed %s is %s and moves %v", kind, op.Status(), got)
		}
	}
}

// A hold is open for so long after its decision, whenever it was asked for; nothing else ever expires.
func TestExpiresAt(t *testing.T) {
	t.Parallel()
	op := fullOperation()
	for _, kind := range ledger.Kinds() {
		for _, reason := range []ledger.Reason{"", ledger.ReasonInsufficientFunds} {
			op.Kind, op.Reason = kind, reason
			var want time.Time
			if kind == ledger.KindHold && reason == "" {
				want = op.DecidedAt.AddDate(0, 0, 1)
			}
			if got := op.ExpiresAt(); !got.Equal(want) {
				t.Errorf("a %s %q expires at %v, want %v", kind, reason, got, want)
			}
		}
	}
}
