package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

func TestSettleRecordsOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(1)
	shop := w.merchant(ledger.ClientID{})
	first := w.charge(wallet, shop, 300, "INV-1")
	again := w.charge(wallet, shop, 100, "INV-1")
	poor := w.charge(wallet, shop, 800, "INV-2")
	unknown := w.charge(walletID(1), shop, 1, "INV-3")

	tally := w.settle(1, request(w.topUp(wallet, 1000)), request(first), request(again), request(poor), request(unknown), dead())
	want := processor.Tally{Settled: 5, Dead: 1, Outcomes: map[processor.OutcomeLabel]int{
		{Kind: ledger.KindTopUp}:  1,
		{Kind: ledger.KindCharge}: 1,
		{Kind: ledger.KindCharge, Reason: ledger.ReasonDuplicateInvoice}:  1,
		{Kind: ledger.KindCharge, Reason: ledger.ReasonInsufficientFunds}: 1,
		{Kind: ledger.KindCharge, Reason: ledger.ReasonMandateRequired}:   1,
	}}
	if diff := cmp.Diff(want, tally); diff != "" {
		t.Error(diff)
	}
	got := w.decided(first)
	if diff := cmp.Diff(*first, got.Request); diff != "" {
		t.Error(diff)
	}
	if got.Sequence != 3 || got.BalanceAfter != 700 || got.Place != (ledger.Place{Log: 1, Offset: 1}) || got.Owner.IsZero() {
		t.Errorf("charge: %+v", got)
	}
	if d := w.decided(again); d.DuplicateOf != first.ID || d.Sequence != 4 {
		t.Errorf("second charge of the invoice: %+v", d)
	}
	if d := w.decided(unknown); d.Sequence != 0 || !d.Owner.IsZero() {
		t.Errorf("charge of an unknown wallet: %+v", d)
	}
	stored, err := w.store.Wallet(t.Context(), wallet)
	if err != nil || stored.Balance != 700 || stored.Sequence != 5 {
		t.Errorf("wallet: %+v, %v", stored, err)
	}
	balances, err := w.store.Balances(t.Context(), shop)
	if err != nil || len(balances) != 1 || balances[0].Amount != "300" {
		t.Errorf("balances: %v, %v", balances, err)
	}
	claim := w.claim(1)
	last := recordAt(5).Hash()
	if claim.NextOffset != 6 || *claim.LastRecord != last || claim.Partitions != partitions || claim.ClusterID != clusterID {
		t.Errorf("claim: %+v", claim)
	}
	report := w.verified()
	if report.Operations != 6 || report.Offsets != 6 || report.DeadLetters != 1 || report.Wallets != 1 {
		t.Errorf("report: %+v", report)
	}
}

// A redelivered slice changes nothing but is told apart from trouble.
func TestSettleAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	claim := w.claim(0)
	s := slice(0, request(w.topUp(wallet, 10)), request(w.topUp(wallet, 20)), request(w.topUp(wallet, 30)))
	part := processor.Slice{From: 0, To: 2, Items: s.Items[:2]}
	if _, err := w.store.Settle(t.Context(), claim, part); err != nil {
		t.Fatal(err)
	}
	var moved *processor.MovedError
	if _, err := w.store.Settle(t.Context(), claim, s); !errors.As(err, &moved) || moved.NextOffset != 2 {
		t.Fatalf("a part was settled: %v", err)
	}
	rest := processor.Slice{From: 2, To: 3, Items: s.Items[2:]}
	if _, err := w.store.Settle(t.Context(), claim, rest); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Settle(t.Context(), claim, rest); !errors.As(err, &moved) || moved.NextOffset != 3 {
		t.Fatalf("all was settled: %v", err)
	}
	if _, err := w.store.Settle(t.Context(), claim, processor.Slice{From: 9, To: 10}); !errors.Is(err, processor.ErrRestored) {
		t.Fatalf("a slice from beyond the progress: %v", err)
	}
	if _, err := w.store.Settle(t.Context(), claim, processor.Slice{From: 0, To: 2}); !errors.Is(err, processor.ErrProgress) {
		t.Fatalf("a slice from before the progress: %v", err)
	}
	if got, _ := w.store.Wallet(t.Context(), wallet); got.Balance != 60 {
		t.Errorf("balance %d", got.Balance)
	}
	w.verified()
}

func TestSettleIsFencedOffByALaterClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	zombie := w.claim(0)
	w.claim(0)
	if _, err := w.store.Settle(t.Context(), zombie, slice(0, request(w.topUp(wallet, 10)))); !errors.Is(err, processor.ErrFenced) {
		t.Fatalf("a zombie settles: %v", err)
	}
	if got, _ := w.store.Wallet(t.Context(), wallet); got.Balance != 0 {
		t.Errorf("balance %d", got.Balance)
	}
	w.verified()
}

func TestClaimNeedsProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.store.Claim(t.Context(), topic, partitions, processor.Memory{}); !errors.Is(err, processor.ErrNoProgress) {
		t.Errorf("a partition that is not there: %v", err)
	}
	if _, err := w.store.Claim(t.Context(), "other", 0, processor.Memory{}); !errors.Is(err, processor.ErrNoProgress) {
		t.Errorf("another topic: %v", err)
	}
}

// Why a partition halts is kept until its owner says that it goes on, or a person
// sets the progress; who lost the partition says nothing any more.
func TestNoteHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noted := func() string {
		t.Helper()
		list, err := w.store.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if (list[0].Claim.Halt != "") == list[0].HaltedAt.IsZero() {
			t.Errorf("halted at %v: %q", list[0].HaltedAt, list[0].Claim.Halt)
		}
		return list[0].Claim.Halt
	}
	first := w.claim(0)
	for _, cause := range []string{"a \x00 cause", "another one", ""} {
		if err := w.store.NoteHalt(t.Context(), first, cause); err != nil {
			t.Fatal(err)
		}
		if got, want := noted(), strings.ReplaceAll(cause, "\x00", "?"); got != want {
			t.Errorf("noted %q, want %q", got, want)
		}
	}
	if err := w.store.NoteHalt(t.Context(), first, strings.Repeat("é", 5000)); err != nil || len(noted()) > 1000 {
		t.Error("a long cause:", err, len(noted()))
	}
	second := w.claim(0)
	if second.Halt == "" || second.Halt != noted() {
		t.Errorf("the next claim does not say why: %q", second.Halt)
	}
	if err := w.store.NoteHalt(t.Context(), first, ""); !errors.Is(err, processor.ErrFenced) || noted() == "" {
		t.Error("who lost the partition says that it goes on:", err)
	}
}

// Data that Postgres refuses is told from trouble, and leaves nothing behind.
func TestSettleRefusesPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	claim := w.claim(0)
	nul := w.topUp(wallet, 1)
	nul.Description = "a\x00b"
	unreceived := w.topUp(wallet, 1)
	unreceived.ReceivedAt = unreceived.ApplyBefore
	late := w.topUp(wallet, 1)
	late.ApplyBefore = late.ReceivedAt.AddDate(10_000, 0, 0)
	for name, poison := range map[string]*ledger.Request{"NUL": nul, "no time of receipt": unreceived, "far future": late} {
		_, err := w.store.Settle(t.Context(), claim, slice(0, request(w.topUp(wallet, 1)), request(poison)))
		if !errors.Is(err, processor.ErrData) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Zero amounts are refused long before; here the table is the second guard.
	broken := w.topUp(wallet, ledger.MaxAmount)
	broken.Amount++
	broken.Kind = ledger.KindTopUp
	_, err := w.store.Settle(t.Context(), claim, slice(0, request(broken), request(w.topUp(wallet, 1))))
	if err == nil || errors.Is(err, processor.ErrData) || !errors.Is(err, processor.ErrIntegrity) {
		t.Errorf("an amount that breaks the table's rule: %v", err)
	}
	if next, _ := w.store.NextOffset(t.Context(), 0); next != 0 {
		t.Errorf("progress %d", next)
	}
	w.verified()
}

func TestSettleRefusalsAndConflicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(2)
	shop := w.merchant(ledger.ClientID{})
	known := w.charge(wallet, shop, 5, "INV-1")
	other := *known
	other.Amount = 6
	bare := w.minted(ledger.Request{Kind: ledger.KindCharge, Wallet: wallet, Merchant: shop, Invoice: "INV-9"})
	items := func() []processor.Item {
		return []processor.Item{
			request(w.topUp(wallet, 100)), request(known), request(known), request(&other),
			refusal(bare.ID, wallet, "one"), refusal(bare.ID, wallet, "one"), refusal(bare.ID, wallet, "two"),
			refusal(known.ID, wallet, "three"), dead(),
		}
	}
	tally := w.settle(2, items()...)
	tally.Outcomes = nil
	if diff := cmp.Diff(processor.Tally{Settled: 3, Duplicates: 2, Conflicts: 3, Dead: 1}, tally); diff != "" {
		t.Error(diff)
	}
	if d := w.decided(known); d.Conflicts != 2 || d.Amount != 5 {
		t.Errorf("known: %+v", d)
	}
	d := w.decided(bare)
	if d.Conflicts != 1 || d.Reason != ledger.ReasonProcessingError || d.Sequence != 0 || d.Amount != 0 || d.Invoice != "" {
		t.Errorf("bare: %+v", d)
	}
	type row struct {
		Offset int64
		Value  string
		Header string
		Reason string
		Mine   bool
	}
	rows, err := w.schemaOwner().Query(t.Context(), `select log_offset, convert_from(value, 'UTF8'),
		encode(decode(headers->0->>'value', 'base64'), 'hex'), reason, operation_id is not null from dead_letters order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	var got []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.Offset, &r.Value, &r.Header, &r.Reason, &r.Mine); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	fault := "the amount is not one\uFFFD\uFFFD"
	want := []row{
		{4, "value 4", "00ff04", fault, true},
		{6, "value 6", "00ff06", fault, true},
		{7, "value 7", "00ff07", fault, true},
		{8, "value 8", "00ff08", "not ours", false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.verified()
}

// Going back in the log, as an operator may, changes nothing but the counts.
func TestReplayOfTheSameLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(2)
	known := w.topUp(wallet, 100)
	other := *known
	other.Amount = 6
	bare := w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: wallet})
	items := []processor.Item{request(known), request(&other), refusal(bare.ID, wallet, "one"), dead(), request(w.topUp(wallet, 1))}
	w.settle(2, items...)
	before := dump(t, w)
	_, err := w.schemaOwner().Exec(t.Context(), `update partition_progress set first_offset = 0, next_offset = 0, settled = 0,
		duplicates = 0, conflicts = 0, dead = 0, gaps = 0, last_record = null where partition = 2`)
	if err != nil {
		t.Fatal(err)
	}
	tally := w.settle(2, items...)
	if tally.Settled != 0 || tally.Duplicates != 3 || tally.Conflicts != 1 || tally.Dead != 1 {
		t.Errorf("tally: %+v", tally)
	}
	if diff := cmp.Diff(before, dump(t, w)); diff != "" {
		t.Error(diff)
	}
	w.verified()
}

// dump is everything that a replay must not change.
func dump(t *testing.T, w *world) []string {
	t.Helper()
	var text []string
	for _, table := range []string{"operations", "wallets", "account_balances", "holds", "mandates", "dead_letters", "conflicts"} {
		rows, err := w.schemaOwner().Query(t.Context(), "select x::text from "+table+" x order by 1")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			text = append(text, table+" "+row)
		}
	}
	return text
}

func TestSettleCountsGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(3)
	claim := w.claim(3)
	s := slice(2, request(w.topUp(wallet, 1)))
	s.From, s.To = 0, 5 // as a compacted or transactional log would have it
	tally, err := w.store.Settle(t.Context(), claim, s)
	if err != nil || tally.Settled != 1 || tally.Gaps != 4 {
		t.Fatalf("%+v, %v", tally, err)
	}
	claim = w.claim(3)
	if claim.NextOffset != 5 || claim.LastRecord != nil {
		t.Errorf("claim: %+v", claim)
	}
	if tally, err = w.store.Settle(t.Context(), claim, processor.Slice{From: 5, To: 9}); err != nil || tally.Gaps != 4 {
		t.Fatalf("only gaps: %+v, %v", tally, err)
	}
	w.verified()
}

// Whatever a record holds, there is a dead letter for it.
func TestDeadLettersTakeAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claim := w.claim(0)
	s := slice(0, processor.Item{Fault: strings.Repeat("ü", 3000)}, processor.Item{})
	s.Items[0].Record.Key, s.Items[0].Record.Value, s.Items[0].Record.Headers = nil, nil, nil
	s.Items[0].Record.Time = s.Items[0].Record.Time.AddDate(300_000, 0, 0)
	s.Items[1].Record.Headers = []record.Header{{Key: "\x00\xff", Value: nil}}
	s.Items[1].Record.Value = []byte{0, 0xff}
	tally, err := w.store.Settle(t.Context(), claim, s)
	if err != nil || tally.Dead != 2 {
		t.Fatalf("%+v, %v", tally, err)
	}
	w.verified()
}

// TestClaimOfARestoredProgress: a claim that knows more than the progress changes
// nothing, so that the next one fails too.
func TestClaimOfARestoredProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle(0, dead(), dead())
	claim := w.claim(0)
	known := claim.Memory()
	if known.NextOffset != 2 || known.MovedEpoch >= known.Epoch || known.History != 1 {
		t.Fatalf("it knows %+v", known)
	}
	for name, behind := range map[string]processor.Memory{
		"a later epoch":                  {Epoch: known.Epoch + 1, MovedEpoch: known.MovedEpoch, NextOffset: 2},
		"a later offset":                 {Epoch: known.Epoch, MovedEpoch: known.MovedEpoch, NextOffset: 3},
		"a lower offset of a later move": {Epoch: known.Epoch, MovedEpoch: known.Epoch, NextOffset: 1},
	} {
		if _, err := w.store.Claim(t.Context(), topic, 0, behind); !errors.Is(err, processor.ErrRestored) {
			t.Errorf("%s: %v", name, err)
		}
		lost, err := w.store.Holds(t.Context(), map[int]processor.Memory{0: behind, 1: w.claim(1).Memory()})
		if err != nil || len(lost) != 1 || !errors.Is(lost[0], processor.ErrRestored) {
			t.Errorf("%s: %v, %v", name, lost, err)
		}
	}
	if lost, err := w.store.Holds(t.Context(), map[int]processor.Memory{0: known}); err != nil || len(lost) != 0 {
		t.Errorf("the claim is lost: %v, %v", lost, err)
	}
	if again, err := w.store.Claim(t.Context(), topic, 0, known); err != nil || again.Epoch <= known.Epoch {
		t.Errorf("epoch %d after %d: %v", again.Epoch, known.Epoch, err)
	}
}
