package ledger_test

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

var propertyTime = time.Date(2026, 3, 1, 12, 0, 0, 987_654_321, time.UTC)

// checkBatches runs the property on drawn beginnings and batches.
func checkBatches(t *testing.T, property func(t *rapid.T, start *store, steps []step)) {
	t.Helper()
	m := newMinter(t, testSecret)
	rapid.Check(t, func(t *rapid.T) {
		property(t, drawStart(t), drawSteps(t, m, propertyTime))
	})
}

func TestBookDecidesAsTheModel(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end, model := start.clone(), newNaive(start)
		verdicts, book := end.settle(steps, propertyTime)
		operations := book.Operations()
		for i, s := range steps {
			want := model.decide(s, propertyTime)
			got := outcome{Verdict: verdicts[i]}
			if got.Verdict == ledger.Settled {
				op := operations[0]
				operations = operations[1:]
				if op.ID != s.id() || op.Place != s.at {
					t.Fatalf("step %d: operation %s at %v, want %s at %v", i, op.ID, op.Place, s.id(), s.at)
				}
				got = outcome{ledger.Settled, op.Reason, op.DuplicateOf, op.Sequence, op.BalanceAfter, op.StatusAfter}
			}
			if got != want {
				t.Fatalf("step %d, %+v:\ngot  %+v\nwant %+v", i, s, got, want)
			}
		}
		if len(operations) > 0 {
			t.Fatalf("%d operations too many", len(operations))
		}
		if len(end.wallets) != len(model.wallets) {
			t.Fatalf("%d wallets, want %d", len(end.wallets), len(model.wallets))
		}
		for id, w := range model.wallets {
			want := ledger.Wallet{
				ID: id, Client: w.client, Currency: w.currency, Status: w.status, Balance: w.balance(), CreditLimit: w.limit,
				Sequence: w.sequence, Digest: end.wallets[id].Digest,
			}
			if diff := gocmp.Diff(want, end.wallets[id]); diff != "" {
				t.Fatalf("wallet (-want +got):\n%s", diff)
			}
		}
	})
}

// What must hold of every history, whatever was asked.
func TestBookKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end := start.clone()
		_, book := end.settle(steps, propertyTime)
		now := map[ledger.WalletID]ledger.Wallet{}
		for id, w := range start.wallets {
			now[id] = w
		}
		accepted := map[ledger.WalletInvoice]bool{}
		for _, op := range book.Operations() {
			if op.Reason != "" && !slices.Contains(op.Kind.Reasons(), op.Reason) {
				t.Fatalf("a %s failed with %s", op.Kind, op.Reason)
			}
			w, exists := now[op.Wallet]
			if op.Digest != op.Seal(w.Digest) && op.Sequence != 0 {
				t.Fatalf("%s: the digest does not follow from the one before", op.ID)
			}
			if op.Sequence == 0 {
				if op.Digest != op.Seal(ledger.Digest{}) || op.Reason == "" || op.StatusAfter != "" || op.BalanceAfter != 0 {
					t.Fatalf("without a sequence: %+v", op)
				}
				continue
			}
			if op.Sequence != w.Sequence+1 {
				t.Fatalf("sequence %d after %d", op.Sequence, w.Sequence)
			}
			if !exists {
				w = ledger.Wallet{ID: op.Wallet, Client: op.Client, Currency: op.Currency}
			}
			before := w.Balance
			if op.Reason == "" {
				switch op.Kind {
				case ledger.KindTopUp:
					before += op.Amount
				case ledger.KindRefund:
					before += op.Moved
					if op.Moved <= 0 || op.LeftAfter < 0 {
						t.Fatalf("a refund moves %d and leaves %d", op.Moved, op.LeftAfter)
					}
				case ledger.KindCharge, ledger.KindWithdraw:
					before -= op.Amount
				case ledger.KindOpen, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose:
				case ledger.KindSetLimit:
					w.CreditLimit = op.Amount
				}
				if key, ok := op.InvoiceKey(); ok {
					if accepted[ledger.WalletInvoice{Wallet: op.Wallet, Invoice: key}] {
						t.Fatalf("invoice %s accepted twice", op.Invoice)
					}
					accepted[ledger.WalletInvoice{Wallet: op.Wallet, Invoice: key}] = true
				}
			}
			if op.BalanceAfter != before {
				t.Fatalf("balance %d after %d: %+v", op.BalanceAfter, w.Balance, op)
			}
			if op.BalanceAfter < -w.CreditLimit || op.BalanceAfter > ledger.MaxAmount {
				t.Fatalf("balance %d with limit %d", op.BalanceAfter, w.CreditLimit)
			}
			if op.StatusAfter == ledger.WalletClosed && op.BalanceAfter != 0 {
				t.Fatalf("closed with balance %d", op.BalanceAfter)
			}
			w.Sequence, w.Balance, w.Status, w.Digest = op.Sequence, op.BalanceAfter, op.StatusAfter, op.Digest
			now[op.Wallet] = w
		}
		if diff := gocmp.Diff(now, end.wallets); diff != "" {
			t.Fatalf("wallets do not follow from their operations (-want +got):\n%s", diff)
		}
	})
}

