package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

func TestRegistryCreatesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}
	m := ledger.Merchant{ID: newID(), Owner: c.ID, Name: "Bodega", CreatedAt: w.now}
	k := ledger.Key{
		ID: newID(), Party: ledger.Party{Role: ledger.RoleMerchant, Owner: m.ID}, Name: "till", SecretHash: [32]byte{1}, CreatedAt: w.now,
		ExpiresAt: w.now.Add(time.Hour),
	}
	for i, made := range []bool{true, false} {
		// A retry comes later, with another secret.
		late := w.now.Add(time.Duration(i) * time.Minute)
		c2, m2, k2 := c, m, k
		c2.CreatedAt, m2.CreatedAt, k2.CreatedAt, k2.SecretHash = late, late, late, [32]byte{byte(1 + i)}
		gotC, madeC, err := w.store.CreateClient(ctx, c2, byTest)
		if err != nil || madeC != made || gotC != c {
			t.Errorf("client: %+v, %v, %v", gotC, madeC, err)
		}
		gotM, madeM, err := w.store.CreateMerchant(ctx, m2, byTest)
		if err != nil || madeM != made || gotM != m {
			t.Errorf("merchant: %+v, %v, %v", gotM, madeM, err)
		}
		gotK, madeK, err := w.store.CreateKey(ctx, k2, byTest)
		if diff := cmp.Diff(k, gotK); err != nil || madeK != made || diff != "" {
			t.Errorf("key: %v, %v, %s", madeK, err, diff)
		}
	}
	if got, err := w.store.Key(ctx, k.ID); err != nil || got != k {
		t.Errorf("key: %+v, %v", got, err)
	}
	c.Name, m.Owner, k.Name = "Eva", ledger.ClientID{}, "other till"
	if _, _, err := w.store.CreateClient(ctx, c, byTest); !errors.Is(err, ledger.ErrReused) {
		t.Errorf("client: %v", err)
	}
	if _, _, err := w.store.CreateMerchant(ctx, m, byTest); !errors.Is(err, ledger.ErrReused) {
		t.Errorf("merchant: %v", err)
	}
	if _, _, err := w.store.CreateKey(ctx, k, byTest); !errors.Is(err, ledger.ErrReused) {
		t.Errorf("key: %v", err)
	}
}

func TestRegistryNeedsWhatItNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	_, _, err := w.store.CreateMerchant(ctx, ledger.Merchant{ID: newID(), Owner: newID(), Name: "x", CreatedAt: w.now}, byTest)
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("merchant: %v", err)
	}
	_, _, err = w.store.CreateKey(ctx, ledger.Key{ID: newID(), Party: ledger.Party{Role: ledger.RoleClient, Owner: newID()}, Name: "x", CreatedAt: w.now}, byTest)
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("key: %v", err)
	}
	if _, err = w.store.Key(ctx, newID()); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("read key: %v", err)
	}
	if _, err = w.store.Merchant(ctx, newID()); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("read merchant: %v", err)
	}
	if _, err = w.store.Wallet(ctx, walletID(0)); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("read wallet: %v", err)
	}
	if _, _, err = w.store.ClientWallets(ctx, newID(), 1, nil); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("read wallets: %v", err)
	}
	if list, next, err := w.store.ClientWallets(ctx, w.client(), 1, nil); err != nil || len(list) != 0 || next != nil {
		t.Errorf("a client without wallets: %v, %v", list, err)
	}
}

func TestClientWallets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.client()
	var want []ledger.WalletID
	for p := range partitions {
		id := walletID(p)
		w.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: client, Currency: "EUR"})
		w.now = w.now.Add(time.Second)
		want = append(want, id)
	}
	for limit := 1; limit <= partitions+1; limit++ {
		var got []ledger.WalletID
		var after *ingest.Cursor
		for more := true; more; more = after != nil {
			list, next, err := w.store.ClientWallets(t.Context(), client, limit, after)
			if err != nil || len(list) > limit {
				t.Fatal(len(list), err)
			}
			for _, x := range list {
				got = append(got, x.ID)
			}
			after = next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d a page: %s", limit, diff)
		}
	}
}

func TestBalancesAddUpAllPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop := w.merchant(ledger.ClientID{})
	for p := range partitions {
		id := w.wallet(p)
		w.settle(p, request(w.topUp(id, ledger.MaxAmount)), request(w.charge(id, shop, ledger.MaxAmount, "")))
	}
	got, err := w.store.Balances(t.Context(), shop)
	if diff := cmp.Diff([]ingest.Balance{{Currency: "EUR", Amount: "36028797018963964"}}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	w.verified()
}

func TestKeysUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := ledger.Key{ID: newID(), Party: ledger.Party{Role: ledger.RoleOperator}, Name: "x", CreatedAt: w.now}
	if _, _, err := w.store.CreateKey(t.Context(), k, byTest); err != nil {
		t.Fatal(err)
	}
	late := w.now.Add(time.Hour)
	for _, at := range []time.Time{w.now, late, w.now} {
		if err := w.store.Used(t.Context(), map[ledger.KeyID]time.Time{k.ID: at, newID(): at}); err != nil {
			t.Fatal(err)
		}
	}
	var got time.Time
	if err := w.schemaOwner().QueryRow(t.Context(), "select last_used_at from api_keys").Scan(&got); err != nil || !got.Equal(late) {
		t.Errorf("last used %v, %v", got, err)
	}
}
