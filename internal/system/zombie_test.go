package system

import (
	"bytes"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/proxytest"
)

// claimLimit is how long a partition may wait, after it was claimed, for the
// session of an owner that is stopped.
const claimLimit = 2 * time.Second

// How a client ends what it copies, and a pipeline of statements.
const (
	copyDone    = "c\x00\x00\x00\x04"
	syncMessage = "S\x00\x00\x00\x04"
)

// pipelineAfterCopy finds the n-th pipeline behind a COPY that runs statements; pass says
// how many of its bytes go through. A pipeline that prepares them goes before it the first
// time that a session runs one, and is not counted.
func pipelineAfterCopy(n int, pass func(chunk []byte) int) func([]byte) int {
	copied, first := false, byte(0) // the first message of the pipeline
	return func(chunk []byte) int {
		copied = copied || bytes.Contains(chunk, []byte("PGCOPY\n"))
		if !copied || bytes.HasSuffix(chunk, []byte(copyDone)) {
			first = 0
			return -1
		}
		if first == 0 {
			first = chunk[0]
		}
		if !bytes.HasSuffix(chunk, []byte(syncMessage)) {
			return -1
		}
		prepares := first == 'P'
		first = 0
		if prepares {
			return -1
		}
		n--
		if n > 0 {
			return -1
		}
		return pass(chunk)
	}
}

// TestZombies stops a processor at a chosen point of a settle, until another one
// has taken its partition, and lets it go on.
func TestZombies(t *testing.T) {
	t.Parallel()
	nothing := func([]byte) int { return 0 }
	for name, c := range map[string]struct {
		at     func([]byte) int
		locked bool // the stopped session holds the partition's lock
	}{
		"before a transaction":        {at: pipelineAfterCopy(2, nothing)},
		"between statements":          {at: proxytest.Before("PGCOPY\n"), locked: true},
		"in the middle of COPY":       {at: proxytest.Within("PGCOPY\n"), locked: true},
		"in the middle of a pipeline": {at: pipelineAfterCopy(1, func(chunk []byte) int { return len(chunk) / 2 }), locked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, 1)
			_, operator := s.ingest()
			proxy, env := s.behind()
			zombie := s.processor(env)
			m := watchMotion(t, s.database)
			l := startLoad(t, newRand(t), []*api{operator}, 10)
			m.awaitOwns(zombie, 1)
			l.await(100)
			resume := l.quiet() // it is the successor that is to end what holds the lock
			trap := proxy.HoldAt(proxytest.ToServer, c.at)
			awaitTrap(t, trap)
			zombie.suspend()
			successor := s.processor() // alone in the group, once the zombie is given up
			claimed := s.awaitClaim(m, zombie, c.locked)
			took := m.awaitMoved(map[int]int64{0: m.at(0)}, zombie, claimed)
			t.Logf("from the claim to the next settle: %v", took)
			if took > claimLimit+busy {
				t.Errorf("from the claim to the next settle: %v, want %v", took, claimLimit)
			}
			zombie.resume()
			trap.Release()
			if c.locked {
				successor.awaitOutput("ended a session that held a lock")
			} else {
				awaitThat(t, "the zombie is fenced", func() bool { return zombie.metric("monedero_fenced_total") == 1 })
			}
			resume()
			l.await(100)
			mustNotFence(t, successor)
			s.check(l)
		})
	}
}

func awaitTrap(t *testing.T, trap *proxytest.Trap) {
	t.Helper()
	select {
	case <-trap.Sprung():
	case <-time.After(awaitTimeout):
		t.Fatal("the trap was not hit")
	}
}

// awaitClaim waits until another processor claims the zombie's partition, and
// returns when it did: when its claim is seen to wait where the zombie holds the
// lock, else when it has the partition.
func (s *stack) awaitClaim(m *motion, zombie *process, locked bool) time.Time {
	s.t.Helper()
	awaitThat(s.t, "the partition is claimed by another", func() bool {
		if !locked {
			return len(m.of(zombie)) == 0
		}
		return s.count("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "+
			"and query like '%update partition_progress p%'") > 0
	})
	return time.Now()
}
