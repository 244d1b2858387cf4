package system

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const motionEvery = 10 * time.Millisecond

// motion watches how the partitions move on, many times a second.
type motion struct {
	t    *testing.T
	url  string
	mu   sync.Mutex
	last map[int]place
	gaps []gap
}

// place is where a partition was seen, and since when.
type place struct {
	next  int64
	owner string
	since time.Time
}

// gap is a time in which a partition did not move, and that was worth noting.
type gap struct {
	partition int
	from, to  time.Time
}

// watchMotion watches until the test ends. A database that is away is a
// partition that stands still.
func watchMotion(t *testing.T, database string) *motion {
	t.Helper()
	m := &motion{t: t, url: database, last: map[int]place{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			m.watch(ctx)
			_ = pause(ctx)
		}
	})
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return m
}

// watch looks until a look fails.
func (m *motion) watch(ctx context.Context) {
	conn, err := pgx.Connect(ctx, m.url)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		rows, err := conn.Query(ctx, "select partition, next_offset, coalesce(owner, '') from partition_progress")
		if err != nil {
			return
		}
		var partition int
		var now place
		if _, err = pgx.ForEachRow(rows, []any{&partition, &now.next, &now.owner}, func() error {
			m.saw(partition, now)
			return nil
		}); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(motionEvery):
		}
	}
}

func (m *motion) saw(partition int, now place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now.since = time.Now()
	before, seen := m.last[partition]
	if !seen {
		m.last[partition] = now
		return
	}
	if now.next == before.next {
		before.owner = now.owner
		m.last[partition] = before
		return
	}
	m.last[partition] = now
	if now.since.Sub(before.since) > 2*motionEvery {
		m.gaps = append(m.gaps, gap{partition: partition, from: before.since, to: now.since})
	}
}

// stall is the longest time since then in which a partition did not move; one
// that stands now counts too.
func (m *motion) stall(since, until time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	add := func(from, to time.Time) {
		if from.Before(until) && to.After(since) {
			longest = max(longest, to.Sub(from))
		}
	}
	for _, g := range m.gaps {
		add(g.from, g.to)
	}
	for _, p := range m.last {
		if until.After(p.since) {
			add(p.since, until)
		}
	}
	return longest
}

// stallEnded is the longest stall that ended in the time, however long it lasted: it may
// have begun a moment before the fault that made it so long.
func (m *motion) stallEnded(since, until time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	for _, g := range m.gaps {
		if !g.to.Before(since) && g.to.Before(until) {
			longest = max(longest, g.to.Sub(g.from))
		}
	}
	return longest
}

// at is where the partition was seen last.
func (m *motion) at(partition int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[partition].next
}

// of are the partitions that the process has claimed, and where they stand.
func (m *motion) of(p *process) map[int]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	suffix, found := fmt.Sprintf("/%d", p.cmd.Process.Pid), map[int]int64{}
	for partition, at := range m.last {
		if strings.HasSuffix(at.owner, suffix) {
			found[partition] = at.next
		}
	}
	return found
}

// awaitMoved waits until each of the partitions has moved beyond its place under
// another owner than the process, and says how long after the start the last of
// them did.
func (m *motion) awaitMoved(places map[int]int64, from *process, started time.Time) time.Duration {
	m.t.Helper()
	suffix := fmt.Sprintf("/%d", from.cmd.Process.Pid)
	var last time.Time
	awaitThat(m.t, "the partitions of "+from.name+" move on", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for partition, next := range places {
			at := m.last[partition]
			if at.next <= next || strings.HasSuffix(at.owner, suffix) {
				return false
			}
		}
		last = time.Now()
		return true
	})
	return last.Sub(started)
}

// awaitOwns waits until the process has so many partitions at least, and they
// move.
func (m *motion) awaitOwns(p *process, partitions int) {
	m.t.Helper()
	awaitThat(m.t, p.name+" has its partitions", func() bool { return len(m.of(p)) >= partitions })
}

// awaitThat waits until something is so.
func awaitThat(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * awaitTimeout); !is(); time.Sleep(motionEvery) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v it is not so that %s", 2*awaitTimeout, what)
		}
	}
}