// All that wallets gained others lost, in each currency.
func TestMoneyIsConserved(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end := start.clone()
		_, book := end.settle(steps, propertyTime)
		sums := map[ledger.Currency]int64{}
		for _, w := range book.Wallets() {
			sums[w.Currency] += w.Balance - start.wallets[w.ID].Balance
		}
		seen := map[ledger.Movement]bool{}
		for _, m := range book.Movements() {
			sums[m.Currency] += m.Amount
			m.Amount = 0
			if seen[m] {
				t.Fatalf("two movements of account %x in %s", m.Account, m.Currency)
			}
			seen[m] = true
		}
		for currency, sum := range sums {
			if sum != 0 {
				t.Fatalf("%d %s came from nowhere", sum, currency)
			}
		}
	})
}

// The same batch again changes nothing: what was settled is a duplicate.
func TestReplayChangesNothing(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		once := start.clone()
		first, _ := once.settle(steps, propertyTime)
		for i, v := range first {
			if v == ledger.Settled {
				first[i] = ledger.Duplicate
			}
		}
		twice := once.clone()
		// Later, and with the wallets of the first time.
		again, book := twice.settle(steps, propertyTime.Add(time.Hour))
		if diff := gocmp.Diff(first, again); diff != "" {
			t.Fatalf("verdicts (-want +got):\n%s", diff)
		}
		if len(book.Operations())+len(book.Wallets())+len(book.Movements()) > 0 {
			t.Fatalf("a replay made %v, changed %v, moved %v", book.Operations(), book.Wallets(), book.Movements())
		}
		if diff := gocmp.Diff(once.conflicts, book.Conflicts()); diff != "" {
			t.Fatalf("conflicts (-want +got):\n%s", diff)
		}
	})
}

// Wherever a batch is cut into several, the outcome is the same to the digest.
func TestCutsDoNotMatter(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		whole, parts := start.clone(), start.clone()
		want, _ := whole.settle(steps, propertyTime)
		var got []ledger.Verdict
		for rest := steps; len(rest) > 0; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "part")
			verdicts, _ := parts.settle(rest[:n], propertyTime)
			got, rest = append(got, verdicts...), rest[n:]
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("verdicts (-want +got):\n%s", diff)
		}
		compareStores(t, whole, parts)
	})
}

// Each wallet's history depends on its own order alone, but for the positions, which are
// the partition's, and what seals them.
func TestOrderOfOtherWalletsDoesNotMatter(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		queues := map[ledger.WalletID][]step{}
		for _, s := range steps {
			queues[s.wallet()] = append(queues[s.wallet()], s)
		}
		mixed := make([]step, 0, len(steps))
		for _, s := range rapid.Permutation(steps).Draw(t, "order") {
			w := s.wallet()
			mixed = append(mixed, queues[w][0])
			queues[w] = queues[w][1:]
		}
		inOrder, inOther := start.clone(), start.clone()
		inOrder.settle(steps, propertyTime)
		inOther.settle(mixed, propertyTime)
		for _, s := range []*store{inOrder, inOther} {
			for i := range s.operations {
				s.operations[i].Position, s.operations[i].Digest = 0, ledger.Digest{}
			}
			for id, w := range s.wallets {
				w.Digest = ledger.Digest{}
				s.wallets[id] = w
			}
			slices.SortFunc(s.operations, func(a, b ledger.Operation) int { return cmp.Compare(a.Place.Offset, b.Place.Offset) })
			slices.SortFunc(s.conflicts, func(a, b ledger.Conflict) int { return cmp.Compare(a.Place.Offset, b.Place.Offset) })
		}
		compareStores(t, inOrder, inOther)
	})
}

