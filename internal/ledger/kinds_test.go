package ledger_test

import (
	"fmt"
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
		noFunds  = ledger.ReasonInsufficientFunds
		limit    = ledger.ReasonLimitInUse
		noHold   = ledger.ReasonHoldNotFound
		ended    = ledger.ReasonHoldClosed
		required = ledger.ReasonMandateRequired
		noMore   = ledger.ReasonMandateNotFound
		anyones  = ledger.ReasonWalletNotMandated
		tooMuch  = ledger.ReasonMandateLimit
		cannotBe = ledger.Reason("a closed wallet is empty, and none holds nothing")
	)
	type wallet struct {
		balance, held, holds int64
		status               ledger.WalletStatus
	}
	becomes := func(status ledger.WalletStatus) func(wallet) wallet {
		return func(w wallet) wallet { w.status = status; return w }
	}
	adds := func(balance, held, holds int64) func(wallet) wallet {
		return func(w wallet) wallet { return wallet{w.balance + balance, w.held + held, w.holds + holds, w.status} }
	}
	statuses := []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed, ""}
	tested := map[ledger.Kind]bool{}
	for _, row := range []struct {
		kind    ledger.Kind
		balance int64
		held    int64  // by a hold of that much, to which the operation refers if it can; 0: it has ended
		mandate string // as in a world
		answers [4]ledger.Reason
		effect  func(wallet) wallet
	}{
		//                                  active    frozen    closed    none
		{ledger.KindOpen, 0, 0, "", [...]ledger.Reason{nothing, nothing, closed, yes}, becomes(ledger.WalletActive)},
		{ledger.KindCharge, 400, 0, "", [...]ledger.Reason{yes, frozen, cannotBe, required}, adds(-400, 0, 0)},
		{ledger.KindCharge, 0, 0, "", [...]ledger.Reason{noFunds, frozen, closed, required}, nil},
		{ledger.KindTopUp, 0, 0, "", [...]ledger.Reason{yes, yes, closed, notFound}, adds(400, 0, 0)},
		{ledger.KindWithdraw, 400, 0, "", [...]ledger.Reason{yes, yes, cannotBe, notFound}, adds(-400, 0, 0)},
		{ledger.KindWithdraw, 399, 0, "", [...]ledger.Reason{noFunds, noFunds, cannotBe, notFound}, nil}, // though there is credit
		{ledger.KindWithdraw, 0, 0, "", [...]ledger.Reason{noFunds, noFunds, closed, notFound}, nil},
		{ledger.KindRefund, 0, 0, "", [...]ledger.Reason{yes, yes, closed, ledger.ReasonChargeNotFound}, adds(400, 0, 0)},
		{ledger.KindFreeze, 0, 0, "", [...]ledger.Reason{yes, nothing, closed, notFound}, becomes(ledger.WalletFrozen)},
		{ledger.KindUnfreeze, 0, 0, "", [...]ledger.Reason{nothing, yes, closed, notFound}, becomes(ledger.WalletActive)},
		{ledger.KindClose, 0, 0, "", [...]ledger.Reason{yes, yes, nothing, notFound}, becomes(ledger.WalletClosed)},
		{ledger.KindClose, 1, 0, "", [...]ledger.Reason{notEmpty, notEmpty, cannotBe, notFound}, nil},
		{ledger.KindClose, -1, 0, "", [...]ledger.Reason{notEmpty, notEmpty, cannotBe, notFound}, nil},
		{ledger.KindSetLimit, 0, 0, "", [...]ledger.Reason{yes, yes, closed, notFound}, adds(0, 0, 0)},
		{ledger.KindSetLimit, -1, 0, "", [...]ledger.Reason{limit, limit, cannotBe, notFound}, nil},
		// Money that is held is not there for anything else.
		{ledger.KindCharge, 400, 1, "", [...]ledger.Reason{noFunds, frozen, cannotBe, cannotBe}, nil},
		{ledger.KindCharge, 800, 400, "", [...]ledger.Reason{yes, frozen, cannotBe, cannotBe}, adds(-400, 0, 0)},
		{ledger.KindWithdraw, 799, 400, "", [...]ledger.Reason{noFunds, noFunds, cannotBe, cannotBe}, nil},
		{ledger.KindWithdraw, 800, 400, "", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(-400, 0, 0)},
		{ledger.KindTopUp, 400, 400, "", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(400, 0, 0)},
		{ledger.KindFreeze, 400, 400, "", [...]ledger.Reason{yes, nothing, cannotBe, cannotBe}, becomes(ledger.WalletFrozen)},
		{ledger.KindUnfreeze, 400, 400, "", [...]ledger.Reason{nothing, yes, cannotBe, cannotBe}, becomes(ledger.WalletActive)},
		{ledger.KindClose, 0, 1, "", [...]ledger.Reason{notEmpty, notEmpty, cannotBe, cannotBe}, nil},
		{ledger.KindClose, 400, 400, "", [...]ledger.Reason{notEmpty, notEmpty, cannotBe, cannotBe}, nil},
		{ledger.KindSetLimit, 0, 1, "", [...]ledger.Reason{limit, limit, cannotBe, cannotBe}, nil},
		{ledger.KindSetLimit, 400, 400, "", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(0, 0, 0)},

		{ledger.KindHold, 400, 0, "", [...]ledger.Reason{yes, frozen, cannotBe, required}, adds(0, 400, 1)},
		{ledger.KindHold, 800, 400, "", [...]ledger.Reason{yes, frozen, cannotBe, cannotBe}, adds(0, 400, 1)},
		{ledger.KindHold, 799, 400, "", [...]ledger.Reason{noFunds, frozen, cannotBe, cannotBe}, nil},
		{ledger.KindHold, 0, 0, "", [...]ledger.Reason{noFunds, frozen, closed, required}, nil},
		{ledger.KindCapture, 400, 400, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(-400, -400, -1)},
		{ledger.KindCapture, 500, 401, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(-400, -400, 0)}, // the rest is kept
		{ledger.KindCapture, 500, 399, "", [...]ledger.Reason{ledger.ReasonExceedsHold, ledger.ReasonExceedsHold, cannotBe, noHold}, nil},
		{ledger.KindCapture, 0, 0, "", [...]ledger.Reason{ended, ended, closed, noHold}, nil},
		{ledger.KindRelease, 400, 400, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(0, -400, -1)},
		{ledger.KindRelease, 500, 401, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(0, -400, 0)},
		{ledger.KindRelease, 500, 399, "", [...]ledger.Reason{ledger.ReasonExceedsHold, ledger.ReasonExceedsHold, cannotBe, noHold}, nil},
		{ledger.KindRelease, 0, 0, "", [...]ledger.Reason{ended, ended, closed, noHold}, nil},
		{ledger.KindExpire, 400, 400, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(0, -400, -1)},
		{ledger.KindExpire, 400, 1, "", [...]ledger.Reason{yes, yes, cannotBe, noHold}, adds(0, -1, -1)}, // whatever is left
		{ledger.KindExpire, 0, 0, "", [...]ledger.Reason{ended, ended, ended, noHold}, nil},

		// Where there are mandates, nothing is said of the wallet to who has none.
		{ledger.KindCharge, 400, 0, "given", [...]ledger.Reason{yes, frozen, cannotBe, cannotBe}, adds(-400, 0, 0)},
		{ledger.KindCharge, 400, 0, "none", [...]ledger.Reason{required, required, cannotBe, cannotBe}, nil},
		{ledger.KindCharge, 400, 0, "revoked", [...]ledger.Reason{required, required, cannotBe, cannotBe}, nil},
		{ledger.KindCharge, 0, 0, "none", [...]ledger.Reason{required, required, required, cannotBe}, nil},
		{ledger.KindCharge, 0, 0, "given", [...]ledger.Reason{noFunds, frozen, closed, cannotBe}, nil},
		{ledger.KindCharge, 0, 0, "given, spent", [...]ledger.Reason{tooMuch, frozen, closed, cannotBe}, nil},
		{ledger.KindHold, 400, 0, "given", [...]ledger.Reason{yes, frozen, cannotBe, cannotBe}, adds(0, 400, 1)},
		{ledger.KindHold, 400, 0, "none", [...]ledger.Reason{required, required, cannotBe, cannotBe}, nil},
		{ledger.KindHold, 0, 0, "revoked", [...]ledger.Reason{required, required, required, cannotBe}, nil},
		{ledger.KindHold, 0, 0, "given, expired", [...]ledger.Reason{ledger.ReasonMandateExpired, frozen, closed, cannotBe}, nil},
		{ledger.KindTopUp, 0, 0, "none", [...]ledger.Reason{yes, yes, closed, cannotBe}, adds(400, 0, 0)},
		{ledger.KindWithdraw, 400, 0, "none", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(-400, 0, 0)},
		// What was taken may be given back, and what was promised taken, whatever became of the mandate since.
		{ledger.KindRefund, 0, 0, "revoked", [...]ledger.Reason{yes, yes, closed, cannotBe}, adds(400, 0, 0)},
		{ledger.KindCapture, 400, 400, "revoked", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(-400, -400, -1)},
		{ledger.KindCapture, 400, 400, "given, expired, spent", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(-400, -400, -1)},
		{ledger.KindRelease, 400, 400, "revoked", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(0, -400, -1)},
		{ledger.KindExpire, 400, 400, "revoked", [...]ledger.Reason{yes, yes, cannotBe, cannotBe}, adds(0, -400, -1)},
		{ledger.KindGrant, 0, 0, "none", [...]ledger.Reason{yes, yes, closed, notFound}, adds(0, 0, 0)},
		{ledger.KindGrant, 0, 0, "revoked", [...]ledger.Reason{yes, yes, closed, cannotBe}, adds(0, 0, 0)},
		{ledger.KindGrant, 0, 0, "given", [...]ledger.Reason{yes, yes, closed, cannotBe}, adds(0, 0, 0)},
		{ledger.KindGrant, 0, 0, "", [...]ledger.Reason{anyones, anyones, closed, notFound}, nil},
		{ledger.KindRevoke, 0, 0, "given", [...]ledger.Reason{yes, yes, yes, cannotBe}, adds(0, 0, 0)},
		{ledger.KindRevoke, 0, 0, "given, expired, spent", [...]ledger.Reason{yes, yes, yes, cannotBe}, adds(0, 0, 0)},
		{ledger.KindRevoke, 0, 0, "revoked", [...]ledger.Reason{noMore, noMore, noMore, cannotBe}, nil},
		{ledger.KindRevoke, 0, 0, "none", [...]ledger.Reason{noMore, noMore, noMore, notFound}, nil},
		{ledger.KindRevoke, 0, 0, "", [...]ledger.Reason{noMore, noMore, noMore, notFound}, nil},
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
			t.Run(fmt.Sprintf("%s of %d with %d held, %s %s", row.kind, row.balance, row.held, name, row.mandate), func(t *testing.T) {
				t.Parallel()
				before := ledger.Wallet{
					ID: ledger.WalletID{1}, Client: ledger.ClientID{1}, Currency: "EUR", Status: status, Balance: row.balance, CreditLimit: 1,
					Held: row.held, Holds: min(row.held, 1), Sequence: 7,
				}
				if row.kind == ledger.KindCharge || row.kind == ledger.KindHold {
					before.CreditLimit = 0
				}
				if row.mandate != "" {
					before.Charges = ledger.ChargesMandated
				}
				mandate := world{mandate: row.mandate}.mandateOf() // of the first merchant on the first wallet
				if !mandate.Wallet.IsZero() {
					mandate.Wallet, mandate.Merchant = before.ID, ledger.MerchantID{1}
					mandate.UsedDay, mandate.UsedMonth, mandate.Used = 400, 400, 400
				}
				known := ledger.Known{
					Wallets:   map[ledger.WalletID]ledger.Wallet{before.ID: before},
					Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}},
					Mandates:  map[ledger.WalletMerchant]ledger.Mandate{{Wallet: before.ID, Merchant: ledger.MerchantID{1}}: mandate},
				}
				if status == "" {
					before = ledger.Wallet{}
					clear(known.Wallets)
				}
				r := validRequests()[row.kind]
				r.ID, r.Wallet = ledger.OperationID{1}, ledger.WalletID{1}
				r.ApplyBefore = worldTime.AddDate(1, 0, 0)
				if row.kind.MovesMoney() || row.kind == ledger.KindHold || row.kind == ledger.KindRelease {
					r.Amount = 400
				}
				refersTo := ledger.Referred{Kind: ledger.KindCharge, Wallet: r.Wallet, Merchant: r.Merchant, Accepted: true, Left: 400}
				if ofHold(row.kind) {
					refersTo.Kind, refersTo.Left = ledger.KindHold, row.held
					if row.mandate != "" {
						refersTo.Day = mandate.Day
					}
				}
				if status != "" {
					known.Referred = map[ledger.OperationID]ledger.Referred{r.Refers: refersTo}
				}
				book := ledger.NewBook(known, worldTime)
				book.Decide(r, ledger.Place{})
				op := book.Operations()[0]

				wantReason, want := answer, wallet{before.Balance, before.Held, before.Holds, before.Status}
				if answer == yes {
					want = row.effect(want)
				}
				if answer == yes || answer == nothing {
					wantReason = ""
				}
				if op.Reason != wantReason {
					t.Fatalf("reason %q, want %q", op.Reason, wantReason)
				}
				if got := (wallet{op.BalanceAfter, op.HeldAfter, want.holds, op.StatusAfter}); got != want {
					t.Errorf("the wallet after it: %v, want %v", got, want)
				}
				if status == "" && answer != yes {
					if len(book.Wallets()) != 0 || op.Sequence != 0 {
						t.Errorf("it made a wallet: %v, sequence %d", book.Wallets(), op.Sequence)
					}
					return
				}
				checkMandate(t, mandate, op, row.held, book.Mandates())
				after := before
				if status == "" {
					after = ledger.Wallet{ID: r.Wallet, Client: r.Client, Currency: r.Currency}
				}
				if row.kind == ledger.KindSetLimit && answer == yes {
					after.CreditLimit = r.Amount
				}
				after.Balance, after.Held, after.Holds, after.Status = want.balance, want.held, want.holds, want.status
				after.Sequence, after.Digest = before.Sequence+1, op.Seal(before.Digest)
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

// checkMandate says what the operation, decided at the time of the worlds, made of the mandate: of whatever was held, it was the mandate's
// last.
func checkMandate(t *testing.T, m ledger.Mandate, op ledger.Operation, held int64, got []ledger.Mandate) {
	t.Helper()
	const today = 20_513
	uses := pays(op.Kind) && m.Given
	if op.Reason != "" || !uses && !ofMandate(op.Kind) && (!ofHold(op.Kind) || m.Wallet.IsZero()) {
		if len(got) != 0 || op.MandateDay != 0 {
			t.Errorf("it changed %+v, for day %d", got, op.MandateDay)
		}
		return
	}
	want, day := m, int32(0)
	switch op.Kind {
	case ledger.KindGrant:
		want.Wallet, want.Merchant, want.Terms, want.Given = op.Wallet, op.Merchant, op.Terms, true
	case ledger.KindRevoke:
		want.Given = false
	case ledger.KindCharge, ledger.KindHold: // on another day, in another month
		day, want.Day, want.UsedDay, want.UsedMonth, want.Used = today, today, op.Amount, op.Amount, m.Used+op.Amount
	case ledger.KindCapture: // of all that was held
	default:
		want.UsedDay, want.UsedMonth, want.Used = m.UsedDay-held, m.UsedMonth-held, m.Used-held
	}
	if diff := cmp.Diff([]ledger.Mandate{want}, got); diff != "" {
		t.Errorf("the mandate after it (-want +got):\n%s", diff)
	}
	if op.MandateDay != day {
		t.Errorf("it counts for day %d, want %d", op.MandateDay, day)
	}
}

// Which mandate has to be known before a request is decided: that of its merchant on its wallet, where the kind can do anything with it. A
// refund gives nothing back.
func TestMandateOfARequest(t *testing.T) {
	t.Parallel()
	var without []ledger.Kind
	for _, kind := range ledger.Kinds() {
		r := validRequests()[kind]
		of, can := r.Mandate()
		if !can {
			without = append(without, kind)
		} else if of.Wallet != r.Wallet || of.Merchant != r.Merchant || of.Merchant.IsZero() {
			t.Errorf("%s: the mandate of %v", kind, of)
		}
	}
	want := []ledger.Kind{
		ledger.KindOpen, ledger.KindTopUp, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindSetLimit, ledger.KindWithdraw, ledger.KindRefund,
	}
	if diff := cmp.Diff(want, without); diff != "" {
		t.Errorf("kinds that do nothing with a mandate (-want +got):\n%s", diff)
	}
}
