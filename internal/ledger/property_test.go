package ledger_test

import (
	"cmp"
	"math"
	"reflect"
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
		start := drawStart(t)
		property(t, start, drawSteps(t, m, propertyTime, start))
	})
}

func TestBookDecidesAsTheModel(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end, model := start.clone(), newNaive(start)
		verdicts, book := end.settle(steps, propertyTime)
		compareWithModel(t, model, end, steps, verdicts, book, propertyTime)
	})
}

// compareWithModel lets the model decide what the book did, and compares what came of it.
func compareWithModel(t *rapid.T, model *naive, end *store, steps []step, verdicts []ledger.Verdict, book *ledger.Book, now time.Time) {
	t.Helper()
	operations := book.Operations()
	for i, s := range steps {
		want := model.decide(s, now)
		got := outcome{Verdict: verdicts[i]}
		if got.Verdict == ledger.Settled {
			op := operations[0]
			operations = operations[1:]
			if op.ID != s.id() || op.Place != s.at {
				t.Fatalf("step %d: operation %s at %v, want %s at %v", i, op.ID, op.Place, s.id(), s.at)
			}
			got = outcome{
				ledger.Settled, op.Reason, op.DuplicateOf, op.Invoice, op.Moved, op.LeftAfter, op.MandateDay, op.MandateLimit, op.Sequence,
				op.BalanceAfter, op.HeldAfter, op.LimitAfter, op.StatusAfter,
			}
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
			ID: id, Client: w.client, Currency: w.currency, Status: w.status, Charges: w.charges, Balance: w.balance(), CreditLimit: w.limit,
			Sequence: w.sequence, Digest: end.wallets[id].Digest,
		}
		held, open := model.held(id)
		want.Held, want.Holds = held, int64(open)
		if diff := gocmp.Diff(want, end.wallets[id]); diff != "" {
			t.Fatalf("wallet (-want +got):\n%s", diff)
		}
	}
	if diff := gocmp.Diff(model.standing(), end.mandates); diff != "" {
		t.Fatalf("mandates (-want +got):\n%s", diff)
	}
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
		invoices := start.taken()
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
				w = ledger.Wallet{ID: op.Wallet, Client: op.Client, Currency: op.Currency, Charges: op.Charges}
			}
			after := effect(t, w, op)
			if op.BalanceAfter != after.Balance || op.HeldAfter != after.Held || op.LimitAfter != after.CreditLimit {
				t.Fatalf("balance %d and %d held after %d and %d: %+v", op.BalanceAfter, op.HeldAfter, w.Balance, w.Held, op)
			}
			if w = after; w.Balance+w.CreditLimit-w.Held < 0 || w.Held < 0 || w.Balance > ledger.MaxAmount {
				t.Fatalf("balance %d with limit %d and %d held", w.Balance, w.CreditLimit, w.Held)
			}
			if (w.Holds == 0) != (w.Held == 0) || w.Holds < 0 || w.Holds > ledger.MaxHolds {
				t.Fatalf("%d open holds of %d", w.Holds, w.Held)
			}
			if op.StatusAfter == ledger.WalletClosed && (w.Balance != 0 || w.Holds != 0) {
				t.Fatalf("closed with balance %d and %d holds", w.Balance, w.Holds)
			}
			if op.Reason == "" {
				checkInvoice(t, invoices, op)
			}
			w.Sequence, w.Status, w.Digest = op.Sequence, op.StatusAfter, op.Digest
			now[op.Wallet] = w
		}
		if diff := gocmp.Diff(now, end.wallets); diff != "" {
			t.Fatalf("wallets do not follow from their operations (-want +got):\n%s", diff)
		}
	})
}

// effect is what the operation makes of the balance, of what is held and of the credit limit.
func effect(t *rapid.T, w ledger.Wallet, op ledger.Operation) ledger.Wallet {
	moving := op.Kind == ledger.KindRefund || ofHold(op.Kind)
	if moved := op.Reason == "" && moving; moved != (op.Moved > 0) || op.Moved < 0 || op.LeftAfter < 0 {
		t.Fatalf("a %s moves %d and leaves %d: %q", op.Kind, op.Moved, op.LeftAfter, op.Reason)
	}
	if op.Reason != "" {
		return w
	}
	switch op.Kind {
	case ledger.KindTopUp:
		w.Balance += op.Amount
	case ledger.KindRefund:
		w.Balance += op.Moved
	case ledger.KindCharge, ledger.KindWithdraw:
		w.Balance -= op.Amount
	case ledger.KindHold:
		w.Held, w.Holds = w.Held+op.Amount, w.Holds+1
	case ledger.KindCapture:
		w.Balance -= op.Moved
		w.Held = op.HeldAfter // TestHoldsAddUp
	case ledger.KindRelease, ledger.KindExpire:
		w.Held -= op.Moved
	case ledger.KindOpen, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindGrant, ledger.KindRevoke:
	case ledger.KindSetLimit:
		w.CreditLimit = op.Amount
	}
	if ofHold(op.Kind) && op.LeftAfter == 0 {
		w.Holds--
	}
	return w
}

// checkInvoice lets an invoice be taken once: a hold has it while it is open, its first capture keeps
// it, and without one the end of the hold gives it back.
func checkInvoice(t *rapid.T, taken map[ledger.WalletInvoice]ledger.OperationID, op ledger.Operation) {
	invoice, has := op.WalletInvoice()
	by, is := taken[invoice]
	if has && is && by != op.Refers {
		t.Fatalf("invoice %s is taken twice: by %s and by %s", op.Invoice, by, op.ID)
	}
	if has {
		taken[invoice] = op.ID
	}
	if ofHold(op.Kind) && op.LeftAfter == 0 {
		for invoice, by := range taken {
			if by == op.Refers {
				delete(taken, invoice)
			}
		}
	}
}

