package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/processor"
)

// The limits of a joint settle.
const (
	// jointItems is from how many items on a slice goes alone: a transaction's fixed cost is
	// then small beside them.
	jointItems = 256
	// jointMost is how many items a joint settle takes at most, so that none waits long in it.
	jointMost = 1000
	// jointEvery is how soon after another one a joint settle begins: what comes meanwhile shares it.
	jointEvery = 2 * time.Millisecond
	// jointLockTimeout is how long it waits for a lock. Alone, who needs the lock waits for it.
	jointLockTimeout = 20 * time.Millisecond
	// apartFor is for how long a partition goes alone whose data were refused: the halves of its slice
	// would each fail its neighbours as well.
	apartFor = time.Second
)

var jointLockTimeoutSQL = fmt.Sprintf("set local lock_timeout = %d", jointLockTimeout.Milliseconds()) //nolint:gochecknoglobals // never changed

// joints gathers what partitions bring while a transaction is in flight, for the next one. A
// transaction has a cost whatever is in it, and small slices are mostly that. There is one joint
// settle at a time. Where it fails, for whatever reason, each portion goes alone: so no partition
// hangs on another one's data, locks or owner.
type joints struct {
	mu      sync.Mutex
	waiting []*joining
	busy    bool
	began   time.Time         // when the last one began
	alone   map[int]time.Time // partitions, and until when each goes alone

	stats JointStats
}

// JointStats counts joint settles.
type JointStats struct {
	Settles, Slices, Failures int64
	Took                      time.Duration
}

// joining is a portion that is to be settled together with others.
type joining struct {
	portion
	ctx   context.Context //nolint:containedctx // that of its Settle, which waits
	tally processor.Tally
	err   error
	apart bool          // it was not settled together, and goes alone
	done  chan struct{} // closed once the rest is set
}

// JointStats counts since the store was opened.
func (s *Store) JointStats() JointStats {
	s.joints.mu.Lock()
	defer s.joints.mu.Unlock()
	return s.joints.stats
}

// settleJointly settles the portion together with what waits, if only itself. Not done: it has
// to go alone. It returns only when no transaction has the portion in hand any more.
func (s *Store) settleJointly(ctx context.Context, p portion) (tally processor.Tally, done bool, err error) {
	j := &joining{portion: p, ctx: ctx, done: make(chan struct{})}
	if s.joints.add(j) {
		go s.settleJoints()
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if s.joints.withdraw(j) {
			return processor.Tally{}, true, fmt.Errorf("wait for the settle before this one: %w", context.Cause(ctx))
		}
		<-j.done
	}
	return j.tally, !j.apart, j.err
}

// settleJoints settles until nothing waits.
func (s *Store) settleJoints() {
	for {
		batch := s.joints.take()
		if batch == nil {
			return
		}
		s.settleJoint(batch)
	}
}

// settleJoint ends with the first of the contexts: who gave up must not find later that it was settled
// all the same.
func (s *Store) settleJoint(batch []*joining) {
	ctx, cancel := context.WithCancel(batch[0].ctx)
	defer cancel()
	portions := make([]portion, len(batch))
	for i, j := range batch {
		portions[i] = j.portion
		defer context.AfterFunc(j.ctx, cancel)()
	}
	began := time.Now()
	tallies, err := s.transact(ctx, portions, true)
	s.joints.count(len(batch), time.Since(began), err)
	for i, j := range batch {
		switch {
		case err == nil:
			j.tally = tallies[i]
		case len(batch) == 1 && sqlState(err) != codeLockTimeout:
			j.err = err
			s.joints.failedAlone(j.claim.Partition, err)
		default:
			j.apart = true
		}
		close(j.done)
	}
}

// add reports whether somebody has to settle what waits from now on.
func (q *joints) add(j *joining) (begin bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, j)
	begin, q.busy = !q.busy, true
	return begin
}

// withdraw reports whether the portion was still waiting, and waits no more.
func (q *joints) withdraw(j *joining) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, j)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// take is what the next settle takes, in the order in which it came and sorted by partition, one portion
// of each; nil where nothing waits, and then nobody settles any more. It waits until the next may begin.
func (q *joints) take() []*joining {
	q.mu.Lock()
	defer q.mu.Unlock()
	if wait := time.Until(q.began.Add(jointEvery)); wait > 0 && len(q.waiting) > 0 {
		q.mu.Unlock()
		time.Sleep(wait)
		q.mu.Lock()
	}
	taken, left := []*joining(nil), q.waiting[:0]
	items, full := 0, false
	for _, j := range q.waiting {
		items += len(j.slice.Items)
		full = full || len(taken) > 0 && items > jointMost
		if full || slices.ContainsFunc(taken, func(o *joining) bool { return o.claim.Partition == j.claim.Partition }) {
			left = append(left, j)
			continue
		}
		taken = append(taken, j)
	}
	clear(q.waiting[len(left):])
	q.waiting, q.busy = left, len(taken) > 0
	if q.busy {
		q.began = time.Now()
	}
	slices.SortFunc(taken, func(a, b *joining) int { return cmp.Compare(a.claim.Partition, b.claim.Partition) })
	return taken
}

func (q *joints) count(slices int, took time.Duration, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stats.Settles++
	q.stats.Slices += int64(slices)
	q.stats.Took += took
	if err != nil {
		q.stats.Failures++
	}
}

// apart reports whether the partition goes alone at present.
func (q *joints) apart(partition int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, is := q.alone[partition]
	if is && time.Now().After(until) {
		delete(q.alone, partition)
		is = false
	}
	return is
}

// failedAlone lets the partition go alone for a while if its data are at fault.
func (q *joints) failedAlone(partition int, err error) {
	if !errors.Is(err, processor.ErrData) && !errors.Is(err, processor.ErrIntegrity) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.alone == nil {
		q.alone = map[int]time.Time{}
	}
	q.alone[partition] = time.Now().Add(apartFor)
}
