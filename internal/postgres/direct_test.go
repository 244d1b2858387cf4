package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

func TestDirectOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(1)
	frozen := w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet})
	if frozen.Sequence != 2 || frozen.StatusAfter != ledger.WalletFrozen || !frozen.Place.IsZero() {
		t.Errorf("freeze: %+v", frozen)
	}
	w.settle(1, request(w.topUp(wallet, 10)))
	if op := w.apply(ledger.Request{Kind: ledger.KindClose, Wallet: wallet}); op.Reason != ledger.ReasonWalletNotEmpty {
		t.Errorf("close: %+v", op)
	}
	if op := w.apply(ledger.Request{Kind: ledger.KindUnfreeze, Wallet: wallet}); op.Sequence != 5 {
		t.Errorf("unfreeze: %+v", op)
	}
	w.verified()
}

func TestDirectOperationsAreRepeatable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := w.minted(ledger.Request{Kind: ledger.KindOpen, Wallet: walletID(0), Client: w.client(), Currency: "EUR"})
	first, made, err := w.store.Apply(t.Context(), *open)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	again, made, err := w.store.Apply(t.Context(), *open)
	if err != nil || made {
		t.Fatal(made, err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	other := *open
	other.Currency = "USD"
	if _, _, err := w.store.Apply(t.Context(), other); !errors.Is(err, ledger.ErrReused) {
		t.Errorf("the key with another currency: %v", err)
	}
	w.verified()
}

func TestDirectOperationsNeedWhatTheyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range []ledger.Request{
		{Kind: ledger.KindFreeze, Wallet: walletID(0)},
		{Kind: ledger.KindOpen, Wallet: walletID(0), Client: newID(), Currency: "EUR"},
	} {
		if _, _, err := w.store.Apply(t.Context(), *w.minted(r)); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: %v", r.Kind, err)
		}
	}
	if report := w.verified(); report.Operations != 0 {
		t.Errorf("recorded: %+v", report)
	}
}

// Of several at once, one makes the wallet and the others find it.
func TestOpenConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := w.minted(ledger.Request{Kind: ledger.KindOpen, Wallet: walletID(0), Client: w.client(), Currency: "EUR"})
	var group sync.WaitGroup
	results := make(chan bool, 8)
	for range cap(results) {
		group.Go(func() {
			_, made, err := w.store.Apply(t.Context(), *open)
			if err != nil {
				t.Error(err)
			}
			results <- made
		})
	}
	group.Wait()
	close(results)
	count := 0
	for made := range results {
		if made {
			count++
		}
	}
	if count != 1 {
		t.Errorf("made %d times", count)
	}
	w.verified()
}

// Freezing goes on beside settling, on the same wallets, and both keep their
// places in the history.
func TestDirectOperationsBesideSettling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop := w.wallet(0), w.merchant(ledger.ClientID{})
	w.settle(0, request(w.topUp(wallet, 1_000_000)))
	const rounds = 30
	var freezes []*ledger.Request
	for i := range rounds {
		kind := ledger.KindFreeze
		if i%2 == 1 {
			kind = ledger.KindUnfreeze
		}
		freezes = append(freezes, w.minted(ledger.Request{Kind: kind, Wallet: wallet}))
	}
	var group sync.WaitGroup
	group.Go(func() {
		for _, r := range freezes {
			if _, _, err := w.store.Apply(t.Context(), *r); err != nil {
				t.Error(err)
			}
		}
	})
	claim := w.claim(0)
	for i := range int64(rounds) {
		s := slice(1+2*i, request(w.charge(wallet, shop, 1, "")), request(w.topUp(wallet, 2)))
		if _, err := w.store.Settle(t.Context(), claim, s); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	if report := w.verified(); report.Operations != 2+3*rounds {
		t.Errorf("report: %+v", report)
	}
}

// TestDirectOperationsOfABusyPartition hold up those of no other one: while they wait they
// have one connection together.
func TestDirectOperationsOfABusyPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	busy, idle := w.wallet(1), w.wallet(2)
	person := w.schemaOwner()
	for _, sql := range []string{"begin", "select from partition_progress where partition = 1 for update"} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		r := *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: busy})
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, _, _ = w.store.Apply(ctx, r) // the first ones fail after their patience
		})
	}
	waiting := w.schemaOwner()
	for n := 0; n == 0; time.Sleep(10 * time.Millisecond) {
		if err := waiting.QueryRow(t.Context(), "select count(*) from pg_locks where not granted").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: idle})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a freeze of another partition took %v", took)
	}
	if _, err := person.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	w.verified()
}

// Who waits for a wallet for more than three seconds is told so.
func TestDirectOperationsDoNotWaitForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	person := w.schemaOwner()
	for _, sql := range []string{"begin", "select from wallets for update"} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := w.store.Apply(t.Context(), *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet}))
	if err == nil || errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrReused) {
		t.Errorf("err: %v", err)
	}
	if _, err := person.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet})
}
