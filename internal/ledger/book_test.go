package ledger_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// An open that fails must not leave a wallet behind.
func TestAFailedOpenMakesNoWallet(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	book := ledger.NewBook(ledger.Known{}, now)
	late := ledger.Request{
		ID: ledger.OperationID{1}, Kind: ledger.KindOpen, Wallet: ledger.WalletID{1}, Client: ledger.ClientID{1}, Currency: "EUR",
		ApplyBefore: now,
	}
	if v := book.Decide(late, ledger.Place{}); v != ledger.Settled {
		t.Fatalf("verdict %d, want settled", v)
	}
	op := book.Operations()[0]
	got := ledger.Operation{Reason: op.Reason, Sequence: op.Sequence, StatusAfter: op.StatusAfter}
	if diff := cmp.Diff(ledger.Operation{Reason: ledger.ReasonExpired}, got); diff != "" {
		t.Errorf("a late open (-want +got):\n%s", diff)
	}
	if made := book.Wallets(); len(made) != 0 {
		t.Errorf("a late open made wallets: %v", made)
	}
	if op.Digest != op.Seal(ledger.Digest{}) {
		t.Error("a late open is not sealed by itself")
	}
}

// What a wallet may spend is its balance and its limit, up to the last unit,
// however large the limit is.
func TestFundsAtTheEdge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name                   string
		balance, limit, amount int64
		want                   ledger.Reason
	}{
		{"all of the balance", 100, 0, 100, ""},
		{"one more than the balance", 100, 0, 101, ledger.ReasonInsufficientFunds},
		{"all of balance and limit", 100, 50, 150, ""},
		{"one more than balance and limit", 100, 50, 151, ledger.ReasonInsufficientFunds},
		{"at the limit already", -50, 50, 1, ledger.ReasonInsufficientFunds},
		{"one above the limit", -49, 50, 1, ""},
		{"the largest amount", ledger.MaxAmount, 0, ledger.MaxAmount, ""},
		{"the largest limit", 1, math.MaxInt64, 1, ""},
		{"the largest limit and balance", ledger.MaxAmount, math.MaxInt64, ledger.MaxAmount, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := ledger.Wallet{
				ID: ledger.WalletID{1}, Currency: "EUR", Status: ledger.WalletActive, Balance: row.balance, CreditLimit: row.limit,
			}
			book := ledger.NewBook(ledger.Known{
				Wallets:   map[ledger.WalletID]ledger.Wallet{w.ID: w},
				Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}},
			}, time.Unix(0, 0))
			book.Decide(ledger.Request{
				ID: ledger.OperationID{1}, Kind: ledger.KindCharge, Wallet: w.ID, Merchant: ledger.MerchantID{1},
				Amount: row.amount, Currency: "EUR", Invoice: "INV-1",
			}, ledger.Place{Log: 1})
			op := book.Operations()[0]
			if op.Reason != row.want {
				t.Fatalf("reason %q, want %q", op.Reason, row.want)
			}
			want := row.balance
			if row.want == "" {
				want -= row.amount
			}
			if op.BalanceAfter != want {
				t.Errorf("balance after %d, want %d", op.BalanceAfter, want)
			}
		})
	}
}

// An operation is late from the very microsecond of its limit on.
func TestApplyBefore(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]ledger.Reason{
		-time.Hour:            ledger.ReasonExpired,
		-time.Nanosecond:      ledger.ReasonExpired,
		0:                     ledger.ReasonExpired,
		999 * time.Nanosecond: ledger.ReasonExpired, // the same microsecond
		time.Microsecond:      "",
		time.Hour:             "",
	} {
		now := time.Date(2026, 3, 1, 12, 0, 0, 5_000, time.FixedZone("", 3600))
		book := ledger.NewBook(ledger.Known{}, now)
		book.Decide(ledger.Request{
			ID: ledger.OperationID{1}, Kind: ledger.KindOpen, Wallet: ledger.WalletID{1}, Client: ledger.ClientID{1}, Currency: "EUR",
			ApplyBefore: now.Add(limit),
		}, ledger.Place{})
		if got := book.Operations()[0].Reason; got != want {
			t.Errorf("a limit %s from now: reason %q, want %q", limit, got, want)
		}
	}
}

// What a book records is what the history keeps: microseconds in UTC.
func TestBookCutsTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -5*3600)
	book := ledger.NewBook(ledger.Known{}, time.Date(2026, 3, 1, 12, 0, 0, 1_999, zone))
	book.Decide(ledger.Request{
		ID: ledger.OperationID{1}, Kind: ledger.KindOpen, Wallet: ledger.WalletID{1}, Client: ledger.ClientID{1}, Currency: "EUR",
		ApplyBefore: time.Date(2026, 3, 2, 0, 0, 0, 2_999, zone), ReceivedAt: time.Date(2026, 3, 1, 0, 0, 0, 3_999, zone),
	}, ledger.Place{})
	book.Refuse(ledger.Refusal{
		ID: ledger.OperationID{2}, Wallet: ledger.WalletID{1}, ReceivedAt: time.Date(2026, 3, 1, 0, 0, 0, 3_999, zone),
	}, ledger.Place{})
	var got []time.Time
	for _, op := range book.Operations() {
		got = append(got, op.DecidedAt, op.ReceivedAt, op.ApplyBefore)
	}
	decided, received := time.Date(2026, 3, 1, 17, 0, 0, 1_000, time.UTC), time.Date(2026, 3, 1, 5, 0, 0, 3_000, time.UTC)
	want := []time.Time{decided, received, time.Date(2026, 3, 2, 5, 0, 0, 2_000, time.UTC), decided, received, {}}
	for i := range want {
		if got[i] != want[i] { // the same instant is not enough: the same value
			t.Errorf("time %d: %v, want %v", i, got[i], want[i])
		}
	}
}

