package repair_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

// capture is a capture of so much of the hold; 0: of all that is left.
func (f *fixture) capture(hold ledger.OperationID, key string, amount int64) ledger.Request {
	r := ledger.Request{
		Kind: ledger.KindCapture, Wallet: f.wallet, Merchant: f.merchant, Refers: hold, Amount: amount,
		IdempotencyKey: key, ReceivedAt: f.clock, Asker: ledger.Asker{Party: ledger.AsMerchant(f.merchant)},
	}
	if amount != 0 {
		r.Currency = "EUR"
	}
	r.ID = f.minter.OperationID(r.Identity())
	return r
}

// Captures that fail are named as their records say them, each once, whether they would fail or do; what had its
// outcome before is not.
func TestAMoveNamesTheCapturesThatItFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hold := f.minter.OperationID(f.charge("some hold", 1).Identity())
	before, whole, part, broken := f.capture(hold, "before", 0), f.capture(hold, "whole", 0), f.capture(hold, "part", 4), f.capture(hold, "broken", 5)
	f.append(f.encoded(before))
	f.settled()
	unread := f.encoded(broken)
	unread.Value = bytes.Replace(unread.Value, []byte(`"amount":5`), []byte(`"amount":"5"`), 1)
	f.append(f.encoded(whole), f.encoded(f.charge("a charge", 5)), f.encoded(before), f.encoded(part), unread, f.encoded(whole),
		record.Record{Value: []byte("not ours"), Time: f.clock})
	want := []repair.FailedCapture{
		{ID: whole.ID, Wallet: f.wallet, Merchant: f.merchant, Hold: hold},
		{ID: part.ID, Wallet: f.wallet, Merchant: f.merchant, Hold: hold, Amount: 4, Currency: "EUR"},
		{ID: broken.ID, Wallet: f.wallet, Merchant: f.merchant},
	}
	for _, dry := range []bool{true, false} {
		moved, err := f.set(repair.Move{Offset: int64(len(f.log)), DryRun: dry, By: "somebody@here", Reason: "a test"}, writtenLog{f: f, most: 2})
		if err != nil || moved.Failed != 4 || moved.Unnamed != 0 {
			t.Errorf("a dry run %v: %+v, %v", dry, moved, err)
		}
		if diff := cmp.Diff(want, moved.Captures); diff != "" {
			t.Errorf("a dry run %v: %s", dry, diff)
		}
	}
	f.becomes(whole.ID, "processing_error")
	f.verify()
}

// Those beyond the first are counted, and not kept, be they of the same slice or of a later one.
func TestAMoveNamesSoManyCaptures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.settled()
	hold := f.minter.OperationID(f.charge("some hold", 1).Identity())
	const beyond = 45
	for i := range repair.MaxFailedCaptures + beyond {
		f.append(f.encoded(f.capture(hold, fmt.Sprint(i), 1)))
	}
	for _, dry := range []bool{true, false} {
		moved, err := f.set(repair.Move{Offset: int64(len(f.log)), DryRun: dry, By: "somebody@here", Reason: "a test"}, writtenLog{f: f, most: 60})
		if err != nil || moved.Failed != repair.MaxFailedCaptures+beyond || moved.Unnamed != beyond || len(moved.Captures) != repair.MaxFailedCaptures {
			t.Fatalf("a dry run %v: %d named, %d not, of %d, %v", dry, len(moved.Captures), moved.Unnamed, moved.Failed, err)
		}
		for i, c := range moved.Captures {
			if want := f.capture(hold, fmt.Sprint(i), 1).ID; c.ID != want {
				t.Errorf("a dry run %v: number %d is %s, want %s", dry, i, c.ID, want)
			}
		}
	}
}
