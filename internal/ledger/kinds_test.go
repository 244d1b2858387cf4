package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// The answers of the table of kind by status that are no reason.
const (
	yes     ledger.Reason = "yes"                       // accepted, with its effect
	nothing ledger.Reason = "accepted, changes nothing" // but for sequence and digest
)

// The table of kind by status, with a column for a wallet that is not there.
func TestKindByStatus(t *testing.T) {
	t.Parallel()
	const (
		notFound = ledger.ReasonWalletNotFound
		frozen   = ledger.ReasonWalletFrozen
		closed   = ledger.ReasonWalletClosed
		notEmpty = ledger.ReasonWalletNotEmpty
		cannotBe = ledger.Reason("a closed wallet is empty")
	)
	type wallet struct {
		balance int64
		status  ledger.WalletStatus
	}
	becomes := func(status ledger.WalletStatus) func(wallet) wallet {
		return func(w wallet) wallet { return wallet{w.balance, status} }
	}
	adds := func(amount int64) func(wallet) wallet {
		return func(w wallet) wallet { return wallet{w.balance + amount, w.status} }
	}
	statuses := []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed, ""}
	tested := map[ledger.Kind]bool{}
	for _, row := range []struct {
		kind    ledger.Kind
		balance int64
		answers [4]ledger.Reason
		effect  func(wallet) wallet
	}{
		//                           active    frozen    closed    none
		{ledger.KindOpen, 0, [...]ledger.Reason{nothing, nothing, closed, yes}, becomes(ledger.WalletActive)},
		{ledger.KindCharge, 400, [...]ledger.Reason{yes, frozen, cannotBe, notFound}, adds(-400)},
		{ledger.KindCharge, 0, [...]ledger.Reason{ledger.ReasonInsufficientFunds, frozen, closed, notFound}, nil},
		{ledger.KindTopUp, 0, [...]ledger.Reason{yes, yes, closed, notFound}, adds(400)},
		{ledger.KindWithdraw, 400, [...]ledger.Reason{yes, yes, cannotBe, notFound}, adds(-400)},
		{ledger.KindWithdraw, 399, [...]ledger.Reason{ledger.ReasonInsufficientFunds, ledger.ReasonInsufficientFunds, cannotBe, notFound}, nil}, // though there is credit
		{ledger.KindWithdraw, 0, [...]ledger.Reason{ledger.ReasonInsufficientFunds, ledger.ReasonInsufficientFunds, closed, notFound}, nil},
		{ledger.KindRefund, 0, [...]ledger.Reason{yes, yes, closed, ledger.ReasonChargeNotFound}, adds(400)},
		{ledger.KindFreeze, 0, [...]ledger.Reason{yes, nothing, closed, notFound}, becomes(ledger.WalletFrozen)},
		{ledger.KindUnfreeze, 0, [...]ledger.Reason{nothing, yes, closed, notFound}, becomes(ledger.WalletActive)},
		{ledger.KindClose, 0, [...]ledger.Reason{yes, yes, nothing, notFound}, becomes(ledger.WalletClosed)},
		{ledger.KindClose, 1, [...]ledger.Reason{notEmpty, notEmpty, cannotBe, notFound}, nil},
		{ledger.KindClose, -1, [...]ledger.Reason{notEmpty, notEmpty, cannotBe, notFound}, nil},
		{ledger.KindSetLimit, 0, [...]ledger.Reason{yes, yes, closed, notFound}, adds(0)},
		{ledger.KindSetLimit, -1, [...]ledger.Reason{ledger.ReasonLimitInUse, ledger.ReasonLimitInUse, cannotBe, notFound}, nil},
	} {
		tested[row.kind] = true
		for i, status := range statuses {
			answer := row.answers[i]
			if answer == cannotBe {
				continue
			}
			name := string(status)
			if status == "" {
				name = "no wallet"
			}
			t.Run(string(row.kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				before := ledger.Wallet{
					ID: ledger.WalletID{1}, Client: ledger.ClientID{1}, Currency: "EUR", Status: status, Balance: row.balance, CreditLimit: 1,
					Sequence: 7,
				}
				if row.kind == ledger.KindCharge {
					before.CreditLimit = 0
				}
				known := ledger.Known{
					Wallets:   map[ledger.WalletID]ledger.Wallet{before.ID: before},
					Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}},
				}
				if status == "" {
					before = ledger.Wallet{}
					clear(known.Wallets)
				}
				r := validRequests()[row.kind]
				r.ID, r.Wallet = ledger.OperationID{1}, ledger.WalletID{1}
				r.ApplyBefore = worldTime.AddDate(1, 0, 0)
				if row.kind.MovesMoney() {
					r.Amount = 400
				}
				if row.kind == ledger.KindRefund && status != "" {
					known.Referred = map[ledger.OperationID]ledger.Referred{
						r.Refers: {Kind: ledger.KindCharge, Wallet: r.Wallet, Merchant: r.Merchant, Accepted: true, Left: 400},
					}
				}
				book := ledger.NewBook(known, worldTime)
				book.Decide(r, ledger.Place{})
				op := book.Operations()[0]

				wantReason, want := answer, wallet{before.Balance, before.Status}
				if answer == yes {
					want = row.effect(want)
				}
				if answer == yes || answer == nothing {
					wantReason = ""
				}
				if op.Reason != wantReason {
					t.Fatalf("reason %q, want %q", op.Reason, wantReason)
				}
				if got := (wallet{op.BalanceAfter, op.StatusAfter}); got != want {
					t.Errorf("the wallet after it: %v, want %v", got, want)
				}
				if status == "" && answer != yes {
					if len(book.Wallets()) != 0 || op.Sequence != 0 {
						t.Errorf("it made a wallet: %v, sequence %d", book.Wallets(), op.Sequence)
					}
					return
				}
				after := before
				if status == "" {
					after = ledger.Wallet{ID: r.Wallet, Client: r.Client, Currency: r.Currency}
				}
				if row.kind == ledger.KindSetLimit && answer == yes {
					after.CreditLimit = r.Amount
				}
				after.Balance, after.Status, after.Sequence, after.Digest = want.balance, want.status, before.Sequence+1, op.Seal(before.Digest)
				if diff := cmp.Diff([]ledger.Wallet{after}, book.Wallets()); diff != "" {
					t.Errorf("wallets (-want +got):\n%s", diff)
				}
			})
		}
	}
	for _, kind := range ledger.Kinds() {
		if !tested[kind] {
			t.Errorf("the table has no row for %s", kind)
		}
	}
}
