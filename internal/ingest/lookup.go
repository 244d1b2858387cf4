package ingest

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of the look-ups.
const (
	maxLookup     = 1000                  // operations in one query
	waitTick      = 20 * time.Millisecond // between two queries for those who wait for longer than that
	lookupTimeout = 2 * time.Second       // of one query

	// lookupPatience is how long a request that is durable waits for the look-up
	// beside it: a broker that is faster than the database would otherwise hide
	// from every retry that it is one. Who has met a database slower than that
	// does not wait at all.
	lookupPatience = 10 * time.Millisecond
	lookupPause    = 50 * time.Millisecond // after a query that failed

	// lookupPace is the least time from one query to the next for each request that is
	// under way, those that wait not counted, up to maxLookupPace: most of what a query
	// costs does not depend on how much it asks for, and the more submissions there are,
	// the longer they wait for Kafka anyway. Up to lookupCrowd of them wait for nothing.
	lookupCrowd   = 6
	lookupPace    = 75 * time.Microsecond
	maxLookupPace = 3 * time.Millisecond

	// lookupAgain is how long after the first query for somebody who waits the second
	// one comes. That time is doubled until it is a tick: most outcomes are there within
	// some milliseconds, and whoever waits longer costs no more than a few queries.
	lookupAgain = 2 * time.Millisecond
)

// lookup finds outcomes for many requests of the replica together: one query at
// a time, and each holds everything that was asked while the one before ran. Who
// waits for an outcome is asked for again, in the same query: soon at first, then
// at each tick. Those who ask share no lock.
type lookup struct {
	lookUp  func(context.Context, []ledger.OperationID) (Found, error)
	metrics *Metrics
	log     *slog.Logger
	trouble throttle.Log

	asked atomic.Pointer[question]  // for the next query: the last one, and by its next the others
	wake  chan struct{}             // holds one token while asked is not nil
	open  atomic.Int64              // questions that are not dropped
	since atomic.Pointer[time.Time] // when the query in flight began; nil: there is none
	slow  atomic.Bool               // the last query failed or took longer than lookupPatience

	// Those who wait are asked for again until found: early ones when they are due,
	// the others at each tick. Both are of run alone.
	early, waiting map[*question]struct{}
}

// question is one request's wish to know an outcome. Exactly one answer comes,
// unless it is dropped before.
type question struct {
	id      ledger.OperationID
	until   bool // not answered before the outcome is there
	answer  chan answer
	dropped atomic.Bool
	pause   time.Duration // while it is early: from the last query for it to due
	due     time.Time
	next    *question // in lookup.asked, and then in the round: another one for the same operation
}

type answer struct {
	Decided
	found bool
	next  map[int]ledger.Place // where partitions stand, as [Found] says
	err   error
}

// newLookup makes a look-up that reads by lookUp, which is [History].LookUp or does
// as that does.
func newLookup(lookUp func(context.Context, []ledger.OperationID) (Found, error), m *Metrics, log *slog.Logger) *lookup {
	return &lookup{
		lookUp: lookUp, metrics: m, log: log, wake: make(chan struct{}, 1),
		early: map[*question]struct{}{}, waiting: map[*question]struct{}{},
	}
}

// knownFirst reads operations most of which have no outcome yet: it asks first
// which have one, which costs less than reading.
func knownFirst(h History) func(context.Context, []ledger.OperationID) (Found, error) {
	return func(ctx context.Context, ids []ledger.OperationID) (Found, error) {
		known, err := h.DecidedIDs(ctx, ids)
		if err != nil || len(known) == 0 {
			return Found{}, err
		}
		return h.LookUp(ctx, known)
	}
}

// ask puts a question into the next query. Every question must be dropped.
func (l *lookup) ask(id ledger.OperationID) *question { return l.put(&question{id: id}) }

// await puts a question that is answered only once the operation has an outcome.
func (l *lookup) await(id ledger.OperationID) *question {
	return l.put(&question{id: id, until: true})
}

