package repair_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/proxytest"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

// writtenLog is the fixture's log as moving a progress reads it.
type writtenLog struct {
	f      *fixture
	most   int                    // records read at once
	before func(from int64) error // each read; nil: nothing
	locked func()                 // before the bounds are read, as a move does before each slice; nil: nothing
	lost   int                    // records at its end that are gone
	gap    int64                  // an offset that holds no record; 0: none
}

func (l writtenLog) Bounds(context.Context) (start, end int64, err error) {
	if l.locked != nil {
		l.locked()
	}
	return 0, int64(len(l.f.log) - l.lost), nil
}

func (l writtenLog) Hash(_ context.Context, offset int64) (*record.Hash, error) {
	if l.gap > 0 && offset == l.gap {
		return nil, nil
	}
	hash := l.f.log[offset].Hash()
	return &hash, nil
}

func (l writtenLog) Skip(_ context.Context, c processor.Claim, from, end int64) (processor.Slice, int64, error) {
	if l.before != nil {
		if err := l.before(from); err != nil {
			return processor.Slice{}, 0, err
		}
	}
	skipper := processor.NewSkipper(record.Decode, l.f.minter)
	slice := processor.Slice{From: from, To: min(from+int64(max(l.most, 1)), end)}
	for _, r := range l.f.log[from:slice.To] {
		if l.gap > 0 && r.Offset == l.gap {
			continue
		}
		slice.Items = append(slice.Items, skipper.Skip(r, c))
	}
	return slice, 0, nil
}

// waiting counts those who wait for a lock.
const waiting = "select count(*)::text from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

// await waits until the query counts n.
func (f *fixture) await(what, query string, n int) {
	f.t.Helper()
	const most = time.Minute
	for deadline := time.Now().Add(most); f.strings(query)[0] != fmt.Sprint(n); {
		if time.Now().After(deadline) {
			f.t.Fatalf("after %v: %s: %v", most, what, f.strings(query))
		}
	}
}

// losePatience returns when every claim that waits already would have ended a
// session of the services that is in its way: one that began to wait later, behind a
// stopped processor, has done so.
func (f *fixture) losePatience() {
	f.t.Helper()
	config, err := pgx.ParseConfig(f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "monedero-stopped"
	stopped, err := pgx.ConnectConfig(f.t.Context(), config)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = stopped.Close(context.WithoutCancel(f.t.Context())) }()
	if _, err := stopped.Exec(f.t.Context(), "begin; select from partition_progress where partition = 1 for update"); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	if _, err := f.store.Claim(ctx, topic, 1, processor.Memory{}); err != nil {
		f.t.Fatal("a claim behind a stopped processor: ", err)
	}
}

func (f *fixture) move(offset int64, log writtenLog) (repair.Moved, error) {
	return f.set(repair.Move{Offset: offset, By: "somebody@here", Reason: "a test"}, log)
}

func (f *fixture) set(m repair.Move, log writtenLog) (repair.Moved, error) {
	return f.setIn(f.t.Context(), m, log)
}

func (f *fixture) setIn(ctx context.Context, m repair.Move, log writtenLog) (repair.Moved, error) {
	setter, err := postgres.NewProgressSetter(f.t.Context(), f.url, f.store.Known())
	if err != nil {
		f.t.Fatal(err)
	}
	defer setter.Close(f.t.Context())
	return repair.SetProgress(ctx, setter, log, m)
}

// mixed puts six records of all sorts behind the top-up, the last one twice.
func (f *fixture) mixed() (to int64) {
	f.append(f.refusals(3)...)
	f.append(f.encoded(f.charge("good", 5)), record.Record{Value: []byte("not ours"), Time: f.clock})
	f.append(f.encoded(f.charge("good", 5)))
	return int64(len(f.log))
}

// progressOf is the epoch, the log, the offset and the goal of the progress.
const progressOf = "select concat_ws(' ', epoch, log, next_offset, goal, settled + duplicates + conflicts + dead + gaps) from partition_progress where partition = 0"

