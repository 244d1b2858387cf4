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
