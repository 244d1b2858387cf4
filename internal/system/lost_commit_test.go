package system

import (
	"encoding/binary"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/proxytest"
)

// slowCommit makes a commit that inserted operations wait, before the commit
// point, for whoever holds the advisory lock 1.
const slowCommit = `
create function slow_commit() returns trigger language plpgsql security definer as
$$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
create constraint trigger slow_commit after insert on operations
deferrable initially deferred for each row execute function slow_commit()`

// cancelRequest is how a client begins a connection that asks for the statement of
// one backend to be cancelled.
func cancelRequest(backend int64) string {
	const code = 1234<<16 | 5678                                                                            // in place of a version of the protocol
	return string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, code), uint32(backend))) //nolint:gosec // a process ID
}

// TestCommitAnswerLost loses the connection of a settle while its old backend
// still commits, and again the answer alone. Both are our own commits.
func TestCommitAnswerLost(t *testing.T) {
	t.Parallel()
	s := newStack(t, 1)
	_, operator := s.ingest()
	proxy, env := s.behind()
	p := s.processor(env)
	m := watchMotion(t, s.database)
	owner, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(t.Context())
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(slowCommit)
	l := startLoad(t, newRand(t), []*api{operator}, 10)
	l.await(100)
	claims := p.metric("monedero_kafka_claims_total")
	resume := l.quiet() // their commits would wait too

	own := func(lose func()) {
		t.Helper()
		failed, stood := p.metric("monedero_settle_failures_total"), m.at(0)
		lose()
		awaitThat(t, "the loss was met", func() bool { return p.metric("monedero_settle_failures_total") > failed })
		awaitThat(t, "the partition moves on", func() bool { return m.at(0) > stood })
	}
	own(func() { awaitTrap(t, proxy.ForsakeAt(proxytest.ToClient, proxytest.Before("COMMIT\x00"))) })
	own(func() {
		exec("select pg_advisory_lock(1)")
		var backend int64
		awaitThat(t, "a commit waits", func() bool {
			// For so long it waits only alone: the joint settle before it gives up.
			backend = s.count("select coalesce(max(pid), 0) from pg_locks where locktype = 'advisory' and not granted and database = " +
				"(select oid from pg_database where datname = current_database()) and waitstart < clock_timestamp() - interval '200 ms'")
			return backend != 0
		})
		// The client does not ask for the old statement to be cancelled, which may be a commit that waits for a
		// standby. What it asks of other connections, which are forsaken as well, is none of this.
		cancel := proxy.CutAt(proxytest.ToServer, proxytest.Before(cancelRequest(backend)))
		proxy.Forsake()
		defer func() {
			select {
			case <-cancel.Sprung():
				t.Error("the server was asked to cancel a commit")
			default:
			}
		}()
		// The same again waits for the row that the old backend holds.
		awaitThat(t, "the settle is tried again", func() bool {
			return s.count("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "+
				"and wait_event <> 'advisory'") > 0
		})
		exec("select pg_advisory_unlock(1)")
	})
	resume()
	l.await(100)
	mustNotFence(t, p)
	if now := p.metric("monedero_kafka_claims_total"); now != claims || p.metric("monedero_kafka_fences_total") != 0 {
		t.Errorf("%v claims before, %v after: the partition was given up", claims, now)
	}
	s.check(l)
}