// A move goes slice by slice: what breaks it off between two leaves a progress that says
// where it is to come, a partition that nobody settles, and books that are right. The same
// move again goes on.
func TestAMoveIsBrokenOffAndGoesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := f.mixed()
	old := f.claim()
	ctx, stop := context.WithCancel(t.Context())
	move := repair.Move{Offset: to, By: "somebody@here", Reason: "a test"}
	first, err := f.setIn(ctx, move, writtenLog{f: f, most: 2, before: func(from int64) error {
		if from == 4 {
			stop()
			return ctx.Err()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "to come to offset 7") {
		t.Fatalf("got %v", err)
	}
	if first.To.Offset != 4 || first.Offsets != 4 || first.Failed != 4 {
		t.Errorf("broken off after %+v", first)
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("%d 1 4 7 0", first.Epoch)}, f.strings(progressOf)); diff != "" {
		t.Error(diff)
	}
	if err := f.holds(old); !errors.Is(err, processor.ErrFenced) {
		t.Errorf("the old claim: %v", err)
	}
	var unfinished *processor.UnfinishedMoveError
	if _, err := f.store.Claim(t.Context(), topic, 0, processor.Memory{}); !errors.As(err, &unfinished) || unfinished.Goal != to {
		t.Errorf("a claim in between: %v", err)
	}
	// A build that knows nothing of goals is refused by the table.
	if err := f.exec("update partition_progress set epoch = epoch + 1, owner = 'of an older build' where partition = 0"); err == nil ||
		!strings.Contains(err.Error(), "partition_progress_goal_check") {
		t.Errorf("a claim of an older build: %v", err)
	}
	if progress, err := f.store.Progress(t.Context()); err != nil || *progress[0].Goal != to || !strings.Contains(progress[0].Claim.Halt, "offset 7 is not finished") {
		t.Errorf("the partition halts for %q, %v", progress[0].Claim.Halt, err)
	}
	f.verify()
	here := move
	here.Anchor, here.Offset = repair.FromHere, 1
	if _, err := f.set(here, writtenLog{f: f}); !errors.Is(err, repair.ErrMove) || !strings.Contains(err.Error(), "give the offset itself") {
		t.Errorf("+1 of a move that is not finished: %v", err)
	}

	dry := move
	dry.DryRun = true
	if _, err := f.set(dry, writtenLog{f: f, most: 1, before: func(from int64) error {
		if from > 4 {
			return context.DeadlineExceeded
		}
		return nil
	}}); err == nil || strings.Contains(err.Error(), "to go on") {
		t.Errorf("a dry run that fails late: %v", err)
	}
	would, err := f.set(dry, writtenLog{f: f, most: 1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.set(move, writtenLog{f: f, most: 2})
	if err != nil || second.From.Offset != 4 || second.Offsets != 3 || second.Failed != 1 || second.Dead != 1 || second.Known != 1 || *second.Ends != to {
		t.Fatalf("went on as %+v, %v", second, err)
	}
	would.Epoch = second.Epoch
	if diff := cmp.Diff(would, second); diff != "" {
		t.Errorf("a dry run says otherwise: %s", diff)
	}
	const changes = "select concat_ws(' ', from_offset, to_offset, c.after->>'goal') from progress_changes p " +
		"join changes c on c.chain = p.partition and c.action = 'progress_set' and c.after->>'offset' = p.to_offset::text order by to_offset"
	if diff := cmp.Diff([]string{"0 2 7", "2 4 7", "4 6 7", "6 7"}, f.strings(changes)); diff != "" {
		t.Error(diff)
	}
	if c := f.claim(); c.NextOffset != to || c.Halt != "" {
		t.Errorf("claimed %+v", c)
	}
	if got := f.outcome(f.charge("good", 5).ID); got != "processing_error" {
		t.Errorf("a charge that was passed over is %s", got)
	}
	f.verify()
}

// A database that was restored to the middle of a move is recovered, and the move is not
// finished all the same.
func TestAMoveThatIsRecovered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := f.mixed()
	gone := errors.New("the broker is gone")
	broken := writtenLog{f: f, most: 2, before: func(from int64) error {
		if from == 2 {
			return gone
		}
		return nil
	}}
	if moved, err := f.move(to, broken); !errors.Is(err, gone) || moved.To.Offset != 2 {
		t.Fatalf("%+v, %v", moved, err)
	}
	progress, err := f.store.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := progress[0].Claim.Memory()
	known.Epoch, known.MovedEpoch, known.NextOffset = known.Epoch+5, known.Epoch+5, to
	found := repair.FindRestored(progress, map[int]processor.Memory{0: known})
	if len(found.Partitions) != 1 || found.Partitions[0].Again() != 5 {
		t.Fatalf("found %+v", found)
	}
	found.By, found.Reason = "somebody@here", "a test"
	if _, err := postgres.Recover(t.Context(), f.url, found); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Recover(t.Context(), f.url, found); !errors.Is(err, repair.ErrNotAsShown) {
		t.Errorf("once more: %v", err)
	}
	f.verify()
	var unfinished *processor.UnfinishedMoveError
	if _, err := f.store.Claim(t.Context(), topic, 0, known); !errors.As(err, &unfinished) {
		t.Errorf("a claim: %v", err)
	}
	if moved, err := f.move(to, writtenLog{f: f, most: 9}); err != nil || moved.Offsets != 5 {
		t.Errorf("%+v, %v", moved, err)
	}
	f.claim()
	f.verify()
}

// Between two slices a direct operation is done at once, and nobody claims the partition;
// while one is written, who wants to claim it waits, and ends nobody.
func TestWhatComesBetweenTwoSlices(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := f.mixed()
	claimed := make(chan error, 1)
	moved, err := f.move(to, writtenLog{f: f, most: 2, before: func(from int64) error {
		if from == 0 {
			go func() {
				_, err := f.store.Claim(context.WithoutCancel(t.Context()), topic, 0, processor.Memory{})
				claimed <- err
			}()
			f.await("the claim waits for the first slice", waiting, 1)
			f.losePatience()
			if n := f.strings(waiting)[0]; n != "1" {
				t.Errorf("%s wait for a lock after all patience is over", n)
			}
			return nil
		}
		var unfinished *processor.UnfinishedMoveError
		if _, err := f.store.Claim(t.Context(), topic, 0, processor.Memory{}); !errors.As(err, &unfinished) {
			t.Errorf("a claim before offset %d: %v", from, err)
		}
		f.apply(ledger.Request{Kind: ledger.KindFreeze})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	var unfinished *processor.UnfinishedMoveError
	if err := <-claimed; !errors.As(err, &unfinished) {
		t.Errorf("the claim that waited: %v", err)
	}
	// The top-up was not settled either: it fails like the others.
	if moved.Failed != 5 || moved.Dead != 1 || moved.Known != 1 || moved.Offsets != to {
		t.Errorf("moved %+v", moved)
	}
	f.verify()
}

// Who sets a progress that somebody else is moving stops that move.
func TestAMoveIsOvertaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := f.mixed()
	moved, err := f.move(to, writtenLog{f: f, most: 2, before: func(from int64) error {
		if from == 4 {
			_, err := f.move(4, writtenLog{f: f})
			return err
		}
		return nil
	}})
	if !errors.Is(err, repair.ErrMovedMeanwhile) || moved.To.Offset != 4 || strings.Contains(err.Error(), "to go on") {
		t.Errorf("the first came to %+v, %v", moved, err)
	}
	if next := f.claim().NextOffset; next != 4 {
		t.Errorf("the progress is at %d", next)
	}
	f.verify()
}

// A log that is cut, or made anew, between two slices ends the move there.
func TestAMoveInALogThatChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fixture){
		"cut":       func(f *fixture) { f.log = f.log[:4] },
		"made anew": func(f *fixture) { f.log[3] = record.Record{Value: []byte("another"), Offset: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			to := f.mixed()
			bounds := 0
			moved, err := f.move(to, writtenLog{f: f, most: 2, locked: func() {
				if bounds++; bounds == 3 { // two slices are done
					change(f)
				}
			}})
			if !errors.Is(err, repair.ErrMove) || moved.To.Offset != 4 {
				t.Errorf("came to %+v, %v", moved, err)
			}
			end := repair.Move{Offset: 4, NewLog: name == "made anew", By: "somebody@here", Reason: "a test"}
			if _, err := f.set(end, writtenLog{f: f, most: 9}); err != nil {
				t.Errorf("to end it there: %v", err)
			}
			f.claim()
			f.verify()
		})
	}
}

// A move into a new log that was broken off goes on without saying so again: it would
// begin yet another one, even where the log does not show that it is the same.
func TestAMoveIntoANewLogIsBrokenOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("a", 1)), f.encoded(f.charge("b", 1)))
	f.settled()
	f.log = nil
	f.append(record.Record{Value: []byte("another")}, record.Record{}, f.encoded(f.charge("c", 1)), f.encoded(f.charge("d", 1)))
	gone := errors.New("the broker is gone")
	newLog := repair.Move{Offset: 4, NewLog: true, By: "somebody@here", Reason: "a test"}
	if moved, err := f.set(newLog, writtenLog{f: f, most: 2, gap: 1, before: func(from int64) error {
		if from == 2 {
			return gone
		}
		return nil
	}}); !errors.Is(err, gone) || moved.To != (ledger.Place{Log: 2, Offset: 2}) {
		t.Fatalf("%+v, %v", moved, err)
	}
	if moved, err := f.set(newLog, writtenLog{f: f, most: 2, gap: 1}); !errors.Is(err, repair.ErrMove) || !strings.Contains(err.Error(), "without --new-log") {
		t.Errorf("the same again: %+v, %v", moved, err)
	}
	newLog.NewLog = false
	if moved, err := f.set(newLog, writtenLog{f: f, most: 2, gap: 1}); err != nil || moved.To != (ledger.Place{Log: 2, Offset: 4}) {
		t.Errorf("without --new-log: %+v, %v", moved, err)
	}
	f.verify()
}

