package outcomes

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of the look-ups.
const (
	maxLookup     = 1000            // operations in one query
	lookupTimeout = 2 * time.Second // of one query

	// lookupPatience is how long a request that is durable waits for the look-up
	// beside it: a broker that is faster than the database would otherwise hide
	// from every retry that it is one. While the database is slower than that, no
	// request waits at all.
	lookupPatience = 10 * time.Millisecond
	lookupPause    = 50 * time.Millisecond // after a query that failed

	// lookupPace is the least time from one query to the next for each request that is
	// under way, those that wait not counted, up to maxLookupPace: most of what a query
	// costs does not depend on how much it asks for, and the more submissions there are,
	// the longer they wait for Kafka anyway. Up to lookupCrowd of them wait for nothing.
	lookupCrowd   = 6
	lookupPace    = 75 * time.Microsecond
	maxLookupPace = 3 * time.Millisecond
)

// UnknownOffset is that of an operation of which nobody knows where in the log it lies.
const UnknownOffset = -1

// Lookup finds outcomes for many requests of the replica together: one query at
// a time, and each holds everything that was asked while the one before ran. Who
// waits for an outcome is woken by the progress of the partition, which the same query reads:
// every 2 ms while anything moves, and then less often. Those who ask share no lock. It answers while [Lookup.Run] runs, and is safe for
// concurrent use.
type Lookup struct {
	lookUp  lookUp
	count   func(operations int, took time.Duration, err error)
	log     *slog.Logger
	trouble throttle.Log

	asked atomic.Pointer[Question]  // for the next query: the last one, and by its next the others
	wake  chan struct{}             // holds one token while asked is not nil
	open  atomic.Int64              // questions that are not dropped
	waits atomic.Int64              // those of them that wait for an outcome
	since atomic.Pointer[time.Time] // when the query in flight began; nil: there is none
	slow  atomic.Bool               // the last query failed or took longer than lookupPatience

	// These are of Run alone.
	waiting *waiting
	woken   []*Question // of those who wait: to be asked next
	rounds  uint64
}

// lookUp finds operations, and the places of the next records of partitions.
type lookUp func(ctx context.Context, ids []ledger.OperationID, partitions []int) (Found, map[int]ledger.Place, error)

// Question is one request's wish to know an outcome. Exactly one answer comes,
// unless it is dropped before.
type Question struct {
	id        ledger.OperationID
	until     bool  // not answered before the outcome is there
	partition int   // of one that waits
	offset    int64 // of its record, as far as is known; else UnknownOffset
	answer    chan Answer
	dropped   atomic.Bool
	asked     time.Time // last
	reached   bool      // by the progress, which is why it was asked
	round     uint64    // the last one that it is in
	next      *Question // in Lookup.asked, and then in the round: another one for the same operation
}

// Answer is what came of a question.
type Answer struct {
	Decided                      // where Found
	Found   bool                 // whether the operation has an outcome
	Next    map[int]ledger.Place // where partitions stand, as [Found] says
	Err     error                // of the query: then nothing is known
}

// Answer is where the answer comes.
func (q *Question) Answer() <-chan Answer { return q.answer }

