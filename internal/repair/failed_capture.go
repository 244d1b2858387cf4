package repair

import (
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// MaxFailedCaptures is how many captures a move names at most.
const MaxFailedCaptures = 100

// FailedCapture is a capture that failed because it was passed over, with what its record asks.
type FailedCapture struct {
	ID       ledger.OperationID
	Wallet   ledger.WalletID
	Merchant ledger.MerchantID
	Hold     ledger.OperationID // zero: the record cannot be read so far, and Amount and Currency say nothing
	Amount   int64              // minor units; zero: all that is left of the hold
	Currency ledger.Currency    // empty where Amount is zero
}

// failedCapture is the refused capture of an item. A record that is no whole request, or in
// a newer version, does not say its hold.
func failedCapture(i processor.Item) FailedCapture {
	x := FailedCapture{ID: i.Refusal.ID, Wallet: i.Refusal.Wallet, Merchant: i.Refusal.Merchant}
	if d, err := record.Decode(i.Record); err == nil {
		x.Hold, x.Amount, x.Currency = d.Request.Refers, d.Request.Amount, d.Request.Currency
	}
	return x
}
