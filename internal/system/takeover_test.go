package system

import (
	"strings"
	"testing"
	"time"
)

const (
	// sessionTimeout is after how long without a heartbeat the group gives a
	// member's partitions to the others.
	sessionTimeout = 6 * time.Second

	takeoverLimit = sessionTimeout + time.Second
	handoverLimit = 300 * time.Millisecond
	// busy is what a loaded machine may add before it is a fault of ours. The goals
	// as they stand are asked of a machine that does nothing else.
	busy = 4 * time.Second
)

// TestProcessorsKilled kills processors under load: what is theirs moves on after
// the session timeout.
func TestProcessorsKilled(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	s := newStack(t, 4)
	_, operator := s.ingest()
	processors := []*process{s.processor(), s.processor()}
	m := watchMotion(t, s.database)
	l := startLoad(t, r, []*api{operator}, 40)
	for range 2 {
		for _, p := range processors {
			m.awaitOwns(p, 1)
		}
		l.await(100)
		i := r.IntN(len(processors))
		victim := processors[i]
		started := time.Now()
		victim.kill()
		took := m.awaitMoved(m.of(victim), victim, started)
		t.Logf("takeover after a kill: %v", took)
		if took > takeoverLimit+busy {
			t.Errorf("takeover after a kill: %v, want %v", took, takeoverLimit)
		}
		processors[i] = s.processor()
	}
	for _, p := range processors {
		mustNotFence(t, p)
	}
	s.check(l)
}

// TestRollingRestart replaces each processor under load, in order: nothing waits
// for a timeout, is settled twice, or is fenced.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	s := newStack(t, 4)
	_, operator := s.ingest()
	processors := []*process{s.processor(), s.processor()}
	m := watchMotion(t, s.database)
	l := startLoad(t, r, []*api{operator}, 40)
	for i, old := range processors {
		m.awaitOwns(old, 1)
		l.await(100)
		started := time.Now()
		joined := s.processor()
		m.awaitOwns(joined, 1)
		l.await(100)
		joining := m.stall(started, time.Now())

		mustNotFence(t, old)
		started = time.Now()
		places := m.of(old)
		old.terminate()
		m.awaitMoved(places, old, started)
		leaving := m.stall(started, time.Now())
		t.Logf("longest stall: %v as one joined, %v as one left", joining, leaving)
		if joining > handoverLimit+busy || leaving > handoverLimit+busy {
			t.Errorf("longest stall: %v as one joined, %v as one left; want %v", joining, leaving, handoverLimit)
		}
		if strings.Contains(old.output(), `"msg":"settle failed`) {
			t.Error("settles of the one that left were rolled back, and not just a joint of them")
		}
		processors[i] = joined
	}
	for _, p := range processors {
		mustNotFence(t, p)
		if n := p.metric("monedero_settle_failures_total"); n != 0 {
			t.Errorf("%v settles were rolled back", n)
		}
	}
	s.check(l)
}
