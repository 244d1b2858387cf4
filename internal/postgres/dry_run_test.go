package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// decision is what a dry run says of an operation: all of it but where it will lie, and what follows from that.
func decision(op ledger.Operation) ledger.Operation {
	op.Place, op.Position, op.Digest = ledger.Place{}, 0, ledger.Digest{}
	return op
}

// triable are the kinds that may be tried.
func triable() []ledger.Kind {
	return []ledger.Kind{ledger.KindCharge, ledger.KindHold, ledger.KindRefund}
}

// try lets the store decide the request dry, then really, and compares. It returns the reason.
func (w *world) try(t interface {
	Helper()
	Fatalf(string, ...any)
}, partition int, r *ledger.Request,
) ledger.Reason {
	t.Helper()
	dry, err := w.store.DryRun(w.t.Context(), *r)
	if err != nil {
		t.Fatalf("dry run of %+v: %v", r, err)
	}
	w.settle(partition, request(r))
	decided := w.decided(r).Operation
	if diff := cmp.Diff(decision(decided), decision(dry.Operation)); diff != "" {
		t.Fatalf("what was decided, and what the dry run said: %s", diff)
	}
	return decided.Reason
}

// In random histories a dry run says what the settle behind it decides; of what has an outcome it says that.
func TestDryRunSaysWhatSettleDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reasons := map[ledger.Kind]map[ledger.Reason]int{}
	rapid.Check(t, func(r *rapid.T) {
		e := newExercise(w)
		var funds []processor.Item
		for _, wallet := range e.wallets {
			funds = append(funds, request(w.topUp(wallet, 80)))
		}
		e.settle(funds...)
		for range rapid.IntRange(5, 12).Draw(r, "items") {
			item := e.item(r)
			if item.Request == nil {
				continue
			}
			item.Request = e.referring(r, item.Request)
			kind := item.Request.Kind
			fingerprint, known := e.model.known.Decided[item.Request.ID]
			dry, err := w.store.DryRun(t.Context(), *item.Request)
			switch {
			case known && fingerprint != item.Request.Fingerprint():
				if !errors.Is(err, ledger.ErrReused) {
					r.Fatalf("under the ID of another request: %+v, %v", dry, err)
				}
			case err != nil:
				r.Fatal(err)
			case (dry.Decided != nil) != known:
				r.Fatalf("whether it is decided: %v, want %v", dry.Decided != nil, known)
			}
			e.settle(item)
			if err != nil {
				continue
			}
			decided := w.decided(item.Request).Operation
			if !known {
				decided = decision(decided)
				dry.Operation = decision(dry.Operation)
			}
			if diff := cmp.Diff(decided, dry.Operation); diff != "" {
				r.Fatalf("%s: what was decided, and what the dry run said: %s", kind, diff)
			}
			if reasons[kind] == nil {
				reasons[kind] = map[ledger.Reason]int{}
			}
			reasons[kind][decided.Reason]++
		}
	})
	for _, kind := range triable() {
		t.Logf("%s: %v", kind, reasons[kind]) // each reason is tried by the test below
		if len(reasons[kind]) == 0 {
			t.Errorf("no %s was tried", kind)
		}
	}
}

// settle settles the items in the store and in the model.
func (e *exercise) settle(items ...processor.Item) {
	e.world.t.Helper()
	c := e.world.claim(exercisePartition)
	s := slice(c.NextOffset, items...)
	e.model.settle(e.world, c, s)
	if _, err := e.world.store.Settle(e.world.t.Context(), c, s); err != nil {
		e.world.t.Fatal(err)
	}
}

