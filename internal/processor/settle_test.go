package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

func TestPoisonDoesNotStopAPartition(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before, after := f.charge("before", 1), f.charge("after", 2)
	refused := f.charge("refused", 3)
	zero := f.encoded(refused)
	zero.Value = bytes.Replace(zero.Value, []byte(`"amount":3`), []byte(`"amount":0`), 1)
	elsewhere := f.charge("elsewhere", 4)
	elsewhere.Wallet = f.walletIn(1)
	elsewhere.ID = f.minter.OperationID(elsewhere.Identity())
	forged := f.charge("forged", 5)
	forged.ID = f.minter.RandomOperationID(forged.Wallet, [10]byte{1})
	f.append(
		f.encoded(before),
		record.Record{Key: []byte("k"), Value: []byte("not ours"), Time: f.clock},
		zero,
		f.encoded(elsewhere),
		f.encoded(forged),
		record.Record{Time: f.clock},
		f.encoded(after),
	)
	if got := f.settler(f.store).Settle(t.Context(), f.batch(f.claim())); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	for id, want := range map[ledger.OperationID]string{
		before.ID: "accepted", after.ID: "accepted", refused.ID: "processing_error",
		elsewhere.ID: "pending", forged.ID: "pending",
	} {
		if got := f.outcome(id); got != want {
			t.Errorf("operation %s is %s, want %s", id, got, want)
		}
	}
	places := f.strings("select log_offset::text || coalesce(' beside ' || operation_id::text, '') from dead_letters order by log_offset")
	want := []string{"2", "3 beside " + fmt.Sprintf("%x-%x-%x-%x-%x", refused.ID[:4], refused.ID[4:6], refused.ID[6:8], refused.ID[8:10], refused.ID[10:]), "4", "5", "6"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if got := f.nextOffset(); got != 8 {
		t.Errorf("next offset %d, want 8", got)
	}
	f.verify()
}

func TestRecordWhoseReadingPanicsIsADeadLetter(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	behind := f.charge("behind", 1)
	f.append(record.Record{Value: []byte("panic"), Time: f.clock}, f.encoded(behind))
	settler := f.decoding(f.store, func(r record.Record) (record.Decoded, error) {
		if string(r.Value) == "panic" {
			panic("as a decoder should not")
		}
		return record.Decode(r)
	})
	if got := settler.Settle(t.Context(), f.batch(f.claim())); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	if got := f.outcome(behind.ID); got != "accepted" {
		t.Errorf("the charge behind it is %s", got)
	}
	if diff := cmp.Diff([]string{"1"}, f.strings("select log_offset::text from dead_letters")); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	f.verify()
}

func TestReplayOfASettledBatchChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range keys(10) {
		f.append(f.encoded(f.charge(key, 10)))
	}
	settler, batch := f.settler(f.store), f.batch(f.claim())
	for range 3 { // as after a crash between COMMIT and Ack
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
			t.Fatal(got)
		}
	}
	if got := f.balance(); got != 900 {
		t.Errorf("balance %d, want 900", got)
	}
	f.verify()
}

func TestCommitWhoseAnswerIsLostIsOurOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("k", 10)))
	lost := errors.New("connection lost")
	store := &faulty{Store: f.store, after: func(processor.Slice) error { return lost }}
	settler, batch := f.settler(store), f.batch(f.claim())
	if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultAgain || !errors.Is(got.Cause, lost) {
		t.Fatalf("got %v; want only the lost connection", got)
	}
	if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
		t.Fatalf("the same batch again: %v", got)
	}
	if got := f.balance(); got != 990 {
		t.Errorf("balance %d, want 990", got)
	}
	f.verify()
}

func TestBatchGoesOnBehindWhatWasSettled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	claim := f.claim()
	settler := f.settler(f.store)
	f.append(f.encoded(f.charge("first", 10)))
	if got := settler.Settle(t.Context(), f.batch(claim)); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	f.append(f.encoded(f.charge("second", 20)))
	if got := settler.Settle(t.Context(), f.batch(claim)); got.Kind != processor.ResultSettled { // from the same offset, longer
		t.Fatal(got)
	}
	if got := f.balance(); got != 970 {
		t.Errorf("balance %d, want 970", got)
	}
	f.verify()
}

