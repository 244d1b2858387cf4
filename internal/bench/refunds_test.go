package bench

import (
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

func TestRefundsAreOfEachChargeOnce(t *testing.T) {
	t.Parallel()
	var charges []ledger.Request
	left := map[ledger.OperationID]ledger.Request{}
	came := tally{}
	for i := range 100 {
		c := ledger.Request{
			ID: newID(), Kind: ledger.KindCharge, Wallet: newID(), Merchant: newID(), Amount: int64(i + 1), Currency: currency,
		}
		charges, left[c.ID] = append(charges, c), c
		came.add(c)
	}
	inOrder := true
	draw := refunds(0, append([]ledger.Request(nil), charges...))
	for i := range charges {
		q := draw()
		c, found := left[q.Refers]
		delete(left, q.Refers)
		if !found || q.Kind != ledger.KindRefund || q.Wallet != c.Wallet || q.Merchant != c.Merchant || q.Amount*2 < c.Amount || q.Amount > c.Amount {
			t.Fatalf("%+v is no refund of %+v", q, c)
		}
		inOrder = inOrder && q.Refers == charges[i].ID
		came.add(q)
	}
	// 100 odd and even amounts from 1 to 100 come to 5050; a half of each, rounded up, to 2550.
	if want := (tally{200, 5050 - 2550}); came != want || inOrder {
		t.Errorf("%+v came, want %+v; in order: %v", came, want, inOrder)
	}
}