func compareStores(t *rapid.T, want, got *store) {
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(store{})); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// One step at a time: what each sort of step may touch.
func TestWhatAStepMayTouch(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, now *store, steps []step) {
		for _, s := range steps {
			before := now.wallets[s.wallet()]
			verdicts, book := now.settle([]step{s}, propertyTime)
			made, wallets, moved, conflicts := book.Operations(), book.Wallets(), book.Movements(), book.Conflicts()
			switch {
			case verdicts[0] == ledger.Duplicate:
				if len(made)+len(wallets)+len(moved)+len(conflicts) > 0 {
					t.Fatalf("a duplicate left %v %v %v %v", made, wallets, moved, conflicts)
				}
			case verdicts[0] == ledger.Conflicting:
				if len(made)+len(wallets)+len(moved) > 0 || len(conflicts) != 1 || conflicts[0].ID != s.id() || conflicts[0].Place != s.at {
					t.Fatalf("a conflict left %v %v %v %v", made, wallets, moved, conflicts)
				}
			case s.refusal != nil:
				want := []ledger.Operation{{
					Request: ledger.Request{
						ID: s.refusal.ID, Kind: s.refusal.Kind, Wallet: s.refusal.Wallet, Asker: s.refusal.Asker, Merchant: s.refusal.Merchant,
						ReceivedAt: s.refusal.ReceivedAt.Truncate(time.Microsecond),
					},
					Place: s.at, Fingerprint: s.refusal.Fingerprint, Reason: ledger.ReasonProcessingError,
					DecidedAt: propertyTime.Truncate(time.Microsecond), Position: made[0].Position, SealVersion: ledger.SealVersion,
				}}
				want[0].Digest = want[0].Seal(ledger.Digest{})
				if diff := gocmp.Diff(want, made); diff != "" || len(wallets)+len(moved)+len(conflicts) > 0 {
					t.Fatalf("a refusal changed %v, moved %v, and made (-want +got):\n%s", wallets, moved, diff)
				}
			case made[0].Reason != "":
				if len(moved)+len(conflicts) > 0 {
					t.Fatalf("a failure moved %v, conflicts with %v", moved, conflicts)
				}
				for _, w := range wallets {
					w.Sequence, w.Digest = before.Sequence, before.Digest
					if diff := gocmp.Diff(before, w); diff != "" {
						t.Fatalf("a failure changed its wallet:\n%s", diff)
					}
				}
			default:
				if len(wallets) != 1 || wallets[0].ID != s.wallet() || len(moved) > 1 {
					t.Fatalf("an accepted operation changed %v and moved %v", wallets, moved)
				}
			}
		}
	})
}

// The largest batch of the largest amounts stays within int64.
func TestSumsStayWithinABatch(t *testing.T) {
	t.Parallel()
	if ledger.MaxAmount > math.MaxInt64/ledger.MaxBatch {
		t.Fatal("MaxBatch amounts may leave int64")
	}
	known := ledger.Known{Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}}}
	book := ledger.NewBook(known, propertyTime)
	for i := range ledger.MaxBatch {
		id := [16]byte{byte(i), byte(i >> 8), 1}
		known.Wallets[id] = ledger.Wallet{ID: id, Currency: "EUR", Status: ledger.WalletActive, Balance: ledger.MaxAmount}
		book.Decide(ledger.Request{
			ID: id, Wallet: id, Kind: ledger.KindCharge, Merchant: ledger.MerchantID{1}, Amount: ledger.MaxAmount, Currency: "EUR",
		}, ledger.Place{Log: 1, Offset: int64(i)})
	}
	want := []ledger.Movement{{Account: ledger.MerchantID{1}.Account(), Currency: "EUR", Amount: ledger.MaxBatch * ledger.MaxAmount}}
	if diff := gocmp.Diff(want, book.Movements()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