// Await waits for the answer. It fails with the error of the query, or of ctx.
func (q *Question) Await(ctx context.Context) (Answer, error) {
	select {
	case a := <-q.answer:
		return a, a.Err
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

// OfDecided makes a look-up of operations most of which have an outcome. It calls count
// with each query: for how many operations it was, how long it took, and its error.
func OfDecided(h History, count func(operations int, took time.Duration, err error), log *slog.Logger) *Lookup {
	return newLookup(func(ctx context.Context, ids []ledger.OperationID, _ []int) (Found, map[int]ledger.Place, error) {
		found, err := h.LookUp(ctx, ids)
		return found, nil, err
	}, count, log)
}

// OfPending makes a look-up of operations most of which have none yet: it asks first
// which have one, which costs less than reading. It says nothing of where partitions stand while none has.
// It calls count as [OfDecided] does.
func OfPending(h History, count func(operations int, took time.Duration, err error), log *slog.Logger) *Lookup {
	return newLookup(func(ctx context.Context, ids []ledger.OperationID, partitions []int) (Found, map[int]ledger.Place, error) {
		known, next, err := h.DecidedIDs(ctx, ids, partitions)
		if err != nil || len(known) == 0 {
			return Found{}, next, err
		}
		found, err := h.LookUp(ctx, known)
		return found, next, err
	}, count, log)
}

func newLookup(lookUp lookUp, count func(operations int, took time.Duration, err error), log *slog.Logger) *Lookup {
	return &Lookup{lookUp: lookUp, count: count, log: log, wake: make(chan struct{}, 1), waiting: newWaiting()}
}

// Ask puts a question into the next query. Every question must be dropped.
func (l *Lookup) Ask(id ledger.OperationID) *Question { return l.put(&Question{id: id}) }

// Await puts a question that is answered only once the operation has an outcome. It must be dropped.
// The offset, or UnknownOffset, only says when to look. Where it is right, that is within some 2 ms of the commit while anything moves in
// the partitions that somebody waits for, and else within 20 ms; where it is wrong, within 250 ms.
func (l *Lookup) Await(id ledger.OperationID, partition int, offset int64) *Question {
	return l.put(&Question{id: id, until: true, partition: partition, offset: offset})
}

func (l *Lookup) put(q *Question) *Question {
	q.answer = make(chan Answer, 1)
	l.open.Add(1)
	if q.until {
		l.waits.Add(1)
	}
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

// Drop ends the question, answered or not; once is enough.
func (l *Lookup) Drop(q *Question) {
	if q.dropped.Swap(true) {
		return
	}
	l.open.Add(-1)
	if q.until {
		l.waits.Add(-1)
	}
}

// Find is the operation's outcome as of now, and where its partition stands. It fails with
// the error of the query, or of ctx.
func (l *Lookup) Find(ctx context.Context, id ledger.OperationID) (Answer, error) {
	q := l.Ask(id)
	defer l.Drop(q)
	return q.Await(ctx)
}

// AwaitBriefly is the outcome if it is known, or comes within 10 ms from a database that
// answered as fast the last time. Otherwise it does not wait.
func (l *Lookup) AwaitBriefly(q *Question) (Decided, bool) {
	select {
	case a := <-q.answer:
		return a.Decided, a.Found
	default:
	}
	if !l.fast() {
		return Decided{}, false
	}
	timer := time.NewTimer(lookupPatience)
	defer timer.Stop()
	select {
	case a := <-q.answer:
		return a.Decided, a.Found
	case <-timer.C:
		return Decided{}, false
	}
}

// fast reports whether the database answers at once, as far as is known.
func (l *Lookup) fast() bool {
	since := l.since.Load()
	return !l.slow.Load() && (since == nil || time.Since(*since) < lookupPatience)
}

func (l *Lookup) began(at time.Time) { l.since.Store(&at) }

func (l *Lookup) ended(took time.Duration, err error) {
	l.slow.Store(err != nil || took > lookupPatience)
	l.since.Store(nil)
}

// Run asks until ctx ends, and then returns nil. It runs once.
func (l *Lookup) Run(ctx context.Context) error {
	timer := time.NewTimer(waitTick)
	defer timer.Stop()
	round := map[ledger.OperationID]*Question{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-timer.C:
		}
		clear(round)
		start := time.Now()
		partitions := l.take(round, start)
		if l.round(ctx, round, partitions) != nil {
			// A database that is down is not to be asked as fast as it refuses.
			throttle.Pause(ctx, lookupPause)
		} else if underWay := l.open.Load() - l.waits.Load(); underWay > lookupCrowd {
			throttle.Pause(ctx, min(time.Duration(underWay)*lookupPace, maxLookupPace)-time.Since(start))
		}
		if due, any := l.waiting.due(); len(l.woken) > 0 {
			timer.Reset(0)
		} else if any {
			timer.Reset(time.Until(due))
		}
	}
}

// take fills the next round: the questions by operation, those of one operation
// by next. It returns the partitions whose progress is to be read too.
func (l *Lookup) take(round map[ledger.OperationID]*Question, now time.Time) (partitions []int) {
	l.rounds++
	add := func(q *Question) {
		if q.round != l.rounds {
			q.round, q.next, round[q.id] = l.rounds, round[q.id], q
		}
	}
	partitions = l.waiting.look(now)
	l.waiting.ask(now, add)
	for _, q := range l.woken {
		if !q.dropped.Load() {
			add(q)
		}
	}
	l.woken = l.woken[:0]
	for q := l.asked.Swap(nil); q != nil; {
		next := q.next
		if !q.dropped.Load() {
			if q.until {
				l.waiting.add(q, now)
			}
			add(q)
		}
		q = next
	}
	return partitions
}

func (l *Lookup) round(ctx context.Context, round map[ledger.OperationID]*Question, partitions []int) error {
	ids := make([]ledger.OperationID, 0, len(round))
	for id := range round {
		ids = append(ids, id)
	}
	for len(ids) > 0 || len(partitions) > 0 {
		chunk := ids[:min(len(ids), maxLookup)]
		found, err := l.query(ctx, chunk, partitions)
		if err != nil {
			// The chunks left would only wait for the same timeout.
			chunk = ids
		}
		for _, id := range chunk {
			d, ok := found.decided[id]
			for q := round[id]; q != nil; q = q.next {
				l.reply(q, Answer{Decided: d, Found: ok, Next: found.next, Err: err})
			}
		}
		if err != nil {
			return err
		}
		l.waiting.moved(found.progress, time.Now(), func(q *Question) { l.woken = append(l.woken, q) })
		ids, partitions = ids[len(chunk):], nil
	}
	return nil
}

// reply answers the question; one that waits hears only of an outcome.
func (l *Lookup) reply(q *Question, a Answer) {
	if q.until && !a.Found {
		if a.Err != nil {
			l.waiting.again(q)
		}
		return
	}
	select {
	case q.answer <- a:
	default: // answered before
	}
	if q.until {
		l.waiting.remove(q)
	}
}

// answers are what one query found.
type answers struct {
	decided        map[ledger.OperationID]Decided
	next, progress map[int]ledger.Place
}

func (l *Lookup) query(ctx context.Context, ids []ledger.OperationID, partitions []int) (answers, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	start := time.Now()
	l.began(start)
	found, progress, err := l.lookUp(ctx, ids, partitions)
	took := time.Since(start)
	l.ended(took, err)
	l.count(len(ids), took, err)
	if err != nil {
		if skipped, ok := l.trouble.Next(); ok {
			l.log.WarnContext(ctx, "look-up failed", "operations", len(ids), "err", err, "skipped", skipped)
		}
		return answers{}, err
	}
	a := answers{make(map[ledger.OperationID]Decided, len(found.Decided)), found.Next, progress}
	for _, d := range found.Decided {
		a.decided[d.ID] = d
	}
	return a, nil
}