func TestOwnerWhoLostThePartitionIsFenced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	zombie := f.batch(f.claim())
	f.claim()
	settler := f.settler(f.store)
	if got := settler.Settle(t.Context(), zombie); got.Kind != processor.ResultFenced || !errors.Is(got.Cause, processor.ErrFenced) {
		t.Errorf("got %v; want a fence", got)
	}
	if got := f.balance(); got != 0 {
		t.Errorf("balance %d, want 0", got)
	}
	if got := f.nextOffset(); got != 0 {
		t.Errorf("next offset %d, want 0", got)
	}
}

func TestProgressElsewhereHalts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("one", 1)), f.encoded(f.charge("two", 1)))
	claim := f.claim()
	if got := f.settler(f.store).Settle(t.Context(), f.batch(claim)); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	for want, batch := range map[error]processor.Batch{
		processor.ErrProgress: {Claim: claim, From: 0, To: 1}, // it is further than this batch
		processor.ErrRestored: {Claim: claim, From: 5, To: 6}, // what comes before it was settled, and is not
	} {
		if got := f.settler(f.store).Settle(t.Context(), batch); got.Kind != processor.ResultHalt || !errors.Is(got.Cause, want) {
			t.Errorf("got %v; want a halt for %v", got, want)
		}
	}
}

func TestNewerVersionHaltsBehindWhatCameBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	newer := f.encoded(f.charge("newer", 1))
	newer.Value = bytes.Replace(newer.Value, fmt.Appendf(nil, `"version":%d`, record.Version), fmt.Appendf(nil, `"version":%d`, record.Version+1), 1)
	f.append(f.encoded(f.charge("before", 10)), newer, f.encoded(f.charge("after", 20)))
	batch := f.batch(f.claim())
	got := f.settler(f.store).Settle(t.Context(), batch)
	if got.Kind != processor.ResultHalt || !strings.Contains(got.Cause.Error(), fmt.Sprintf("version %d", record.Version+1)) {
		t.Fatalf("got %v; want a halt", got)
	}
	if got := f.balance(); got != 990 {
		t.Errorf("balance %d, want 990", got)
	}
	if got := f.nextOffset(); got != 2 {
		t.Errorf("next offset %d, want 2, the newer record's", got)
	}
}

// refusing is the store, but with the error for every slice that is to decide the
// operation.
func (f *fixture) refusing(id ledger.OperationID, why error) *faulty {
	return &faulty{Store: f.store, before: func(s processor.Slice) error {
		if asRequest(s, id) {
			return fmt.Errorf("record operations: %w", why)
		}
		return nil
	}}
}

func TestRefusedDataAreFoundAndTheirNeighboursSettled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range keys(20) {
		f.append(f.encoded(f.charge(key, 10)))
	}
	bad := f.charge("key 7", 10)
	store := f.refusing(bad.ID, processor.ErrData)
	if got := f.settler(store).Settle(t.Context(), f.batch(f.claim())); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	if got := f.outcome(bad.ID); got != "processing_error" {
		t.Errorf("the refused operation is %s", got)
	}
	if got := f.balance(); got != 1000-19*10 {
		t.Errorf("balance %d, want %d", got, 1000-19*10)
	}
	if diff := cmp.Diff([]string{"8"}, f.strings("select log_offset::text from dead_letters")); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	f.verify()
}

func TestBrokenRuleHaltsOnTheOffender(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range keys(20) {
		f.append(f.encoded(f.charge(key, 10)))
	}
	bad := f.charge("key 7", 10)
	store := f.refusing(bad.ID, processor.ErrIntegrity)
	batch := f.batch(f.claim())
	if got := f.settler(store).Settle(t.Context(), batch); got.Kind != processor.ResultHalt || !errors.Is(got.Cause, processor.ErrIntegrity) {
		t.Fatalf("got %v; want a halt", got)
	}
	if got := f.nextOffset(); got != 8 {
		t.Errorf("next offset %d, want 8, the offender's", got)
	}
	if got := f.balance(); got != 1000-7*10 {
		t.Errorf("balance %d, want %d", got, 1000-7*10)
	}
	f.verify()
}