// A move that changes nothing leaves nothing behind.
func TestAMoveFailsBeforeItsFirstSlice(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := f.mixed()
	old := f.claim()
	gone := errors.New("the broker is gone")
	moved, err := f.move(to, writtenLog{f: f, before: func(int64) error { return gone }})
	if !errors.Is(err, gone) || !cmp.Equal(moved, repair.Moved{}) {
		t.Errorf("got %+v, %v", moved, err)
	}
	if err := f.holds(old); err != nil {
		t.Error(err)
	}
	const written = "select count(*)::text from operations where reason is not null union all " +
		"select count(*)::text from dead_letters union all select count(*)::text from progress_changes"
	if diff := cmp.Diff([]string{"0", "0", "0"}, f.strings(written)); diff != "" {
		t.Error(diff)
	}
}

// holds says why the claim does not hold.
func (f *fixture) holds(c processor.Claim) error {
	f.t.Helper()
	lost, err := f.store.Holds(f.t.Context(), map[int]processor.Memory{c.Partition: c.Memory()})
	if err != nil {
		f.t.Fatal(err)
	}
	return lost[c.Partition]
}

// both runs a second move while the first one holds the lock, and returns what it
// came to.
func (f *fixture) both(first, second int64, lost int) (moved repair.Moved, err error) {
	f.t.Helper()
	done := make(chan struct{})
	if _, err := f.move(first, writtenLog{f: f, locked: func() {
		go func() {
			defer close(done)
			moved, err = f.move(second, writtenLog{f: f, most: 9, lost: lost})
		}()
		f.await("the second move waits for the first", waiting, 1)
	}}); err != nil {
		f.t.Fatal(err)
	}
	<-done
	return moved, err
}

