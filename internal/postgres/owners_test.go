package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// owner is one of two processes that settle the same partition, each over a
// connection that can be cut.
type owner struct {
	store   *postgres.Store
	proxy   *proxy
	claim   processor.Claim
	claimed bool
	from    int64 // where it believes to stand
}

// owners is one run of two owners against one log, and what is true of it: whose
// the partition is, and how much of the log is settled.
type owners struct {
	*exercise
	all   [2]*owner
	log   []*processor.Item // from offset base on; nil: a gap
	base  int64
	epoch int64
	next  int64
	look  *pgx.Conn
}

func newOwners(t *rapid.T, w *world, look *pgx.Conn, all [2]*owner) *owners {
	o := &owners{exercise: newExercise(w), look: look}
	for i := range all {
		o.all[i] = &owner{store: all[i].store, proxy: all[i].proxy}
	}
	c := w.claim(exercisePartition)
	o.base, o.next, o.epoch = c.NextOffset, c.NextOffset, c.Epoch
	o.grow(t)
	return o
}

func (o *owners) end() int64 { return o.base + int64(len(o.log)) }

// grow appends to the log.
func (o *owners) grow(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "records") {
		if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
			o.log = append(o.log, nil)
			continue
		}
		item := o.item(t)
		item.Record = recordAt(o.end())
		o.log = append(o.log, &item)
	}
}

// read is a slice as the owner may have it in hand: from where it stands, or from
// before, as a batch that was delivered again.
func (o *owners) read(t *rapid.T, x *owner) processor.Slice {
	if x.from == o.end() {
		o.grow(t)
	}
	s := processor.Slice{From: x.from}
	if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
		s.From = rapid.Int64Range(max(o.base, x.from-5), x.from).Draw(t, "from")
	}
	s.To = rapid.Int64Range(s.From+1, o.end()).Draw(t, "to")
	for _, item := range o.log[s.From-o.base : s.To-o.base] {
		if item != nil {
			s.Items = append(s.Items, *item)
		}
	}
	return s
}

// owner draws one that has claimed the partition at some time.
func (o *owners) owner(t *rapid.T) *owner {
	x := o.all[rapid.IntRange(0, 1).Draw(t, "owner")]
	if !x.claimed {
		o.take(t, x)
	}
	return x
}