// referring is the request, which mostly refers to something that there is, if it refers to anything.
func (e *exercise) referring(t *rapid.T, r *ledger.Request) *ledger.Request {
	if r.Refers.IsZero() || r.Kind == ledger.KindExpire || rapid.IntRange(0, 4).Draw(t, "anything") == 0 {
		return r
	}
	var others []ledger.Operation
	for _, o := range e.model.operations {
		if of := o.Kind == ledger.KindHold; o.Wallet == r.Wallet && of == (r.Kind != ledger.KindRefund) && (of || o.Kind == ledger.KindCharge || o.Kind == ledger.KindCapture) {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		return r
	}
	slices.SortFunc(others, func(a, b ledger.Operation) int { return int(a.Position - b.Position) })
	to := rapid.SampledFrom(others).Draw(t, "to")
	other := *r
	other.Refers, other.Merchant = to.ID, to.Merchant
	return e.world.minted(other)
}

// tried is a wallet with 1000, and who charges it.
type tried struct {
	*world
	wallet       ledger.WalletID
	client       ledger.ClientID
	shop, owners ledger.MerchantID // a merchant; one of the wallet's owner
	charged      *ledger.Request   // 600, accepted
}

func (w *world) tried() tried {
	x := tried{world: w, wallet: walletID(1), client: w.client(), shop: w.merchant(ledger.ClientID{})}
	x.owners = w.merchant(x.client)
	w.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: x.wallet, Client: x.client, Currency: "EUR"})
	x.charged = w.charge(x.wallet, x.shop, 600, "INV-1")
	w.settle(1, request(w.topUp(x.wallet, 1600)), request(x.charged))
	return x
}

// ask is a charge or a hold of the wallet, or a refund of its charge.
func (x tried) ask(kind ledger.Kind) *ledger.Request {
	r := ledger.Request{Kind: kind, Wallet: x.wallet, Merchant: x.shop, Amount: 100, Currency: "EUR", IdempotencyKey: x.key()}
	if kind == ledger.KindRefund {
		r.Refers = x.charged.ID
	}
	if kind == ledger.KindHold {
		r.ExpiresIn = ledger.MinExpiresIn
	}
	return &r
}

// reasonsTried says of each reason how a request comes to fail for it.
var reasonsTried = map[ledger.Reason]func(x tried, r *ledger.Request){
	ledger.ReasonExpired:           func(x tried, r *ledger.Request) { r.ApplyBefore = x.now },
	ledger.ReasonMerchantNotFound:  func(_ tried, r *ledger.Request) { r.Merchant = newID() },
	ledger.ReasonMerchantSuspended: func(x tried, _ *ledger.Request) { x.suspend(x.shop) },
	ledger.ReasonChargeNotFound:    func(x tried, r *ledger.Request) { r.Merchant = x.owners },
	ledger.ReasonSelfCharge:        func(x tried, r *ledger.Request) { r.Merchant = x.owners },
	ledger.ReasonWalletClosed: func(x tried, _ *ledger.Request) {
		x.settle(1, request(x.minted(ledger.Request{Kind: ledger.KindWithdraw, Wallet: x.wallet, Amount: 1000, Currency: "EUR"})))
		x.apply(ledger.Request{Kind: ledger.KindClose, Wallet: x.wallet})
	},
	ledger.ReasonWalletFrozen:     func(x tried, _ *ledger.Request) { x.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: x.wallet}) },
	ledger.ReasonCurrencyMismatch: func(_ tried, r *ledger.Request) { r.Currency = "USD" },
	ledger.ReasonChargeNotAccepted: func(x tried, r *ledger.Request) {
		failed := x.charge(x.wallet, x.shop, 5000, "")
		x.settle(1, request(failed))
		r.Refers = failed.ID
	},
	ledger.ReasonRefundExceedsCharge: func(x tried, r *ledger.Request) {
		x.settle(1, request(x.refund(x.charged, 501)))
	},
	ledger.ReasonTooManyHolds: func(x tried, _ *ledger.Request) {
		for range 2 {
			var items []processor.Item
			for range ledger.MaxHolds / 2 {
				items = append(items, request(x.holdOf(x.wallet, x.shop, 1, "")))
			}
			x.settle(1, items...)
		}
	},
	ledger.ReasonDuplicateInvoice:  func(_ tried, r *ledger.Request) { r.Invoice = "INV-1" },
	ledger.ReasonInsufficientFunds: func(_ tried, r *ledger.Request) { r.Amount = 1001 },
	ledger.ReasonAmountOverflow: func(x tried, _ *ledger.Request) {
		x.settle(1, request(x.topUp(x.wallet, ledger.MaxAmount-1000)))
	},
	ledger.ReasonMandateRequired: func(x tried, r *ledger.Request) { r.Wallet = x.mandated(1) }, // as of one that is not there
	ledger.ReasonMandateExpired: func(x tried, r *ledger.Request) {
		r.Wallet = x.mandated(1)
		x.grant(r.Wallet, r.Merchant, ledger.Terms{ValidUntil: x.now})
	},
	ledger.ReasonMandateLimit: func(x tried, r *ledger.Request) {
		r.Wallet = x.mandated(1)
		x.grant(r.Wallet, r.Merchant, ledger.Terms{PerDay: 150})
		used := x.ask(ledger.KindCharge)
		used.Wallet = r.Wallet
		x.settle(1, request(x.topUp(r.Wallet, 1000)), request(x.minted(*used)))
	},
	ledger.ReasonProcessingError: nil, // of what cannot be read nobody can ask
}