// One ID is one operation: what came first stays, whether decided or refused.
func TestTheFirstUnderAnIDStays(t *testing.T) {
	t.Parallel()
	charge := validCharge()
	other := charge
	other.Amount++
	later := charge
	later.ReceivedAt = charge.ReceivedAt.Add(time.Hour)
	refusal := ledger.Refusal{ID: charge.ID, Wallet: charge.Wallet, Fingerprint: ledger.RefusedFingerprint([]byte("x"))}

	decided := ledger.NewBook(ledger.Known{}, worldTime)
	got := []ledger.Verdict{
		decided.Decide(charge, ledger.Place{Log: 1, Offset: 0}), decided.Decide(later, ledger.Place{Log: 1, Offset: 1}),
		decided.Decide(other, ledger.Place{Log: 1, Offset: 2}), decided.Refuse(refusal, ledger.Place{Log: 1, Offset: 3}),
		decided.Decide(charge, ledger.Place{Log: 1, Offset: 4}),
	}
	want := []ledger.Verdict{ledger.Settled, ledger.Duplicate, ledger.Conflicting, ledger.Conflicting, ledger.Duplicate}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a decision (-want +got):\n%s", diff)
	}
	wantConflicts := []ledger.Conflict{
		{ID: charge.ID, Fingerprint: other.Fingerprint(), Place: ledger.Place{Log: 1, Offset: 2}},
		{ID: charge.ID, Fingerprint: refusal.Fingerprint, Place: ledger.Place{Log: 1, Offset: 3}},
	}
	if diff := cmp.Diff(wantConflicts, decided.Conflicts()); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if n := len(decided.Operations()); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}

	refused := ledger.NewBook(ledger.Known{}, worldTime)
	got = []ledger.Verdict{
		refused.Refuse(refusal, ledger.Place{Log: 1, Offset: 0}), refused.Refuse(refusal, ledger.Place{Log: 1, Offset: 1}),
		refused.Decide(charge, ledger.Place{Log: 1, Offset: 2}),
	}
	if diff := cmp.Diff([]ledger.Verdict{ledger.Settled, ledger.Duplicate, ledger.Conflicting}, got); diff != "" {
		t.Errorf("after a refusal (-want +got):\n%s", diff)
	}
}

// The invoice is the merchant's and the wallet's: only the same one on the same
// wallet is a duplicate, and a failed charge does not use it up.
func TestInvoices(t *testing.T) {
	t.Parallel()
	w := func(n byte, balance int64) ledger.Wallet {
		return ledger.Wallet{ID: ledger.WalletID{n}, Currency: "EUR", Status: ledger.WalletActive, Balance: balance}
	}
	book := ledger.NewBook(ledger.Known{
		Wallets:   map[ledger.WalletID]ledger.Wallet{{1}: w(1, 100), {2}: w(2, 100)},
		Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}, {2}: {}},
		// What a careless look-up of "no invoice" might bring.
		Invoices: map[ledger.WalletInvoice]ledger.OperationID{
			{Wallet: ledger.WalletID{1}, Invoice: ledger.NewInvoiceKey(ledger.MerchantID{1}, "")}: {99},
		},
	}, worldTime)
	for i, row := range []struct {
		wallet, merchant byte
		invoice          string
		amount           int64
		reason           ledger.Reason
		duplicateOf      byte
	}{
		{1, 1, "A", 101, ledger.ReasonInsufficientFunds, 0},
		{1, 1, "A", 10, "", 0}, // 2: the failed one left the invoice free
		{1, 1, "A", 10, ledger.ReasonDuplicateInvoice, 2},
		{1, 1, "A", 101, ledger.ReasonDuplicateInvoice, 2}, // before insufficient_funds
		{1, 1, "a", 10, "", 0},
		{1, 1, "A ", 10, "", 0},
		{1, 2, "A", 10, "", 0},
		{2, 1, "A", 10, "", 0}, // 8: the first on the second wallet
		{2, 1, "A", 10, ledger.ReasonDuplicateInvoice, 8},
		{1, 1, "", 10, "", 0},
		{1, 1, "", 10, "", 0}, // no invoice is never a duplicate
	} {
		book.Decide(ledger.Request{
			ID: ledger.OperationID{byte(i + 1)}, Kind: ledger.KindCharge, Wallet: ledger.WalletID{row.wallet},
			Merchant: ledger.MerchantID{row.merchant}, Amount: row.amount, Currency: "EUR", Invoice: row.invoice, IdempotencyKey: "k",
		}, ledger.Place{Log: 1, Offset: int64(i)})
		op := book.Operations()[i]
		if op.Reason != row.reason || op.DuplicateOf != (ledger.OperationID{row.duplicateOf}) {
			t.Errorf("charge %d: %q of %x, want %q of %d", i+1, op.Reason, [16]byte(op.DuplicateOf), row.reason, row.duplicateOf)
		}
		if op.Invoice != row.invoice {
			t.Errorf("charge %d does not keep its invoice", i+1)
		}
	}
}
