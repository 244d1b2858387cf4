package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// motionEvery is how often the partitions are looked at.
const motionEvery = 5 * time.Millisecond

// motion watches how the partitions of a database move on.
type motion struct {
	mu   sync.Mutex
	last map[int]place
	gaps []gap
	err  error

	stopped context.CancelFunc
	ended   sync.WaitGroup
}

// place is where a partition was seen, and since when.
type place struct {
	next  int64
	owner string
	since time.Time
}

// gap is a time in which a partition did not move.
type gap struct{ from, to time.Time }

// watchMotion watches until stop.
func watchMotion(ctx context.Context, address string) (*motion, error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	m := &motion{last: map[int]place{}}
	ctx, m.stopped = context.WithCancel(ctx)
	m.ended.Go(func() {
		defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
		for ctx.Err() == nil {
			if err := m.look(ctx, conn); err != nil && ctx.Err() == nil {
				m.mu.Lock()
				m.err = fmt.Errorf("watch progress: %w", err)
				m.mu.Unlock()
				return
			}
			_ = pause(ctx, motionEvery) // ctx is asked for next
		}
	})
	return m, nil
}

func (m *motion) stop() {
	m.stopped()
	m.ended.Wait()
}

func (m *motion) look(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "select partition, next_offset, coalesce(owner, '') from partition_progress")
	if err != nil {
		return err
	}
	var partition int
	var now place
	_, err = pgx.ForEachRow(rows, []any{&partition, &now.next, &now.owner}, func() error {
		now.since = time.Now()
		m.saw(partition, now)
		return nil
	})
	return err
}

// saw notes where a partition is. What has not moved keeps its time.
func (m *motion) saw(partition int, now place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, seen := m.last[partition]
	if seen && now.next == before.next {
		now.since = before.since
	} else if seen {
		m.gaps = append(m.gaps, gap{before.since, now.since})
	}
	m.last[partition] = now
}

// stall is the longest time in which a partition did not move, of those that
// touch the time given; one that stands now counts too.
func (m *motion) stall(since, until time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	add := func(g gap) {
		if g.from.Before(until) && g.to.After(since) {
			longest = max(longest, g.to.Sub(g.from))
		}
	}
	for _, g := range m.gaps {
		add(g)
	}
	for _, p := range m.last {
		add(gap{p.since, until})
	}
	return longest
}

// all are the partitions, and where they stand.
func (m *motion) all() map[int]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[int]int64{}
	for partition, at := range m.last {
		found[partition] = at.next
	}
	return found
}

// owns reports whether the owner is that process: owners are host and process.
func owns(owner string, pid int) bool { return strings.HasSuffix(owner, fmt.Sprintf("/%d", pid)) }

// moved waits until each of the partitions has moved beyond its place under another
// owner than the process, and says when the last of them did. Those that the process
// claimed are not enough: it may have been given others that it did not claim yet.
func (m *motion) moved(ctx context.Context, places map[int]int64, pid int) (last time.Time, err error) {
	err = m.await(ctx, func() bool {
		last = time.Time{}
		for partition, next := range places {
			at := m.last[partition]
			if at.next <= next || owns(at.owner, pid) {
				return false
			}
			if at.since.After(last) {
				last = at.since
			}
		}
		return true
	})
	return last, err
}

// motionTimeout is for the partitions to be where they must be: session timeouts
// that follow one another, and a busy machine.
const motionTimeout = time.Minute

var errStandsStill = errors.New("partitions do not move as they must")

// await waits until something is so; it is asked under the lock.
func (m *motion) await(ctx context.Context, is func() bool) error {
	for deadline := time.Now().Add(motionTimeout); ; {
		m.mu.Lock()
		done, err := is(), m.err
		m.mu.Unlock()
		switch {
		case err != nil:
			return err
		case done:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%w for %s", errStandsStill, motionTimeout)
		}
		if err := pause(ctx, motionEvery); err != nil {
			return err
		}
	}
}
