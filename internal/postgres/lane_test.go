package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// TestOperatorsWaitForNoCrowdOfClients: a client that asks for many direct operations does not put off the freeze of its wallet.
func TestOperatorsWaitForNoCrowdOfClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop, client := walletID(1), w.merchant(ledger.ClientID{}), w.client()
	w.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: wallet, Client: client, Currency: "EUR", Charges: ledger.ChargesMandated})
	owner := ledger.Asker{Party: ledger.AsClient(client)}
	person := w.schemaOwner()
	for _, sql := range []string{"begin", "select from partition_progress where partition = 1 for update"} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const crowd = 30
	var group sync.WaitGroup
	for range crowd {
		r := *w.minted(ledger.Request{Kind: ledger.KindGrant, Wallet: wallet, Merchant: shop, Currency: "EUR"})
		r.Asker = owner
		r.ID = w.minter.OperationID(r.Identity())
		group.Go(func() {
			if _, _, err := w.store.Apply(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // all of them wait
	freeze := *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet})
	var frozen ledger.Operation
	group.Go(func() {
		var err error
		if frozen, _, err = w.store.Apply(t.Context(), freeze); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(100 * time.Millisecond) // and it does
	if _, err := person.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if frozen.Sequence > 5 {
		t.Errorf("the freeze was number %d of %d", frozen.Sequence, crowd+2)
	}
	w.verified()
}