// Two people who make a missing progress at once: the second one moves what the
// first one made.
func TestTwoPeopleMakeAProgress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.refusals(3)...)
	f.strings("delete from partition_progress where partition = 0")
	moved, err := f.both(1, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	from, to := ledger.Place{Log: 1, Offset: 1}, ledger.Place{Log: 1, Offset: 3}
	if moved.Made || moved.From != from || moved.To != to || moved.Offsets != 2 {
		t.Errorf("the second move came to %+v", moved)
	}
	const changes = "select coalesce(from_offset::text, 'none') || ' to ' || to_offset from progress_changes order by epoch"
	if diff := cmp.Diff([]string{"none to 1", "1 to 3"}, f.strings(changes)); diff != "" {
		t.Error(diff)
	}
	f.verify()
}

// A move that waited for one that went back knows how far settling had come before
// that: the log has lost what was settled there.
func TestTwoPeopleMoveAProgress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("a", 1)), f.encoded(f.charge("b", 1)), f.encoded(f.charge("c", 1)))
	f.settled()
	if moved, err := f.both(1, 2, 2); !errors.Is(err, repair.ErrMove) {
		t.Errorf("a move in a log that lost its tail: %+v, %v", moved, err)
	}
	if next := f.nextOffset(); next != 1 {
		t.Errorf("the progress is at %d", next)
	}
}

