package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/gather"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/throttle"
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
	// jointTimeout is how long it is waited for. What has not begun to commit by then is broken off.
	jointTimeout = 2 * time.Second
	// jointCommitTimeout is how long a commit may take that nobody waits for any more. To break one off
	// could make visible what no standby has yet.
	jointCommitTimeout = 40 * time.Second
	// slowAlone is how long a partition alone may take before it stays apart.
	slowAlone = time.Second
	// apartFor is for how long a partition goes alone that broke a joint settle, or is slow. Else it would break
	// the next one: as each half of a slice that cannot be stored.
	apartFor = time.Second
)

var (
	errPanicked  = errors.New("a settle panicked")
	errJointLate = errors.New("a joint settle took too long")
)

var jointLockTimeoutSQL = fmt.Sprintf("set local lock_timeout = %d", jointLockTimeout.Milliseconds()) //nolint:gochecknoglobals // never changed

// joints settles together what partitions bring while a transaction is in flight. A transaction
// has a cost whatever is in it, and small slices are mostly that. There is one joint settle at a
// time. Where it fails, for whatever reason, each portion goes alone; and the one that broke it stays apart
// for a while. So no partition hangs for long on another one's data, locks or owner.
type joints struct {
	queue  gather.Queue[*joining]
	failed throttle.Log

	mu    sync.Mutex
	apart map[int]time.Time // partitions, and until when each goes alone
	stats JointStats
}

// JointStats counts joint settles.
type JointStats struct {
	Settles, Slices, Failures int64 // Failures are among Settles
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

// portionError is an error that one portion of a transaction caused.
type portionError struct {
	partition int
	err       error
}

func (e *portionError) Error() string { return e.err.Error() }
func (e *portionError) Unwrap() error { return e.err }

func (p portion) caused(err error) error { return &portionError{p.claim.Partition, err} }

// JointStats counts since the store was opened.
func (s *Store) JointStats() JointStats {
	s.joints.mu.Lock()
	defer s.joints.mu.Unlock()
	return s.joints.stats
}

// settleJointly settles the portion together with what waits, if only itself. Not done: it has
// to go alone. What the server has of a transaction that was broken off, it may still commit; and a commit that
// is not waited for any more is still under way.
func (s *Store) settleJointly(ctx context.Context, p portion) (tally processor.Tally, done bool, err error) {
	j := &joining{portion: p, ctx: ctx, done: make(chan struct{})}
	if s.joints.queue.Add(j) {
		go s.settleJoints()
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if s.joints.queue.Withdraw(j) {
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

// settleJoint settles the portions, or lets each go alone. Where a commit takes long, each waits alone for
// the locks that it still holds, and finds out what came of it.
func (s *Store) settleJoint(batch []*joining) {
	began := time.Now()
	tallies, err := s.attemptJoint(batch)
	s.joints.count(len(batch), time.Since(began), err)
	var cause *portionError
	if errors.As(err, &cause) && breaksAgain(err) {
		s.joints.keepApart(cause.partition)
	}
	// One alone fails for its own reasons, but for what is waited for longer where nobody waits for it.
	apart := err != nil && (len(batch) > 1 || sqlState(err) == codeLockTimeout || errors.Is(err, errPanicked) || errors.Is(err, errJointLate))
	if apart {
		if skipped, ok := s.joints.failed.Next(); ok {
			s.log.Warn("joint settle failed, and each of its slices goes alone", "slices", len(batch), "skipped", skipped, "err", err)
		}
	}
	for i, j := range batch {
		if err == nil {
			j.tally = tallies[i]
		} else if j.apart = apart; !apart {
			j.err = err
		}
		close(j.done)
	}
}

// attemptJoint ends with the first of the contexts, so that whoever gives up does not wait for the others, or
// fails with errJointLate.
func (s *Store) attemptJoint(batch []*joining) ([]processor.Tally, error) {
	ctx, cancel := context.WithTimeout(context.Background(), jointCommitTimeout)
	portions, stops := make([]portion, len(batch)), make([]func() bool, len(batch))
	for i, j := range batch {
		portions[i], stops[i] = j.portion, context.AfterFunc(j.ctx, cancel)
	}
	type result struct {
		tallies []processor.Tally
		err     error
	}
	ended := make(chan result, 1)
	go func() {
		defer cancel()
		tallies, err := s.tryTogether(ctx, portions)
		for _, stop := range stops {
			stop()
		}
		ended <- result{tallies, err}
	}()
	late := time.NewTimer(jointTimeout)
	defer late.Stop()
	select {
	case r := <-ended:
		if errors.Is(r.err, context.DeadlineExceeded) {
			r.err = fmt.Errorf("%w: %w", errJointLate, r.err)
		}
		return r.tallies, r.err
	case <-late.C:
		return nil, errJointLate
	}
}

// tryTogether is transact, and makes an error of a panic: that belongs to whoever brought the portion, who meets
// it alone.
func (s *Store) tryTogether(ctx context.Context, portions []portion) (tallies []processor.Tally, err error) {
	defer func() {
		if p := recover(); p != nil {
			tallies, err = nil, fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return s.transact(ctx, portions, true)
}

// breaksAgain reports whether what failed a settle may fail the next one of the partition too.
func breaksAgain(err error) bool {
	return errors.Is(err, processor.ErrData) || errors.Is(err, processor.ErrIntegrity) || sqlState(err) == codeLockTimeout
}

// take is what the next settle takes, sorted by partition: one portion of each, and not too much; nil where
// nothing waits.
func (q *joints) take() []*joining {
	items, of := 0, map[int]bool{}
	taken := q.queue.Take(func(j *joining) bool {
		fits := !of[j.claim.Partition] && items+len(j.slice.Items) <= jointMost
		if fits {
			of[j.claim.Partition], items = true, items+len(j.slice.Items)
		}
		return fits
	})
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

// goesAlone reports whether the partition is kept apart at present.
func (q *joints) goesAlone(partition int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, is := q.apart[partition]
	if is && time.Now().After(until) {
		delete(q.apart, partition)
		is = false
	}
	return is
}

// keepApart lets the partition go alone for a while.
func (q *joints) keepApart(partition int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.apart == nil {
		q.apart = map[int]time.Time{}
	}
	q.apart[partition] = time.Now().Add(apartFor)
}
