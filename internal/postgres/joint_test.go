package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/processor"
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
	settleAll(turns)
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
				settleAll(turns[1:2])
				close(hindered)
			}()
			time.Sleep(10 * time.Millisecond) // its settle waits by now
			settleAll([]*turn{turns[0], turns[2], turns[3]})
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

// An item that cannot be stored fails its neighbours once. While it is looked for, its partition goes alone.
func TestAPoisonedSliceLeavesItsNeighboursAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	turns := neighbours(t, w)
	good := *turns[1].slice.Items[1].Request
	bad := good
	bad.ReceivedAt = time.Time{}
	turns[1].slice.Items[1].Request = &bad
	settleAll(turns)
	for p, n := range turns {
		if p == 1 && !errors.Is(n.err, processor.ErrData) || p != 1 && n.err != nil {
			t.Errorf("partition %d: %v", p, n.err)
		}
	}
	before := w.store.JointStats()
	whole, other := turns[1].slice, turns[2]
	for i, want := range []error{nil, processor.ErrData} { // halves, as whoever looks for it settles
		turns[1].slice = slice(int64(i), whole.Items[i])
		other.slice = slice(int64(3+i), dead())
		settleAll([]*turn{turns[1], other})
		if !errors.Is(turns[1].err, want) || other.err != nil {
			t.Errorf("item %d: %v, its neighbour: %v", i, turns[1].err, other.err)
		}
	}
	if after := w.store.JointStats(); after.Failures != before.Failures {
		t.Errorf("%d joint settles failed", after.Failures-before.Failures)
	}
	w.verified()
}