// What is known of the log is no new one: a command that is given once more, or for
// the wrong partition, does nothing.
func TestNewLogOfALogThatIsKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("a", 1)), f.encoded(f.charge("b", 1)))
	f.settled()
	newLog := repair.Move{Offset: 1, NewLog: true, By: "somebody@here", Reason: "a test"}
	if moved, err := f.set(newLog, writtenLog{f: f}); !errors.Is(err, repair.ErrMove) || !strings.Contains(err.Error(), "without --new-log") {
		t.Errorf("of the log that was settled: %+v, %v", moved, err)
	}
	// Another one now, and the same command twice.
	f.log = nil
	f.append(record.Record{Value: []byte("another")}, f.encoded(f.charge("c", 1)))
	if moved, err := f.set(newLog, writtenLog{f: f, lost: 1}); err != nil || moved.To != (ledger.Place{Log: 2, Offset: 1}) || moved.Dead != 1 {
		t.Errorf("of another log: %+v, %v", moved, err)
	}
	if moved, err := f.set(newLog, writtenLog{f: f}); !errors.Is(err, repair.ErrMove) {
		t.Errorf("once more: %+v, %v", moved, err)
	}
	f.settled()
	f.verify()
}

// A log whose tail is lost behind the progress holds the record that was settled last
// once the progress was set back; it is to become a new log all the same.
func TestNewLogWhereTheTailBehindTheProgressIsLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.encoded(f.charge("a", 1)), f.encoded(f.charge("b", 1)), f.encoded(f.charge("c", 1)))
	f.settled()
	if _, err := f.move(1, writtenLog{f: f}); err != nil {
		t.Fatal(err)
	}
	if moved, err := f.move(2, writtenLog{f: f, lost: 2}); !errors.Is(err, repair.ErrMove) {
		t.Errorf("without --new-log: %+v, %v", moved, err)
	}
	newLog := repair.Move{Offset: 2, NewLog: true, By: "somebody@here", Reason: "a test"}
	if moved, err := f.set(newLog, writtenLog{f: f, lost: 2}); err != nil || moved.To.Log != 2 {
		t.Errorf("with it: %+v, %v", moved, err)
	}
	f.verify()
}

// What was known before is not counted again.
func TestAMoveCountsWhatItWrote(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.append(f.refusals(1)...)
	f.append(record.Record{Value: []byte("not ours"), Time: f.clock})
	f.settled()
	for _, offset := range []int64{0, 3} {
		moved, err := f.move(offset, writtenLog{f: f, most: 2})
		if err != nil {
			t.Fatal(err)
		}
		if moved.Failed != 0 || moved.Dead != 0 || moved.Known != offset {
			t.Errorf("to %d: %+v", offset, moved)
		}
	}
	f.verify()
}

// The answer to the commit is lost: it may have been done, and the error says so.
func TestAMoveWhoseCommitIsNotAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	direct := f.url
	proxy, through := proxytest.StartURL(t, direct)
	f.url = through
	trap := proxy.ForsakeAt(proxytest.ToClient, proxytest.Before("COMMIT\x00"))
	_, err := f.move(1, writtenLog{f: f})
	if !errors.Is(err, repair.ErrMaybeMoved) || !strings.Contains(err.Error(), "monedero partitions") {
		t.Errorf("got %v", err)
	}
	select {
	case <-trap.Sprung():
	case <-time.After(time.Minute):
		t.Error("the answer to the commit was not lost")
	}
	f.url = direct
	if next := f.nextOffset(); next != 1 {
		t.Errorf("the progress is at %d", next)
	}
	f.strings("create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$")
	f.strings("create constraint trigger refuse after update on partition_progress deferrable initially deferred " +
		"for each row execute function refuse()")
	if _, err := f.move(1, writtenLog{f: f}); err == nil || errors.Is(err, repair.ErrMaybeMoved) {
		t.Errorf("a commit that is refused: %v", err)
	}
}
