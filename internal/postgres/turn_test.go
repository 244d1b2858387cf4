package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// locked holds a table until the returned function is called: who reads it waits.
func (w *world) locked(table string) (release func()) {
	w.t.Helper()
	tx, err := w.schemaOwner().Begin(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := tx.Exec(w.t.Context(), "lock table "+table+" in access exclusive mode"); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.Background()); err != nil {
			w.t.Error(err)
		}
	}
}

// awaitBlocked returns once so many sessions wait for a lock.
func (w *world) awaitBlocked(watch *pgx.Conn, sessions int) {
	w.t.Helper()
	for range 1000 {
		var n int
		if err := watch.QueryRow(w.t.Context(), `
			select count(*) from pg_locks
			where not granted and database = (select oid from pg_database where datname = current_database())`).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		if n >= sessions {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("no %d sessions wait for a lock", sessions)
}

// TestWhoHangsUpClosesNoConnection: callers give up while their statements run, and
// the connections are there for the next ones.
func TestWhoHangsUpClosesNoConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.schemaOwner()
	shop, wallet, client := w.merchant(ledger.ClientID{}), w.wallet(0), w.client()
	freeze := func() *ledger.Request { return w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet}) }
	for _, c := range []struct {
		name, table string
		read        func(context.Context) error
	}{
		{"a list", "conflicts", func(ctx context.Context) error {
			_, err := w.store.List(ctx, ingest.Filter{Wallet: wallet, Limit: 1})
			return err
		}},
		{"a client's wallets", "wallets", func(ctx context.Context) error {
			_, _, err := w.store.ClientWallets(ctx, client, 1, nil)
			return err
		}},
		{"a wallet", "wallets", func(ctx context.Context) error { _, err := w.store.Wallet(ctx, wallet); return err }},
		{"a wallet that may be there", "wallets", func(ctx context.Context) error {
			_, err := w.store.KnownWallets(ctx, []ledger.WalletMerchant{{Wallet: wallet, Merchant: shop}})
			return err
		}},
		{"mandates", "mandates", func(ctx context.Context) error { _, err := w.store.Mandates(ctx, wallet, shop); return err }},
		{"a dry run", "wallets", func(ctx context.Context) error {
			_, err := w.store.DryRun(ctx, *w.charge(wallet, shop, 1, ""))
			return err
		}},
		{"a merchant", "merchants", func(ctx context.Context) error { _, err := w.store.Merchant(ctx, shop); return err }},
		{"balances", "account_balances", func(ctx context.Context) error { _, err := w.store.Balances(ctx, shop); return err }},
		{"a creation", "clients", func(ctx context.Context) error {
			_, _, err := w.store.CreateClient(ctx, ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest)
			return err
		}},
		{"a freeze", "wallets", func(ctx context.Context) error { _, _, err := w.store.Apply(ctx, *freeze()); return err }},
	} {
		if err := c.read(t.Context()); err != nil { // its connection is there
			t.Fatal(c.name, err)
		}
		before := w.store.Opened()
		for range 3 {
			release := w.locked(c.table)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			ended := make(chan error, 1)
			go func() { ended <- c.read(ctx) }()
			w.awaitBlocked(watch, 1)
			cancel()
			release()
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if err := c.read(t.Context()); err != nil {
				t.Error(c.name, err)
			}
		}
		if n := w.store.Opened() - before; n != 0 {
			t.Errorf("%s: %d connections were made anew", c.name, n)
		}
	}
}

// TestReadsTakeTurns: more reads than may run at once fail soon, leave connections
// to keys, and do not touch lists.
func TestReadsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, wallet := w.merchant(ledger.ClientID{}), w.wallet(0)
	release := w.locked("account_balances")
	const reads, atOnce = 20, 3
	var reading sync.WaitGroup
	busy := make(chan time.Duration, reads)
	for range reads {
		reading.Go(func() {
			began := time.Now()
			switch _, err := w.store.Balances(t.Context(), shop); {
			case errors.Is(err, ingest.ErrBusy):
				busy <- time.Since(began)
			case err != nil:
				t.Error(err)
			}
		})
	}
	for range reads - atOnce {
		if took := <-busy; took > 2*time.Second {
			t.Errorf("a read was refused after %v", took)
		}
	}
	if _, err := w.store.Wallet(t.Context(), wallet); !errors.Is(err, ingest.ErrBusy) {
		t.Error("a read beside them:", err)
	}
	if _, err := w.store.Key(t.Context(), newID()); !errors.Is(err, ledger.ErrNotFound) {
		t.Error("a key beside them:", err)
	}
	if _, err := w.store.List(t.Context(), ingest.Filter{Wallet: wallet, Limit: 1}); err != nil {
		t.Error("a list beside them:", err)
	}
	release()
	reading.Wait()
	if _, err := w.store.Wallet(t.Context(), wallet); err != nil {
		t.Error("a read after them:", err)
	}
}

// TestDirectOperationsHaveConnectionsOfTheirOwn: whoever takes every connection
// of the pool does not keep a wallet from being unfrozen.
func TestDirectOperationsHaveConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet})
	for range w.store.Pool().Config().MaxConns {
		conn, err := w.store.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r := w.minted(ledger.Request{Kind: ledger.KindUnfreeze, Wallet: wallet})
	if op, made, err := w.store.Apply(ctx, *r); err != nil || !made || op.StatusAfter != ledger.WalletActive {
		t.Error(op.StatusAfter, made, err)
	}
}
