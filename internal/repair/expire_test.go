package repair_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// writtenQueue takes records to the end of the fixture's log.
type writtenQueue struct{ f *fixture }

func (q writtenQueue) Send(_ context.Context, r record.Record) (partition int, offset int64, err error) {
	q.f.append(r)
	return 0, int64(len(q.f.log) - 1), nil
}

// An expire that is passed over becomes a dead letter and has no outcome, unlike a capture: its hold is open until
// a later look sends the same expire again.
func TestAnExpireThatIsPassedOverComesAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = time.Now().Add(-time.Hour).Truncate(time.Microsecond) // as decisions have it
	hold := ledger.Request{
		Kind: ledger.KindHold, Wallet: f.wallet, Merchant: f.merchant, Amount: 10, Currency: "EUR", ExpiresIn: ledger.MinExpiresIn,
		IdempotencyKey: "hold", ReceivedAt: f.clock, Asker: ledger.Asker{Party: ledger.AsMerchant(f.merchant)},
	}
	hold.ID = f.minter.OperationID(hold.Identity())
	capture := f.capture(hold.ID, "capture", 0)
	expire := processor.Expire(ledger.Hold{ID: hold.ID, Wallet: f.wallet, Merchant: f.merchant, ExpiresAt: f.clock.Add(time.Minute)}, f.clock)
	expire.ID = f.minter.OperationID(expire.Identity())

	f.append(f.encoded(hold))
	f.settled()
	looked := time.Now()
	expirer := processor.NewExpirer(f.store, writtenQueue{f}, f.minter, slog.New(slog.DiscardHandler), func() time.Time { return looked })
	f.append(f.encoded(capture))
	sweep := func() {
		t.Helper()
		before := len(f.log)
		f.claim()
		if err := expirer.Sweep(t.Context()); err != nil || len(f.log) != before+1 {
			t.Fatalf("a look sent %d expires, %v", len(f.log)-before, err)
		}
	}
	sweep()
	moved, err := f.move(int64(len(f.log)), writtenLog{f: f})
	if err != nil || moved.Failed != 1 || moved.Dead != 1 {
		t.Fatalf("passed over: %+v, %v", moved, err)
	}
	f.becomes(capture.ID, "processing_error")
	f.becomes(expire.ID, "pending")
	const letters = "select concat_ws(' ', log_offset, reason) from dead_letters where operation_id is null"
	if diff := cmp.Diff([]string{"3 passed over by monedero partitions set-progress"}, f.strings(letters)); diff != "" {
		t.Error(diff)
	}
	const held = "select concat_ws(' ', w.held, w.open_holds, (select count(*) from holds)) from wallets w"
	if diff := cmp.Diff([]string{"10 1 1"}, f.strings(held)); diff != "" {
		t.Errorf("the hold is not open any more: %s", diff)
	}
	f.verify()

	part := f.capture(hold.ID, "part", 4)
	part.Rest = ledger.RestKept
	f.append(f.encoded(part))
	f.settled()
	f.becomes(part.ID, "accepted")
	// What is settled again takes the expire for a dead letter again: what lies behind it was decided without it.
	replay := func(outcome, holds string) {
		t.Helper()
		if _, err := f.move(0, writtenLog{f: f}); err != nil {
			t.Fatal(err)
		}
		f.settled()
		f.becomes(capture.ID, "processing_error")
		f.becomes(part.ID, "accepted")
		f.becomes(expire.ID, outcome)
		if diff := cmp.Diff([]string{holds}, f.strings(held)); diff != "" {
			t.Error(diff)
		}
		f.verify()
	}
	replay("pending", "6 1 1")

	looked = looked.Add(time.Minute)
	sweep()
	f.settled()
	f.becomes(expire.ID, "accepted")
	if diff := cmp.Diff([]string{"0 0 0"}, f.strings(held)); diff != "" {
		t.Errorf("the hold has not ended: %s", diff)
	}
	f.verify()
	replay("accepted", "0 0 0")

	// Nothing is left to be done about an expire that has an outcome, where it is passed over now.
	if _, err := f.move(0, writtenLog{f: f}); err != nil {
		t.Fatal(err)
	}
	if moved, err = f.move(int64(len(f.log)), writtenLog{f: f}); err != nil || moved.Failed+moved.Dead != 0 {
		t.Errorf("passed over what is settled: %+v, %v", moved, err)
	}
	f.verify()
	replay("accepted", "0 0 0")
}

// becomes compares an operation's outcome.
func (f *fixture) becomes(id ledger.OperationID, want string) {
	f.t.Helper()
	if got := f.outcome(id); got != want {
		f.t.Errorf("%s is %s, want %s", id, got, want)
	}
}
