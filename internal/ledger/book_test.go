package ledger_test

import (
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