func (l *lookup) put(q *question) *question {
	q.answer = make(chan answer, 1)
	l.open.Add(1)
	for {
		q.next = l.asked.Load()
		if l.asked.CompareAndSwap(q.next, q) {
			break
		}
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return q
}

// drop ends the question, answered or not.
func (l *lookup) drop(q *question) {
	if !q.dropped.Swap(true) {
		l.open.Add(-1)
	}
}

// find is the operation's outcome as of now, and where its partition stands.
func (l *lookup) find(ctx context.Context, id ledger.OperationID) (answer, error) {
	q := l.ask(id)
	defer l.drop(q)
	select {
	case a := <-q.answer:
		return a, a.err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// promptly is the answer if it is there, or comes within lookupPatience from a
// database that is well.
func (l *lookup) promptly(q *question) (Decided, bool) {
	select {
	case a := <-q.answer:
		return a.Decided, a.found
	default:
	}
	if !l.prompt() {
		return Decided{}, false
	}
	timer := time.NewTimer(lookupPatience)
	defer timer.Stop()
	select {
	case a := <-q.answer:
		return a.Decided, a.found
	case <-timer.C:
		return Decided{}, false
	}
}

// prompt reports whether the database answers at once, as far as is known.
func (l *lookup) prompt() bool {
	since := l.since.Load()
	return !l.slow.Load() && (since == nil || time.Since(*since) < lookupPatience)
}

func (l *lookup) began(at time.Time) { l.since.Store(&at) }

func (l *lookup) ended(took time.Duration, err error) {
	l.slow.Store(err != nil || took > lookupPatience)
	l.since.Store(nil)
}

// run asks until ctx ends.
func (l *lookup) run(ctx context.Context) error {
	tick := time.NewTicker(waitTick)
	defer tick.Stop()
	soon := time.NewTimer(waitTick)
	defer soon.Stop()
	round := map[ledger.OperationID]*question{}
	for {
		var ticked bool
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-soon.C:
		case <-tick.C:
			ticked = true
		}
		clear(round)
		start := time.Now()
		l.take(round, start, ticked)
		if l.round(ctx, round) != nil {
			// A database that is down is not to be asked as fast as it refuses.
			throttle.Pause(ctx, lookupPause)
		} else if underWay := l.open.Load() - int64(len(l.early)+len(l.waiting)); underWay > lookupCrowd {
			throttle.Pause(ctx, min(time.Duration(underWay)*lookupPace, maxLookupPace)-time.Since(start))
		}
		if len(l.early) > 0 {
			soon.Reset(lookupAgain - time.Since(start))
		}
	}
}

// take fills the next round: the questions by operation, those of one operation
// by next.
func (l *lookup) take(round map[ledger.OperationID]*question, now time.Time, ticked bool) {
	add := func(q *question) { q.next, round[q.id] = round[q.id], q }
	if ticked {
		for q := range l.waiting {
			if q.dropped.Load() {
				delete(l.waiting, q)
			} else {
				add(q)
			}
		}
	}
	for q := range l.early {
		switch {
		case q.dropped.Load():
			delete(l.early, q)
		case now.Before(q.due):
		default:
			add(q)
			if q.pause *= 2; q.pause >= waitTick {
				delete(l.early, q)
				l.waiting[q] = struct{}{}
			}
			q.due = now.Add(q.pause)
		}
	}
	for q := l.asked.Swap(nil); q != nil; {
		next := q.next
		if !q.dropped.Load() {
			if q.until {
				q.pause, q.due = lookupAgain, now.Add(lookupAgain)
				l.early[q] = struct{}{}
			}
			add(q)
		}
		q = next
	}
}

func (l *lookup) round(ctx context.Context, round map[ledger.OperationID]*question) error {
	ids := make([]ledger.OperationID, 0, len(round))
	for id := range round {
		ids = append(ids, id)
	}
	for chunk := range slices.Chunk(ids, maxLookup) {
		found, next, err := l.query(ctx, chunk)
		if err != nil {
			// The chunks left would only wait for the same timeout.
			chunk = ids
		}
		for _, id := range chunk {
			d, ok := found[id]
			for q := round[id]; q != nil; q = q.next {
				l.reply(q, answer{Decided: d, found: ok, next: next, err: err})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reply answers the question; one that waits hears only of an outcome.
func (l *lookup) reply(q *question, a answer) {
	if q.until && !a.found {
		return
	}
	select {
	case q.answer <- a:
	default: // answered before
	}
	delete(l.early, q)
	delete(l.waiting, q)
}

func (l *lookup) query(ctx context.Context, ids []ledger.OperationID) (
	decided map[ledger.OperationID]Decided, next map[int]ledger.Place, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	start := time.Now()
	l.began(start)
	found, err := l.lookUp(ctx, ids)
	took := time.Since(start)
	l.ended(took, err)
	l.metrics.looked(len(ids), took, err)
	if err != nil {
		if skipped, ok := l.trouble.Next(); ok {
			l.log.WarnContext(ctx, "look-up failed", "operations", len(ids), "err", err, "skipped", skipped)
		}
		return nil, nil, err
	}
	decided = make(map[ledger.OperationID]Decided, len(found.Decided))
	for _, d := range found.Decided {
		decided[d.ID] = d
	}
	return decided, found.Next, nil
}