func TestTroubleOfTheMachineryIsNoOutcome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	charge := f.charge("k", 10)
	f.append(f.encoded(charge))
	down := errors.New("connection refused")
	broken := true
	store := &faulty{Store: f.store, before: func(processor.Slice) error {
		if broken {
			return down
		}
		return nil
	}}
	settler, batch := f.settler(store), f.batch(f.claim())
	for range 20 {
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultAgain || !errors.Is(got.Cause, down) {
			t.Fatalf("got %v; want only the trouble", got)
		}
	}
	if got := f.outcome(charge.ID); got != "pending" {
		t.Errorf("the charge is %s", got)
	}
	broken = false
	if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	if got := f.outcome(charge.ID); got != "accepted" {
		t.Errorf("the charge is %s", got)
	}
	f.verify()
}

// refusals is n own records that say nothing that can be decided.
func (f *fixture) refusals(n int) []record.Record {
	records := make([]record.Record, n)
	for i := range records {
		records[i] = f.encoded(f.charge(fmt.Sprintf("refusal %d", i), 3))
		records[i].Value = bytes.Replace(records[i].Value, []byte(`"amount":3`), []byte(`"amount":"3"`), 1)
	}
	return records
}

func TestFloodOfProcessingErrorsHaltsUntilAPersonActs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.refusals(3 * processor.FloodLimit)...)
	settler := f.settler(f.store)
	const halted = 1 + processor.FloodLimit + 1 // behind the top-up and one refusal too many
	for range 3 {
		batch := f.batch(f.claim())
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultHalt {
			t.Fatalf("got %v; want a halt", got)
		}
		if got := f.nextOffset(); got != halted {
			t.Fatalf("next offset %d, want %d", got, halted)
		}
		f.clock = f.clock.Add(2 * processor.FloodWindow) // time alone mends nothing
	}
	f.verify()
}

func TestProcessingErrorsFarApartAreNoFlood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	settler := f.settler(f.store)
	claim := f.claim()
	for _, r := range f.refusals(3 * processor.FloodLimit) {
		f.append(r)
		if got := settler.Settle(t.Context(), f.batch(claim)); got.Kind != processor.ResultSettled {
			t.Fatal(got)
		}
		claim.NextOffset = int64(len(f.log))
		f.clock = f.clock.Add(processor.FloodWindow/processor.FloodLimit + time.Second)
	}
}

func TestReplayOfOldRefusalsIsNoFlood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	settler := f.settler(f.store)
	f.append(f.refusals(processor.FloodLimit)...)
	if got := settler.Settle(t.Context(), f.batch(f.claim())); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	f.clock = f.clock.Add(2 * processor.FloodWindow)
	// The same requests arrive once more, and then some new ones.
	f.append(f.refusals(processor.FloodLimit)...)
	f.append(f.refusals(processor.FloodLimit + 5)[processor.FloodLimit:]...)
	batch := f.batch(f.claim())
	if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	f.verify()
}

// silent is a database that takes what it is sent and never answers.
type silent struct{}

func (silent) Settle(ctx context.Context, _ processor.Claim, _ processor.Slice) (processor.Tally, error) {
	<-ctx.Done()
	return processor.Tally{}, ctx.Err()
}

func TestDatabaseThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		minter, err := ledger.NewMinter([]byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		settler := processor.NewSettler(silent{}, record.Decode, minter,
			processor.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		batch := processor.Batch{Claim: processor.Claim{Partitions: 1}, To: 1, Records: make([]record.Record, 1)}
		got := settler.Settle(ctx, batch)
		if got.Kind != processor.ResultAgain || !errors.Is(got.Cause, context.DeadlineExceeded) {
			t.Errorf("got %v; want only the deadline", got)
		}
		if ctx.Err() != nil {
			t.Error("the attempt has no end of its own")
		}
	})
}