// account is what became of one hold, charge or capture.
type account struct {
	size, captured, released, rest, expired, refunded int64
	ended                                             ledger.Kind
	parts                                             int
}

// Of each hold, at each moment, what was captured, released, has expired and remains is what was
// held; of each charge and capture no more is given back than it took; and what the wallet holds is
// what remains of all.
func TestHoldsAddUp(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, start *store, steps []step) {
		end := start.clone()
		_, book := end.settle(steps, propertyTime)
		accounts, remains := map[ledger.OperationID]*account{}, map[ledger.WalletID]int64{}
		for id, w := range start.wallets {
			remains[id] = w.Held
			for _, h := range start.holds {
				if h.Wallet == id {
					remains[id] -= referredIn(start.operations, h.ID).Left
				}
			}
		}
		for i, op := range end.operations {
			if op.Reason != "" {
				continue
			}
			if op.Kind == ledger.KindCapture {
				accounts[op.ID] = &account{size: op.Moved}
			}
			if pays(op.Kind) {
				accounts[op.ID] = &account{size: op.Amount}
			}
			if op.Kind == ledger.KindHold {
				remains[op.Wallet] += op.Amount
			}
			if a := accounts[op.Refers]; !op.Refers.IsZero() {
				before := a.remains()
				if a.add(t, op); ofHold(op.Kind) {
					remains[op.Wallet] += a.remains() - before
				}
			}
			if i >= len(start.operations) && op.HeldAfter != remains[op.Wallet] {
				t.Fatalf("%s holds %d, its holds %d, after %+v", op.Wallet, op.HeldAfter, remains[op.Wallet], op)
			}
		}
		if diff := gocmp.Diff(holdsIn(end.operations), end.holds); diff != "" {
			t.Fatalf("open holds (-as operations say +as books do):\n%s", diff)
		}
		opened, ended := book.Holds()
		for _, h := range opened {
			if _, before := start.holds[h.ID]; before || referredIn(end.operations, h.ID).Left == 0 {
				t.Fatalf("%s was opened before, or is not open", h.ID)
			}
		}
		for i, id := range ended {
			if _, before := start.holds[id]; !before || slices.Contains(ended[:i], id) {
				t.Fatalf("%s was not open before, or ended twice", id)
			}
		}
	})
}

func (a *account) remains() int64 {
	return a.size - a.captured - a.released - a.rest - a.expired - a.refunded
}

// add books an accepted operation that refers to the account's.
func (a *account) add(t *rapid.T, op ledger.Operation) {
	if a.ended != "" {
		t.Fatalf("a %s after a %s ended the hold: %+v", op.Kind, a.ended, op)
	}
	booked := map[ledger.Kind]*int64{
		ledger.KindRefund: &a.refunded, ledger.KindCapture: &a.captured, ledger.KindRelease: &a.released, ledger.KindExpire: &a.expired,
	}
	*booked[op.Kind] += op.Moved
	if op.Kind == ledger.KindCapture && op.Rest == "" {
		a.rest = a.remains()
	}
	if a.remains() < 0 || a.remains() != op.LeftAfter {
		t.Fatalf("%d remain after a %s that leaves %d: %+v", a.remains(), op.Kind, op.LeftAfter, *a)
	}
	if op.Kind == ledger.KindRefund {
		return
	}
	if a.parts++; a.remains() == 0 {
		a.ended = op.Kind
	} else if a.parts > ledger.MaxCaptures {
		t.Fatalf("%d parts", a.parts)
	}
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
		opened, ended := book.Holds()
		if len(book.Operations())+len(book.Wallets())+len(book.Movements())+len(opened)+len(ended)+len(book.Mandates()) > 0 {
			t.Fatalf("a replay made %v, changed %v, moved %v, opened %v, ended %v", book.Operations(), book.Wallets(), book.Movements(), opened, ended)
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
			slices.SortStableFunc(s.operations, func(a, b ledger.Operation) int {
				return cmp.Or(cmp.Compare(a.Place.Log, b.Place.Log), cmp.Compare(a.Place.Offset, b.Place.Offset))
			})
			slices.SortFunc(s.conflicts, func(a, b ledger.Conflict) int { return cmp.Compare(a.Place.Offset, b.Place.Offset) })
		}
		compareStores(t, inOrder, inOther)
	})
}

func compareStores(t *rapid.T, want, got *store) {
	if !reflect.DeepEqual(want, got) { // a diff takes its time
		t.Fatalf("(-want +got):\n%s", gocmp.Diff(want, got, gocmp.AllowUnexported(store{})))
	}
}

// One step at a time: what each sort of step may touch.
func TestWhatAStepMayTouch(t *testing.T) {
	t.Parallel()
	checkBatches(t, func(t *rapid.T, now *store, steps []step) {
		for _, s := range steps {
			before := now.wallets[s.wallet()]
			verdicts, book := now.settle([]step{s}, propertyTime)
			opened, ended := book.Holds()
			made, wallets, moved, conflicts := book.Operations(), book.Wallets(), book.Movements(), book.Conflicts()
			accepted := len(made) > 0 && made[0].Reason == ""
			checkMandateTouched(t, now, made, book.Mandates())
			if ends := accepted && ofHold(made[0].Kind) && made[0].LeftAfter == 0; ends != (len(ended) == 1) || ends && ended[0] != made[0].Refers {
				t.Fatalf("%v ended %v", made, ended)
			}
			if opens := accepted && made[0].Kind == ledger.KindHold; opens != (len(opened) == 1) || opens && opened[0].ID != made[0].ID {
				t.Fatalf("%v opened %v", made, opened)
			}
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
