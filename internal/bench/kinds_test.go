package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// TestPartsAreOfEachOnce: of half of each charge, or of the whole of each hold.
func TestPartsAreOfEachOnce(t *testing.T) {
	t.Parallel()
	for kind, row := range map[ledger.Kind]struct {
		of     ledger.Kind
		draw   func(int, []ledger.Request) func() ledger.Request
		amount func(int64) int64
		left   int64
	}{
		// 100 odd and even amounts from 1 to 100 come to 5050; a half of each, rounded up, to 2550.
		ledger.KindRefund:  {ledger.KindCharge, refunds, func(n int64) int64 { return (n + 1) / 2 }, 5050 - 2550},
		ledger.KindCapture: {ledger.KindHold, captures, func(n int64) int64 { return n }, 5050},
	} {
		var stored []ledger.Request
		left := map[ledger.OperationID]ledger.Request{}
		came := tally{}
		for i := range 100 {
			c := ledger.Request{ID: newID(), Kind: row.of, Wallet: newID(), Merchant: newID(), Amount: int64(i + 1), Currency: currency}
			stored, left[c.ID] = append(stored, c), c
			came.add(c)
		}
		inOrder := true
		draw := row.draw(0, append([]ledger.Request(nil), stored...))
		for i := range stored {
			q := draw()
			c, found := left[q.Refers]
			delete(left, q.Refers)
			if !found || q.Kind != kind || q.Wallet != c.Wallet || q.Merchant != c.Merchant || q.Amount != row.amount(c.Amount) {
				t.Fatalf("%+v is no %s of %+v", q, kind, c)
			}
			inOrder = inOrder && q.Refers == stored[i].ID
			came.add(q)
		}
		if want := (tally{200, row.left}); came != want || inOrder {
			t.Errorf("%s: %+v came, want %+v; in order: %v", kind, came, want, inOrder)
		}
	}
}

func TestHoldsAreAsCharges(t *testing.T) {
	t.Parallel()
	charge := ledger.Request{Kind: ledger.KindCharge, Wallet: newID(), Merchant: newID(), Amount: 7, Currency: currency, Invoice: "1", IdempotencyKey: "k"}
	q := heldBy(func() ledger.Request { return charge })()
	want := charge
	want.Kind, want.ExpiresIn = ledger.KindHold, ledger.DefaultExpiresIn
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

// TestChargesOfAMandatedWorldHaveMandates: only the merchants make them that every wallet gives one.
func TestChargesOfAMandatedWorldHaveMandates(t *testing.T) {
	t.Parallel()
	for mandated, want := range map[bool]int{true: mandatedMerchants, false: worldMerchants} {
		w := &world{scale: scale{mandated: mandated}, wallets: [][]ledger.WalletID{{newID()}}}
		for range worldMerchants {
			w.merchants = append(w.merchants, newID())
		}
		seen, draw := map[ledger.MerchantID]bool{}, w.draw(0)
		for range 10_000 {
			seen[draw().Merchant] = true
		}
		if len(seen) != want {
			t.Errorf("mandated %v: %d merchants charge, want %d", mandated, len(seen), want)
		}
	}
}
