package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/proxytest"
)

// neighbours are partitions that settle a top-up each at the same time.
func neighbours(t *testing.T, w *world) []*turn {
	t.Helper()
	turns := make([]*turn, partitions)
	for p := range turns {
		wallet := w.wallet(p)
		turns[p] = &turn{
			ctx: t.Context(), x: &owner{store: w.store, claim: w.claim(p)},
			slice: slice(0, request(w.topUp(wallet, 1)), request(w.topUp(wallet, 2)), request(w.topUp(wallet, 4))),
		}
	}
	return turns
}

func TestSettlesTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turns := neighbours(t, w)
	settleWithin(10*time.Second, turns)
	for p, n := range turns {
		if n.err != nil || n.tally.Settled != 3 {
			t.Errorf("partition %d: %+v, %v", p, n.tally, n.err)
		}
	}
	if got := w.store.JointStats(); got.Settles != 1 || got.Slices != partitions || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
	w.verified()
}

// Somebody holds what one partition needs. The others do not wait for it.
func TestNoPartitionWaitsForTheLocksOfAnother(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"progress": "select from partition_progress where partition = 1 for update",
		"wallet":   "select from wallets where partition = 1 for update",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			turns := neighbours(t, w)
			tx, err := w.schemaOwner().Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
			hindered := make(chan bool)
			go func() {
				n := turns[1]
				n.tally, n.err = n.x.store.Settle(n.ctx, n.x.claim, n.slice)
				close(hindered)
			}()
			w.await("select count(*) = 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
			var wg sync.WaitGroup
			for _, n := range []*turn{turns[0], turns[2], turns[3]} {
				wg.Go(func() { n.tally, n.err = n.x.store.Settle(n.ctx, n.x.claim, n.slice) })
			}
			wg.Wait()
			select {
			case <-hindered:
				t.Error("the one that is hindered did not wait")
			default:
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-hindered
			for p, n := range turns {
				if n.err != nil || n.tally.Settled != 3 {
					t.Errorf("partition %d: %+v, %v", p, n.tally, n.err)
				}
			}
			w.verified()
		})
	}
}

// behind is a store that reaches the database through a proxy.
func (w *world) behind() (*proxytest.Proxy, *postgres.Store) {
	w.t.Helper()
	proxy, through := proxytest.StartURL(w.t, w.url)
	store, err := postgres.Connect(w.t.Context(), through, postgres.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(store.Close)
	return proxy, store
}

// The connection of a joint settle goes silent. Its partitions go on without it, and long before a settle that
// is alone would give up.
func TestAJointSettleThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy, store := w.behind()
	turns := neighbours(t, w)
	for _, n := range turns {
		n.x.store = store
	}
	trap := proxy.HoldAt(proxytest.ToClient, proxytest.Before("COMMIT\x00"))
	started := time.Now()
	settleWithin(10*time.Second, turns)
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("they went on after %v", took)
	}
	trap.Release()
	committedUnheard(t, turns)
	w.verified()
}

// committedUnheard wants that a joint settle was committed, and that each of its portions found out alone.
func committedUnheard(t *testing.T, turns []*turn) {
	t.Helper()
	for p, n := range turns {
		var moved *processor.MovedError
		if !errors.As(n.err, &moved) || moved.NextOffset != 3 {
			t.Errorf("partition %d: %v", p, n.err)
		}
	}
}

// A commit that takes longer than a joint settle may is not broken off: where it waits for a standby, that would
// make visible what the standby does not have. Each waits for it alone.
func TestACommitThatTakesLongIsNotBrokenOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turns := neighbours(t, w)
	owner := w.schemaOwner()
	for _, sql := range []string{
		"create function slow_commit() returns trigger language plpgsql as 'begin perform pg_sleep(4); return null; end'",
		"create constraint trigger slow_commit after insert on operations deferrable initially deferred for each row " +
			"when (new.partition = 0 and new.amount = 4) execute function slow_commit()",
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	settleWithin(10*time.Second, turns)
	committedUnheard(t, turns)
	if _, err := owner.Exec(t.Context(), "drop trigger slow_commit on operations; drop function slow_commit"); err != nil {
		t.Fatal(err)
	}
	w.verified()
}

// Whoever gives up while a commit is under way asks the server for nothing: to cancel one that waits for a standby
// makes visible what the standby does not have.
func TestACommitIsNotCancelledByWhoGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy, store := w.behind()
	claim := w.claim(0)
	const cancelRequest = "\x04\xd2\x16\x2e" // 80877102
	cancelled := proxy.HoldAt(proxytest.ToServer, proxytest.Before(cancelRequest))
	proxy.HoldAt(proxytest.ToClient, proxytest.Before("COMMIT\x00"))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := store.Settle(ctx, claim, slice(0, request(w.topUp(w.wallet(0), 1)))); !errors.Is(err, context.Canceled) {
		t.Errorf("it gave up with %v", err)
	}
	select {
	case <-cancelled.Sprung():
		t.Error("the server was asked to cancel a commit")
	case <-time.After(time.Second):
	}
	proxy.Heal()
}

// Many operations that take long are broken off, for the commit is not on its way yet.
func TestManyOperationsComeBeforeTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop := w.wallet(0), w.merchant(ledger.ClientID{})
	items := make([]processor.Item, 200)
	for i := range items {
		items[i] = request(w.charge(wallet, shop, 1, ""))
	}
	claim, owner := w.claim(0), w.schemaOwner()
	for _, sql := range []string{
		"create function slow_copy() returns trigger language plpgsql as 'begin perform pg_sleep(4); return null; end'",
		"create trigger slow_copy before insert on operations for each statement execute function slow_copy()",
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.Settle(t.Context(), claim, slice(0, items...)); err != nil {
		t.Error(err)
	}
	if n := w.store.JointStats().Failures; n != 1 {
		t.Errorf("%d joint settles failed", n)
	}
}

// An item that cannot be stored fails its neighbours once. While it is looked for, its partition goes alone.
func TestAPoisonedSliceLeavesItsNeighboursAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turns := neighbours(t, w)
	bad := *turns[1].slice.Items[0].Request
	bad.ReceivedAt = time.Time{}
	turns[1].slice.Items[0].Request = &bad
	whole := turns[1].slice
	for next := int64(3); ; next++ { // until both are settled within the second for which it stays apart
		started := time.Now()
		settleWithin(time.Second, turns[1:3])
		before := w.store.JointStats()
		first, second := turns[1].err, turns[2].err
		turns[1].slice = slice(0, whole.Items[0]) // the half that whoever looks for it settles next
		turns[2].slice = slice(next, dead())
		settleAll(turns[1:3])
		for _, err := range []error{first, turns[1].err} {
			if !errors.Is(err, processor.ErrData) {
				t.Errorf("the one that cannot be stored: %v", err)
			}
		}
		if err := errors.Join(second, turns[2].err); err != nil {
			t.Errorf("its neighbour: %v", err)
		}
		if time.Since(started) > time.Second && !t.Failed() {
			turns[1].slice, turns[2].slice = whole, slice(next+1, dead())
			next++
			continue
		}
		if after := w.store.JointStats(); before.Failures == 0 || after.Failures != before.Failures {
			t.Errorf("%d joint settles failed, and then %d", before.Failures, after.Failures)
		}
		break
	}
	w.verified()
}