func (w *world) suspend(m ledger.MerchantID) {
	w.t.Helper()
	if _, err := w.store.Suspend(w.t.Context(), m, true, byTest); err != nil {
		w.t.Fatal(err)
	}
}

// Each reason of each kind that may be tried is said dry as it is really.
func TestDryRunOfEachReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range triable() {
		x := w.tried()
		if reason := w.try(t, 1, w.minted(*x.ask(kind))); reason != "" {
			t.Errorf("%s: %s, want that it is accepted", kind, reason)
		}
		for _, reason := range kind.Reasons() {
			fail, there := reasonsTried[reason]
			if !there {
				t.Errorf("%s: nobody says how it comes to %s", kind, reason)
			}
			if fail == nil {
				continue
			}
			x := w.tried()
			r := x.ask(kind)
			fail(x, r)
			if got := w.try(t, 1, w.minted(*r)); got != reason {
				t.Errorf("%s: %q, want %s", kind, got, reason)
			}
		}
	}
}

// rows is everything that the database holds, with what says who wrote or locked each row.
func (w *world) rows() map[string]string {
	w.t.Helper()
	conn, all := w.schemaOwner(), map[string]string{}
	rows, err := conn.Query(w.t.Context(), "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace")
	if err != nil {
		w.t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, name := range tables {
		var text string
		if err := conn.QueryRow(w.t.Context(), fmt.Sprintf(
			"select count(*) || ' ' || coalesce(md5(string_agg(t::text || ' ' || t.xmin || ' ' || t.xmax || ' ' || t.ctid, ',' order by t::text)), '') from %s t", name,
		)).Scan(&text); err != nil {
			w.t.Fatal(name, err)
		}
		all[name] = text
	}
	return all
}

// A dry run writes nothing, and locks no row: neither if it would be accepted nor if it would fail.
func TestDryRunLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.tried()
	before := w.rows()
	if len(before) < 10 {
		t.Fatalf("the tables are %v", before)
	}
	for _, kind := range triable() {
		for _, amount := range []int64{100, 2000} {
			r := x.ask(kind)
			r.Amount = amount
			dry, err := w.store.DryRun(t.Context(), *w.minted(*r))
			if err != nil || (dry.Reason == "") != (amount == 100) {
				t.Fatal(kind, dry.Reason, err)
			}
		}
	}
	if diff := cmp.Diff(before, w.rows()); diff != "" {
		t.Errorf("a dry run left something: %s", diff)
	}
}

// A dry run does not wait for a settle, nor for whoever else has locked all that it reads.
func TestDryRunWaitsForNoLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.tried()
	conn := w.schemaOwner()
	for _, sql := range []string{
		"begin", "select from partition_progress for update", "select from wallets for update", "select from operations for update",
		"select from merchants for update", "select from holds for update",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, kind := range triable() {
		if dry, err := w.store.DryRun(ctx, *w.minted(*x.ask(kind))); err != nil || dry.Reason != "" {
			t.Errorf("%s: %q, %v", kind, dry.Reason, err)
		}
	}
	// What it sees is what was committed last.
	if _, err := conn.Exec(t.Context(), "update wallets set balance = 0 where id = $1", x.wallet); err != nil {
		t.Fatal(err)
	}
	if dry, err := w.store.DryRun(ctx, *w.minted(*x.ask(ledger.KindCharge))); err != nil || dry.BalanceAfter != 900 {
		t.Errorf("beside a change that is not committed: %d, %v", dry.BalanceAfter, err)
	}
}
