package main

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
	"github.com/monedero/monedero/internal/service"
)

// letters puts dead letters into one partition, as if its records had been
// fetched: a good request that lies in the wrong one, one whose ID does not
// follow, and bytes that say nothing. The wallet is open.
func letters(t *testing.T, environ []string) (store *postgres.Store, lost, forged ledger.Request) {
	t.Helper()
	store, err := postgres.Connect(t.Context(), strings.TrimPrefix(environ[0], "DATABASE_URL="), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	now := time.Now().UTC().Truncate(time.Microsecond)
	client := ledger.Client{ID: ledger.ClientID{1}, Name: "Ada", CreatedAt: now}
	if _, _, err := store.CreateClient(t.Context(), client, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	wallet := ledger.WalletID{7}
	requests := []ledger.Request{
		{Kind: ledger.KindOpen, Wallet: wallet, Client: client.ID, Currency: "EUR", IdempotencyKey: "open"},
		{Kind: ledger.KindTopUp, Wallet: wallet, Amount: 5, Currency: "EUR", IdempotencyKey: "lost"},
		{Kind: ledger.KindTopUp, Wallet: wallet, Amount: 7, Currency: "EUR", IdempotencyKey: "forged"},
	}
	for i := range requests {
		requests[i].ReceivedAt, requests[i].Asker.Party = now, ledger.AsOperator()
		requests[i].ID = follows(t, requests[i])
	}
	requests[2].ID[15]++
	if _, _, err := store.Apply(t.Context(), requests[0]); err != nil {
		t.Fatal(err)
	}
	wrong := (wallet.Partition(16) + 1) % 16
	claim, err := store.Claim(t.Context(), "charges.requested", wrong, processor.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	slice := processor.Slice{To: 3, Items: []processor.Item{
		{Fault: "in the wrong partition"}, {Fault: "its ID does not follow"}, {Record: record.Record{Value: []byte{0xff}}, Fault: "not ours"},
	}}
	for i := range slice.Items {
		r := &slice.Items[i].Record
		r.Offset, r.Time = int64(i), now
		if i < 2 {
			if r.Value, r.Headers, err = record.Encode(requests[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := store.Settle(t.Context(), claim, slice); err != nil {
		t.Fatal(err)
	}
	return store, requests[1], requests[2]
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	place := first(t, environ)
	at := func(offset string) string { return strings.TrimSuffix(place, "0") + offset }

	page := must(t, environ, "dead-letters", "list", "--json", "--limit", "1", "--after", at("0"))
	if strings.Count(page, "\n") != 1 || !strings.Contains(page, `"at":"`+at("1")+`"`) {
		t.Errorf("a page is %s", page)
	}
	shown := must(t, environ, "dead-letters", "show", "--at", at("0"))
	for _, want := range []string{"in the wrong partition", lost.ID.String(), "ce_type", "value_base64"} {
		if !strings.Contains(shown, want) {
			t.Errorf("show does not name %s:\n%s", want, shown)
		}
	}

	refused := func(want string, line ...string) {
		t.Helper()
		if r := monedero(t, environ, append([]string{"dead-letters"}, line...)...); r.code != exitFailed || !strings.Contains(r.errors, want) {
			t.Errorf("%v: %+v; want %q", line, r, want)
		}
	}
	refused("there is no dead letter", "show", "--at", at("3"))
	refused("there is no dead letter", "discard", "--at", at("3"), "--reason", "x")
	refused("the topic has no such partition", "list", "--partition", "16")
	refused("the topic has no such partition", "list", "--partition", strconv.Itoa(1<<32))
	refused("give no key", "resubmit", "--at", at("0"), "--key", "k")
	refused("give a new idempotency key", "resubmit", "--at", at("1"))
	refused("can only be discarded", "resubmit", "--at", at("2"))

	must(t, environ, "dead-letters", "discard", "--at", at("2"), "--reason", "somebody's mistake")
	refused("discarded or submitted already", "discard", "--at", at("2"), "--reason", "again")
	if out := must(t, environ, "dead-letters", "resubmit", "--at", at("0")); !strings.Contains(out, lost.ID.String()) {
		t.Errorf("unchanged: %s", out)
	}
	refused("discarded or submitted already", "resubmit", "--at", at("0"))
	if out := must(t, environ, "dead-letters", "resubmit", "--at", at("1"), "--key", "found again"); strings.Contains(out, lost.ID.String()) {
		t.Errorf("as a new operation: %s", out)
	}
	refused("discarded or submitted already", "resubmit", "--at", at("1"), "--key", "another")
	if out := must(t, environ, "dead-letters", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("still open:\n%s", out)
	}
	if out := must(t, environ, "dead-letters", "list", "--all"); strings.Count(out, "\n") != 4 {
		t.Errorf("all:\n%s", out)
	}
	if out := must(t, environ, "dead-letters", "show", "--at", at("0")); !strings.Contains(out, `"submitted"`) {
		t.Errorf("what was done about it is not shown:\n%s", out)
	}
	settled(t, environ, store, lost.Wallet, 12)
	must(t, environ, "verify")
}

// Many dead letters are led out at once: those that match, after they were counted, and
// with somebody's yes.
func TestDeadLettersThatMatch(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	if r := monedero(t, environ, "dead-letters", "discard", "--because", "ID does not", "--reason", "x"); r.code != exitFailed ||
		!strings.Contains(r.out, "1 open dead letters match") || !strings.Contains(r.errors, "--yes goes on") {
		t.Errorf("without a terminal and a yes: %+v", r)
	}
	if out := must(t, environ, "dead-letters", "resubmit", "--from", "1h", "--dry-run"); !strings.Contains(out, "3 open dead letters match") {
		t.Errorf("a dry run says %q", out)
	}
	if out := must(t, environ, "dead-letters", "discard", "--until", "1h", "--reason", "x", "--yes"); !strings.Contains(out, "no open dead letter") {
		t.Errorf("of none it says %q", out)
	}
	if out := must(t, environ, "dead-letters", "list"); strings.Count(out, "\n") != 4 {
		t.Errorf("something was done about them:\n%s", out)
	}
	must(t, environ, "dead-letters", "discard", "--because", "ID does not", "--reason", "forged", "--yes")
	if out := must(t, environ, "dead-letters", "list", "--because", "ID does not"); strings.Count(out, "\n") != 1 {
		t.Errorf("after it was discarded:\n%s", out)
	}
	r := monedero(t, environ, "dead-letters", "resubmit", "--from", "1h", "--yes")
	if r.code != exitFailed || !strings.Contains(r.out, "1 are done with, 1 are left") || !strings.Contains(r.out, "cannot be read") {
		t.Errorf("of two, one of which says nothing: %+v", r)
	}
	settled(t, environ, store, lost.Wallet, 5)
}

// A submission whose end could not be noted is submitted once more under the same
// ID, and under no other one; it has one effect.
func TestDeadLetterSubmittedTwice(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	place := first(t, environ)
	database := strings.TrimPrefix(environ[0], "DATABASE_URL=")
	execute(t, database, "alter table changes add constraint refused check (action <> 'dead_letter_submitted')")
	r := monedero(t, environ, "dead-letters", "resubmit", "--at", place)
	if r.code != exitFailed || !strings.Contains(r.errors, "written, but") || !strings.Contains(r.errors, "harmless") {
		t.Errorf("where the end cannot be noted: %+v", r)
	}
	execute(t, database, "alter table changes drop constraint refused")
	if r := monedero(t, environ, "dead-letters", "discard", "--at", place, "--reason", "x"); r.code != exitFailed {
		t.Errorf("discarded what may have been submitted: %+v", r)
	}
	if r := monedero(t, environ, "dead-letters", "resubmit", "--at", place, "--key", "another"); r.code != exitFailed {
		t.Errorf("submitted under another key: %+v", r)
	}
	must(t, environ, "dead-letters", "resubmit", "--at", place)
	settled(t, environ, store, lost.Wallet, 5)
	must(t, environ, "verify")
}

// follows is the ID that follows from what the request says.
func follows(t *testing.T, r ledger.Request) ledger.OperationID {
	t.Helper()
	minter, err := ledger.NewMinter([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return minter.OperationID(r.Identity())
}

// first is the place of the first dead letter.
func first(t *testing.T, environ []string) string {
	t.Helper()
	return strings.Fields(strings.Split(must(t, environ, "dead-letters", "list"), "\n")[1])[0]
}

// decided settles the request in its wallet's partition, as if it had been fetched
// from there.
func decided(t *testing.T, store *postgres.Store, r ledger.Request) {
	t.Helper()
	claim, err := store.Claim(t.Context(), "charges.requested", r.Wallet.Partition(16), processor.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	slice := processor.Slice{From: claim.NextOffset, To: claim.NextOffset + 1, Items: []processor.Item{
		{Record: record.Record{Offset: claim.NextOffset, Time: r.ReceivedAt, Value: []byte("x")}, Request: &r},
	}}
	if _, err := store.Settle(t.Context(), claim, slice); err != nil {
		t.Fatal(err)
	}
}

// A caller who got no answer sends the same again under the same key. Then the
// letter is not to be submitted under another one.
func TestDeadLetterThatItsCallerSubmittedAgain(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	place := first(t, environ)
	decided(t, store, lost)
	onlyDiscarded(t, environ, place, nil, []string{"--key", "another"})
}

// onlyDiscarded wants the letter, whose operation was accepted, to be submitted with
// none of the flags.
func onlyDiscarded(t *testing.T, environ []string, place string, lines ...[]string) {
	t.Helper()
	for _, line := range lines {
		r := monedero(t, environ, append([]string{"dead-letters", "resubmit", "--at", place}, line...)...)
		if r.code != exitFailed || !strings.Contains(r.errors, "accepted already") {
			t.Errorf("%v: %+v", line, r)
		}
	}
	must(t, environ, "dead-letters", "discard", "--at", place, "--reason", "its caller did")
	must(t, environ, "verify")
}

// The letter's ID does not follow; its caller's retry, under the key that the letter
// came with, has the one that does, and was accepted.
func TestDeadLetterWhoseIDDoesNotFollowAndItsCallerSubmittedAgain(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, _, forged := letters(t, environ)
	place := strings.TrimSuffix(first(t, environ), "0") + "1"
	retry := forged
	retry.ID = follows(t, retry)
	decided(t, store, retry)
	onlyDiscarded(t, environ, place, []string{"--key", "another"}, []string{"--key", retry.IdempotencyKey})
}

// A submission that had no effect leaves the letter open: its operation failed, or
// another request came first under its key.
func TestDeadLetterWhoseSubmissionHadNoEffect(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, forged := letters(t, environ)
	failed := first(t, environ)
	taken := strings.TrimSuffix(failed, "0") + "1"
	must(t, environ, "dead-letters", "resubmit", "--at", taken, "--key", "taken")
	other := forged
	other.IdempotencyKey, other.Amount = "taken", 900
	other.ID = follows(t, other)
	decided(t, store, other)
	if r := monedero(t, environ, "dead-letters", "resubmit", "--at", taken, "--key", "taken"); !strings.Contains(r.errors, "the key belongs to") {
		t.Errorf("under the same key: %+v", r)
	}
	must(t, environ, "dead-letters", "resubmit", "--at", taken, "--key", "free")

	must(t, environ, "dead-letters", "resubmit", "--at", failed)
	late := lost
	late.ApplyBefore = lost.ReceivedAt.Add(-time.Minute)
	decided(t, store, late)
	if r := monedero(t, environ, "dead-letters", "resubmit", "--at", failed); !strings.Contains(r.errors, "give a new idempotency key") {
		t.Errorf("under the ID that failed: %+v", r)
	}
	must(t, environ, "dead-letters", "discard", "--at", failed, "--reason", "it failed, and that is well")
	must(t, environ, "verify")
}

// Of several people at once one decides what becomes of a letter.
func TestDeadLetterManyAtOnce(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	place := first(t, environ)
	at := func(offset string) string { return strings.TrimSuffix(place, "0") + offset }
	race := func(lines ...[]string) (done int) {
		results := make([]result, len(lines))
		var all sync.WaitGroup
		for i, line := range lines {
			all.Go(func() { results[i] = monedero(t, environ, append([]string{"dead-letters"}, line...)...) })
		}
		all.Wait()
		for _, r := range results {
			if r.code == 0 {
				done++
			}
		}
		return done
	}
	same := []string{"resubmit", "--at", at("0")}
	if n := race(same, same, same); n == 0 {
		t.Error("under its own ID: nobody submitted it")
	}
	if n := race([]string{"resubmit", "--at", at("1"), "--key", "a"}, []string{"resubmit", "--at", at("1"), "--key", "b"},
		[]string{"resubmit", "--at", at("1"), "--key", "c"}); n != 1 {
		t.Errorf("under keys of their own: %d submitted it", n)
	}
	if n := race([]string{"discard", "--at", at("2"), "--reason", "x"}, []string{"discard", "--at", at("2"), "--reason", "y"}); n != 1 {
		t.Errorf("%d discarded it", n)
	}
	settled(t, environ, store, lost.Wallet, 12)
	must(t, environ, "verify")
}

// Whoever comes after a submission that nobody knows the end of learns from the
// record under which key it went, and who it was.
func TestDeadLetterSubmissionIsTakenOver(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	place := strings.TrimSuffix(first(t, environ), "0") + "1"
	must(t, environ, "dead-letters", "resubmit", "--at", place, "--key", "the first")
	database := strings.TrimPrefix(environ[0], "DATABASE_URL=")
	execute(t, database, "set session_replication_role = replica; delete from changes where action = 'dead_letter_submitted'; "+
		"update change_chains e set (last_number, last_digest) = (select number, digest from changes c where c.chain = e.chain order by number desc limit 1)")
	shown := must(t, environ, "dead-letters", "show", "--at", place)
	if !strings.Contains(shown, `under the key \"the first\"`) || !strings.Contains(shown, `"by": "`+whoRuns()+`"`) {
		t.Errorf("neither key nor person:\n%s", shown)
	}
	for _, line := range [][]string{{"resubmit", "--key", "another"}, {"discard", "--reason", "x"}} {
		r := monedero(t, environ, append([]string{"dead-letters", line[0], "--at", place}, line[1:]...)...)
		if r.code != exitFailed || !strings.Contains(r.errors, "may have been submitted") {
			t.Errorf("%v: %+v", line, r)
		}
	}
	must(t, environ, "dead-letters", "resubmit", "--at", place, "--key", "the first")
	settled(t, environ, store, lost.Wallet, 7)
	must(t, environ, "verify")
}

// A person does not wait for a database that is away.
func TestDeadLettersWithoutADatabase(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/none", "KAFKA_BROKERS=127.0.0.1:1", "OPERATION_ID_SECRET=" + testSecret}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"dead-letters", "resubmit", "--at", "0/1/0"}, environ, &out, &errs); code != exitFailed || ctx.Err() != nil {
		t.Errorf("exit code %d, %v: %s", code, ctx.Err(), errs.String())
	}
}

// settled lets a processor work until the wallet has the balance. The partition of
// the letters halts meanwhile: their records were never in this topic.
func settled(t *testing.T, environ []string, store *postgres.Store, wallet ledger.WalletID, balance int64) {
	t.Helper()
	c, err := config.Load[config.Processor](with(environ, "ADMIN_ADDR="))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.RunProcessor(ctx, c, slog.New(slog.DiscardHandler)) }()
	var last ledger.Wallet
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last, err = store.Wallet(t.Context(), wallet); err != nil || last.Balance == balance {
			break
		}
	}
	cancel()
	if stopped := <-ended; err != nil || stopped != nil || last.Balance != balance {
		t.Fatalf("the balance is %d, not %d: %v, %v", last.Balance, balance, err, stopped)
	}
}

// A log that is settled twice, as one that was copied is, has each dead letter in
// two places. What is done about one is done about the other: neither the same key
// nor another one makes it two charges.
func TestDeadLetterInTwoPlaces(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, lost, _ := letters(t, environ)
	first, err := store.DeadLetters(t.Context(), repair.LetterFilter{Limit: 10})
	if err != nil || len(first) != 3 {
		t.Fatal(first, err)
	}
	claim, err := store.Claim(t.Context(), "charges.requested", first[0].At.Partition, processor.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	again := processor.Slice{From: 3, To: 6}
	for _, l := range first {
		l.Record.Offset += 3
		again.Items = append(again.Items, processor.Item{Record: l.Record, Fault: l.Reason})
	}
	if _, err := store.Settle(t.Context(), claim, again); err != nil {
		t.Fatal(err)
	}
	at := func(offset int64) string {
		place := first[0].At
		place.Offset = offset
		return place.String()
	}
	done := func(noted int64, line ...string) {
		t.Helper()
		want := "discarded or submitted already (" + at(noted) + ")"
		if r := monedero(t, environ, append([]string{"dead-letters"}, line...)...); r.code != exitFailed || !strings.Contains(r.errors, want) {
			t.Errorf("%v: %+v; want %q", line, r, want)
		}
	}
	must(t, environ, "dead-letters", "resubmit", "--at", at(0))
	done(0, "resubmit", "--at", at(3))
	must(t, environ, "dead-letters", "resubmit", "--at", at(4), "--key", "one")
	done(1, "resubmit", "--at", at(1), "--key", "another")
	done(1, "discard", "--at", at(1), "--reason", "x")
	must(t, environ, "dead-letters", "discard", "--at", at(2), "--reason", "nonsense")
	done(2, "discard", "--at", at(5), "--reason", "nonsense")
	if out := must(t, environ, "dead-letters", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("still open:\n%s", out)
	}
	if out := must(t, environ, "dead-letters", "show", "--at", at(3)); !strings.Contains(out, `"noted_at": "`+at(0)+`"`) {
		t.Errorf("what was done about the other is not shown:\n%s", out)
	}
	settled(t, environ, store, lost.Wallet, 12)
	done(0, "resubmit", "--at", at(3), "--key", "once more")
	must(t, environ, "verify")
}
