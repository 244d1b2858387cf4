package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync"
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

// owners is one run of two owners against the log of one partition, and what is true of it: whose
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

func newOwners(t *rapid.T, w *world, partition int, look *pgx.Conn, all [2]*owner) *owners {
	o := &owners{exercise: newExerciseIn(w, partition), look: look}
	for i := range all {
		o.all[i] = &owner{store: all[i].store, proxy: all[i].proxy}
	}
	c := w.claim(partition)
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

func (o *owners) take(t *rapid.T, x *owner) {
	c, err := x.store.Claim(o.world.t.Context(), topic, o.partition, processor.Memory{})
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

// inDoubt reports whether the error leaves open whether the slice was settled.
func inDoubt(err error) bool {
	var moved *processor.MovedError
	return err != nil && !errors.Is(err, processor.ErrFenced) && !errors.Is(err, processor.ErrProgress) && !errors.As(err, &moved)
}

// findOut looks whether a slice that is in doubt was settled: all of it or nothing.
func (o *owners) findOut(t *rapid.T, x *owner, s processor.Slice, err error) {
	if errors.Is(err, processor.ErrData) || errors.Is(err, processor.ErrIntegrity) {
		t.Fatalf("trouble was taken for %v", err)
	}
	switch next := o.progress(t); {
	case next == o.next:
	case next == s.To && s.From == o.next && x.claim.Epoch == o.epoch:
		o.next = next
		o.model.settle(o.world, x.claim, s)
	default:
		t.Fatalf("the progress is at %d; it was at %d, and the slice from %d to %d", next, o.next, s.From, s.To)
	}
}

// progress is where the partition stands once nobody is about to move it.
func (o *owners) progress(t *rapid.T) (next int64) {
	const query = "select next_offset from partition_progress where partition = $1 for update"
	if err := o.look.QueryRow(context.WithoutCancel(o.world.t.Context()), query, o.partition).Scan(&next); err != nil {
		t.Fatal(err)
	}
	return next
}

func (o *owners) standsWhereItMust(t *rapid.T) {
	if next := o.progress(t); next != o.next {
		t.Fatalf("the progress is at %d, want %d", next, o.next)
	}
}

// town is one run of two owners of several partitions, which settle at the same time.
type town struct {
	partitions []*owners
	stores     [2]*postgres.Store
	proxies    [2]*proxy
	dba        *pgx.Conn
}

// turn is what one partition settles at the same time as others.
type turn struct {
	o     *owners
	x     *owner
	ctx   context.Context //nolint:containedctx // of its Settle
	slice processor.Slice
	tally processor.Tally
	err   error
}

// draw lets some partitions of one owner have a slice in hand.
func (v *town) draw(t *rapid.T) (which int, turns []*turn) {
	which = rapid.IntRange(0, 1).Draw(t, "owner")
	for _, o := range v.partitions {
		if rapid.IntRange(0, 3).Draw(t, "stays out") == 0 {
			continue
		}
		x := o.all[which]
		if !x.claimed {
			o.take(t, x)
		}
		turns = append(turns, &turn{o: o, x: x, ctx: o.world.t.Context(), slice: o.read(t, x)})
	}
	return which, turns
}

// settleAll settles all of one owner at the same time, and as a rule together.
func settleAll(turns []*turn) { settleWithin(3*time.Millisecond, turns) }

// settleWithin waits so long for all of them to be ready: those that go alone never are.
func settleWithin(patience time.Duration, turns []*turn) {
	if len(turns) == 0 {
		return
	}
	release := turns[0].x.store.Gather(len(turns), patience)
	var wg sync.WaitGroup
	for _, n := range turns {
		wg.Go(func() { n.tally, n.err = n.x.store.Settle(n.ctx, n.x.claim, n.slice) })
	}
	release()
	wg.Wait()
}

func (n *turn) judge(t *rapid.T) { n.o.judge(t, n.x, n.slice, n.tally, n.err) }

// judgeBeside judges one beside which a joint settle was broken off. If that was committed all the same,
// who then goes alone finds its progress moved.
func (n *turn) judgeBeside(t *rapid.T) {
	var moved *processor.MovedError
	if errors.As(n.err, &moved) && n.slice.From == n.o.next && moved.NextOffset == n.slice.To {
		n.findOut(t)
		return
	}
	n.judge(t)
}

// judgeInDoubt judges one that was broken off itself.
func (n *turn) judgeInDoubt(t *rapid.T) {
	if inDoubt(n.err) {
		n.findOut(t)
		return
	}
	n.judgeBeside(t)
}

func (n *turn) findOut(t *rapid.T) {
	n.o.findOut(t, n.x, n.slice, n.err)
	n.x.from = n.o.next
}

func (v *town) settle(t *rapid.T) {
	_, turns := v.draw(t)
	settleAll(turns)
	for _, n := range turns {
		n.judge(t)
	}
}

// one of the turns is drawn.
func one(t *rapid.T, turns []*turn) *turn {
	if len(turns) == 0 {
		return nil
	}
	return rapid.SampledFrom(turns).Draw(t, "one")
}

// cancel ends the context of one of them at some moment. The others do not notice.
func (v *town) cancel(t *rapid.T) {
	_, turns := v.draw(t)
	leaver := one(t, turns)
	if leaver == nil {
		return
	}
	var cancel context.CancelFunc
	leaver.ctx, cancel = context.WithTimeout(leaver.ctx, time.Duration(rapid.IntRange(0, 8000).Draw(t, "microseconds"))*time.Microsecond)
	defer cancel()
	settleAll(turns)
	for _, n := range turns {
		if n == leaver {
			n.judgeInDoubt(t)
		} else {
			n.judgeBeside(t)
		}
	}
}

// poison lets one of them bring an item that cannot be stored.
func (v *town) poison(t *rapid.T) {
	_, turns := v.draw(t)
	bad := one(t, turns)
	if bad == nil || len(bad.slice.Items) == 0 {
		return
	}
	bad.slice.Items = slices.Clone(bad.slice.Items)
	r := *bad.o.world.topUp(bad.o.wallets[0], 1)
	r.ReceivedAt = time.Time{}
	last := &bad.slice.Items[len(bad.slice.Items)-1]
	*last = processor.Item{Record: last.Record, Request: &r}
	stands := bad.slice.From == bad.o.next && bad.x.claim.Epoch == bad.o.epoch
	settleAll(turns)
	for _, n := range turns {
		if n != bad || !stands {
			n.judge(t)
		} else if !errors.Is(n.err, processor.ErrData) {
			t.Fatalf("an item that cannot be stored: %v", n.err)
		}
	}
}

// hinder lets somebody hold what one of them needs, for longer than it is waited for together.
func (v *town) hinder(t *rapid.T) {
	_, turns := v.draw(t)
	hindered := one(t, turns)
	if hindered == nil {
		return
	}
	ctx := hindered.o.world.t.Context()
	tx, err := v.dba.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	query := rapid.SampledFrom([]string{
		"select from partition_progress where partition = $1 for update", "select from wallets where partition = $1 for update",
	}).Draw(t, "what")
	if _, err := tx.Exec(ctx, query, hindered.o.partition); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	time.AfterFunc(40*time.Millisecond, func() {
		_ = tx.Rollback(context.WithoutCancel(ctx))
		close(gone)
	})
	settleAll(turns)
	<-gone
	for _, n := range turns {
		n.judge(t)
	}
}

// crash cuts the connections of their process: after so many bytes, or in place of the answer to a commit.
func (v *town) crash(t *rapid.T) {
	which, turns := v.draw(t)
	p := v.proxies[which]
	if rapid.Bool().Draw(t, "at the commit") {
		p.armed.Store(true)
	} else {
		p.quota.Store(rapid.Int64Range(1, 20_000).Draw(t, "bytes"))
	}
	settleAll(turns)
	p.armed.Store(false)
	p.quota.Store(0)
	for _, n := range turns {
		doubt := inDoubt(n.err)
		n.judgeInDoubt(t)
		// The process comes back as it was, or starts anew.
		n.x.claimed = n.x.claimed && (!doubt || rapid.Bool().Draw(t, "lives"))
	}
}

// claim lets one of them take a partition.
func (v *town) claim(t *rapid.T) {
	o := rapid.SampledFrom(v.partitions).Draw(t, "partition")
	o.take(t, o.all[rapid.IntRange(0, 1).Draw(t, "owner")])
}

// race lets the other owner claim some of the partitions meanwhile.
func (v *town) race(t *rapid.T) {
	which, turns := v.draw(t)
	claims := make([]*processor.Claim, len(turns))
	var wg sync.WaitGroup
	for i, n := range turns {
		if rapid.Bool().Draw(t, "is taken") {
			wg.Go(func() {
				if c, err := v.stores[1-which].Claim(n.ctx, topic, n.o.partition, processor.Memory{}); err == nil {
					claims[i] = &c
				}
			})
		}
	}
	settleAll(turns)
	wg.Wait()
	for i, n := range turns {
		c, before := claims[i], errors.Is(n.err, processor.ErrFenced) && n.x.claim.Epoch == n.o.epoch
		if c != nil && before {
			n.o.taken(t, n.o.all[1-which], *c)
		}
		n.judge(t)
		if c != nil && !before {
			n.o.taken(t, n.o.all[1-which], *c)
		}
	}
}

// Two owners claim partitions, settle several of them at the same time, and so together, while contexts end,
// items cannot be stored, locks are held, connections are cut, answers to commits are lost and partitions
// change hands; they come back from the past and deliver again what was settled. Whatever they do, to each
// partition it is as if it were alone: each record counts once, in its order.
func TestTwoOwnersAgainstModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look, dba, all := w.schemaOwner(), w.schemaOwner(), twoOwners(t, w)
	rapid.Check(t, func(r *rapid.T) {
		v := &town{dba: dba}
		for i, x := range all {
			v.stores[i], v.proxies[i] = x.store, x.proxy
		}
		for p := range rapid.IntRange(1, 3).Draw(r, "partitions") {
			v.partitions = append(v.partitions, newOwners(r, w, p, look, all))
		}
		r.Repeat(map[string]func(*rapid.T){
			"claim":  v.claim,
			"settle": v.settle,
			"again":  v.settle, // more often than the rest
			"cancel": v.cancel,
			"poison": v.poison,
			"hinder": v.hinder,
			"crash":  v.crash,
			"race":   v.race,
			"": func(r *rapid.T) {
				for _, o := range v.partitions {
					o.standsWhereItMust(r)
				}
			},
		})
		for _, o := range v.partitions {
			o.compare(r)
		}
	})
	var sum postgres.JointStats
	for _, x := range all {
		stats := x.store.JointStats()
		sum.Settles, sum.Slices, sum.Failures = sum.Settles+stats.Settles, sum.Slices+stats.Slices, sum.Failures+stats.Failures
	}
	t.Logf("%+v", sum)
	if sum.Slices < sum.Settles+20 || sum.Failures == 0 {
		t.Errorf("%d slices in %d joint settles, %d of them failed: too few to say anything", sum.Slices, sum.Settles, sum.Failures)
	}
	w.verified()
}

// twoOwners are two processes on the world's database.
func twoOwners(t *testing.T, w *world) (all [2]*owner) {
	t.Helper()
	for i := range all {
		p, address := startProxy(t, w.url)
		store, err := postgres.Connect(t.Context(), address, postgres.Options{Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		all[i] = &owner{store: store, proxy: p}
	}
	return all
}
