package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of the look-ups.
const (
	maxLookup     = 1000                  // operations in one query
	maxQuestions  = 20_000                // open questions of one replica
	waitTick      = 20 * time.Millisecond // between two queries for those who wait
	lookupTimeout = 2 * time.Second       // of one query

	// lookupPatience is how long a request that is durable waits for the look-up
	// beside it: a broker that is faster than the database would otherwise hide
	// from every retry that it is one. Who has met a database slower than that
	// does not wait at all.
	lookupPatience = 10 * time.Millisecond
	lookupPause    = 50 * time.Millisecond // after a query that failed
)

var errBusy = errors.New("too many look-ups are open")

// lookup finds outcomes for all requests of the replica together: one query at
// a time, and each holds everything that was asked while the one before ran. Who
// waits for an outcome is asked for again at each tick, in the same query.
type lookup struct {
	history History
	metrics *Metrics
	log     *slog.Logger
	wake    chan struct{} // holds one token while asked is not empty
	trouble throttle

	mu      sync.Mutex
	asked   []*question            // for the next query
	waiting map[*question]struct{} // asked for again until found
	open    int
	since   time.Time // when the query in flight began; zero: there is none
	slow    bool      // the last query failed or took longer than lookupPatience
}

// question is one request's wish to know an outcome. Exactly one answer comes,
// unless it is dropped before.
type question struct {
	id      ledger.OperationID
	until   bool // not answered before the outcome is there
	answer  chan answer
	dropped bool // guarded by lookup.mu
}

type answer struct {
	Decided
	found bool
	err   error
}

func newLookup(h History, m *Metrics, log *slog.Logger) *lookup {
	return &lookup{
		history: h, metrics: m, log: log, wake: make(chan struct{}, 1), waiting: map[*question]struct{}{},
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
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	if l.open > maxQuestions {
		q.answer <- answer{err: errBusy}
		return q
	}
	l.asked = append(l.asked, q)
	if q.until {
		l.waiting[q] = struct{}{}
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return q
}

// drop ends the question, answered or not.
func (l *lookup) drop(q *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.dropped {
		return
	}
	q.dropped = true
	l.open--
	delete(l.waiting, q)
}

// find is the operation's outcome as of now.
func (l *lookup) find(ctx context.Context, id ledger.OperationID) (Decided, bool, error) {
	q := l.ask(id)
	defer l.drop(q)
	select {
	case a := <-q.answer:
		return a.Decided, a.found, a.err
	case <-ctx.Done():
		return Decided{}, false, ctx.Err()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.slow && (l.since.IsZero() || time.Since(l.since) < lookupPatience)
}

func (l *lookup) began(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = at
}

func (l *lookup) ended(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since, l.slow = time.Time{}, err != nil || took > lookupPatience
}

// run asks until ctx ends.
func (l *lookup) run(ctx context.Context) error {
	tick := time.NewTicker(waitTick)
	defer tick.Stop()
	for {
		var due bool
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-tick.C:
			due = true
		}
		if l.round(ctx, l.take(due)) != nil {
			// A database that is down is not to be asked as fast as it refuses.
			sleep(ctx, lookupPause)
		}
	}
}

// take is the questions of the next round, by operation.
func (l *lookup) take(due bool) map[ledger.OperationID][]*question {
	l.mu.Lock()
	defer l.mu.Unlock()
	round := map[ledger.OperationID][]*question{}
	for _, q := range l.asked {
		if !q.dropped && !(due && q.until) {
			round[q.id] = append(round[q.id], q)
		}
	}
	l.asked = nil
	if due {
		for q := range l.waiting {
			round[q.id] = append(round[q.id], q)
		}
	}
	return round
}

func (l *lookup) round(ctx context.Context, round map[ledger.OperationID][]*question) error {
	ids := make([]ledger.OperationID, 0, len(round))
	for id := range round {
		ids = append(ids, id)
	}
	for chunk := range slices.Chunk(ids, maxLookup) {
		found, err := l.query(ctx, chunk)
		for _, id := range chunk {
			d, ok := found[id]
			for _, q := range round[id] {
				l.reply(q, answer{Decided: d, found: ok, err: err})
			}
		}
		if err != nil {
			// The chunks left would only wait for the same timeout.
			for _, id := range ids {
				for _, q := range round[id] {
					l.reply(q, answer{err: err})
				}
			}
			return err
		}
	}
	return nil
}

// sleep waits, but not beyond ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
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
	if q.until {
		l.mu.Lock()
		delete(l.waiting, q)
		l.mu.Unlock()
	}
}

func (l *lookup) query(ctx context.Context, ids []ledger.OperationID) (map[ledger.OperationID]Decided, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	start := time.Now()
	l.began(start)
	list, err := l.history.Decided(ctx, ids)
	took := time.Since(start)
	l.ended(took, err)
	l.metrics.looked(len(ids), took, err)
	if err != nil {
		if skipped, ok := l.trouble.next(); ok {
			l.log.WarnContext(ctx, "look-up failed", "operations", len(ids), "err", err, "skipped", skipped)
		}
		return nil, err
	}
	found := make(map[ledger.OperationID]Decided, len(list))
	for _, d := range list {
		found[d.ID] = d
	}
	return found, nil
}