func (o *owners) take(t *rapid.T, x *owner) {
	c, err := x.store.Claim(o.world.t.Context(), topic, exercisePartition, processor.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	o.taken(t, x, c)
}

func (o *owners) taken(t *rapid.T, x *owner, c processor.Claim) {
	if c.Epoch <= o.epoch || c.NextOffset != o.next {
		t.Fatalf("claimed epoch %d at offset %d, want one above %d at offset %d", c.Epoch, c.NextOffset, o.epoch, o.next)
	}
	o.epoch = c.Epoch
	x.claim, x.claimed, x.from = c, true, c.NextOffset
}

// judge compares what a settle answered with what it must, and moves on.
func (o *owners) judge(t *rapid.T, x *owner, s processor.Slice, got processor.Tally, err error) {
	var moved *processor.MovedError
	switch {
	case x.claim.Epoch != o.epoch:
		if !errors.Is(err, processor.ErrFenced) {
			t.Fatalf("an owner of the past settles: %v", err)
		}
		x.claimed = false
	case s.From == o.next:
		if err != nil {
			t.Fatal(err)
		}
		o.next, x.from = s.To, s.To
		if diff := cmp.Diff(o.model.settle(o.world, x.claim, s), got); diff != "" {
			t.Fatal(diff)
		}
	case s.From < o.next && o.next <= s.To:
		if !errors.As(err, &moved) || moved.NextOffset != o.next {
			t.Fatalf("the progress is at %d, within the slice from %d to %d: %v", o.next, s.From, s.To, err)
		}
		x.from = o.next
	default:
		if !errors.Is(err, processor.ErrProgress) {
			t.Fatalf("the progress is at %d, the slice from %d to %d: %v", o.next, s.From, s.To, err)
		}
	}
}

func (o *owners) settle(t *rapid.T) {
	x := o.owner(t)
	s := o.read(t, x)
	tally, err := x.store.Settle(o.world.t.Context(), x.claim, s)
	o.judge(t, x, s, tally, err)
}

// crash settles over a connection that is cut: after so many bytes, or in place of
// the answer to the commit. Then either all of the slice is there or nothing.
func (o *owners) crash(t *rapid.T) {
	x := o.owner(t)
	s := o.read(t, x)
	if rapid.Bool().Draw(t, "at the commit") {
		x.proxy.armed.Store(true)
	} else {
		x.proxy.quota.Store(rapid.Int64Range(1, 12_000).Draw(t, "bytes"))
	}
	tally, err := x.store.Settle(o.world.t.Context(), x.claim, s)
	x.proxy.armed.Store(false)
	x.proxy.quota.Store(0)
	var moved *processor.MovedError
	if err == nil || errors.Is(err, processor.ErrFenced) || errors.Is(err, processor.ErrProgress) || errors.As(err, &moved) {
		o.judge(t, x, s, tally, err)
		return
	}
	if errors.Is(err, processor.ErrData) || errors.Is(err, processor.ErrIntegrity) {
		t.Fatalf("a lost connection was taken for %v", err)
	}
	// The process comes back as it was, or starts anew.
	x.claimed = x.claimed && rapid.Bool().Draw(t, "lives")
	switch next := o.progress(t); {
	case next == o.next:
	case next == s.To && s.From == o.next && x.claim.Epoch == o.epoch:
		o.next = next
		o.model.settle(o.world, x.claim, s)
	default:
		t.Fatalf("the progress is at %d; it was at %d, and the slice from %d to %d", next, o.next, s.From, s.To)
	}
}

// race claims with one owner while the other one settles.
func (o *owners) race(t *rapid.T) {
	x := o.owner(t)
	other := o.all[0]
	if other == x {
		other = o.all[1]
	}
	s := o.read(t, x)
	type answer struct {
		claim processor.Claim
		err   error
	}
	claimed := make(chan answer, 1)
	go func() {
		c, err := other.store.Claim(o.world.t.Context(), topic, exercisePartition, processor.Memory{})
		claimed <- answer{c, err}
	}()
	tally, err := x.store.Settle(o.world.t.Context(), x.claim, s)
	a := <-claimed
	if a.err != nil {
		t.Fatal(a.err)
	}
	if errors.Is(err, processor.ErrFenced) {
		o.taken(t, other, a.claim)
		o.judge(t, x, s, tally, err)
		return
	}
	o.judge(t, x, s, tally, err)
	o.taken(t, other, a.claim)
}

// progress is where the partition stands once nobody is about to move it.
func (o *owners) progress(t *rapid.T) (next int64) {
	const query = "select next_offset from partition_progress where partition = $1 for update"
	if err := o.look.QueryRow(context.WithoutCancel(o.world.t.Context()), query, exercisePartition).Scan(&next); err != nil {
		t.Fatal(err)
	}
	return next
}

func (o *owners) standsWhereItMust(t *rapid.T) {
	if next := o.progress(t); next != o.next {
		t.Fatalf("the progress is at %d, want %d", next, o.next)
	}
}

// Two owners claim, settle, crash, lose answers, come back from the past and
// deliver again what was settled, in any order and at the same time. Whatever
// they do, each record counts once, in its order.
func TestTwoOwnersAgainstModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look := w.schemaOwner()
	var all [2]*owner
	for i := range all {
		p, address := startProxy(t, w.url)
		store, err := postgres.Connect(t.Context(), address, postgres.Options{Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		all[i] = &owner{store: store, proxy: p}
	}
	rapid.Check(t, func(r *rapid.T) {
		o := newOwners(r, w, look, all)
		r.Repeat(map[string]func(*rapid.T){
			"claim":  func(r *rapid.T) { o.take(r, o.all[rapid.IntRange(0, 1).Draw(r, "owner")]) },
			"settle": o.settle,
			"again":  o.settle, // more often than the rest
			"crash":  o.crash,
			"race":   o.race,
			"":       o.standsWhereItMust,
		})
		o.compare(r)
	})
	w.verified()
}
