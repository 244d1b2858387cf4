package system

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
)

const (
	recoverLimit = 10 * time.Second // from the end of a fault until all partitions move, where nothing else slows it
	lockedFor    = 2 * time.Second  // by a migration
)

// sick is a system whose services reach the database through a proxy, as a user
// who may do no more than they need.
type sick struct {
	*stack
	proxy     *proxytest.Proxy
	processor *process
	login     string
	owner     *pgx.Conn // outlives every fault
	load      *load
}

func newSick(t *testing.T, database string) *sick {
	t.Helper()
	s := &sick{stack: newStackOn(t, database, 4)}
	u, err := url.Parse(database)
	s.must(err)
	s.proxy = proxytest.Start(t, u.Host)
	if s.owner, err = pgx.Connect(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	s.login = strings.TrimPrefix(u.Path, "/") + "_login"
	s.exec("create role " + s.login + " login password 'secret' in role monedero_service")
	t.Cleanup(s.close)
	u.Host, u.User = s.proxy.Address(), url.UserPassword(s.login, "secret")
	s.env = append(s.env, "DATABASE_URL="+u.String())
	_, operator := s.ingest()
	s.processor = s.stack.processor()
	s.load = startLoad(t, newRand(t), []*api{operator}, 16)
	return s
}

func (s *sick) close() {
	ctx := context.Background()
	s.disconnect()
	_, err := s.owner.Exec(ctx, "drop role "+s.login)
	if err := errors.Join(err, s.owner.Close(ctx)); err != nil {
		s.t.Error(err)
	}
}

func (s *sick) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// exec runs statements as the owner.
func (s *sick) exec(statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		if _, err := s.owner.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// disconnect ends every session of the services.
func (s *sick) disconnect() {
	_, err := s.owner.Exec(context.Background(), "select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1", s.login)
	if err != nil {
		s.t.Error(err)
	}
}

// database is the database's name.
func (s *sick) database() string { return s.owner.Config().Database }

// raise makes every insert of an operation fail with the SQLSTATE.
func raise(state string) func(*sick) {
	return func(s *sick) {
		s.exec("create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused' using errcode = '"+state+"'; end $$",
			"create trigger refuse before insert on operations for each row execute function refuse()")
	}
}

func raiseNoMore(s *sick) { s.exec("drop trigger refuse on operations", "drop function refuse") }

// deadlock crosses the locks of a settle, until the server ended the settle for it.
func (s *sick) deadlock(seen func() bool) {
	s.exec("set deadlock_timeout = '5s'") // that of the services is shorter, so they find it
	for range 20 {
		s.exec("begin", "select from wallets for update")
		s.awaitSQL("select count(*) > 0 from pg_stat_activity where usename = '" + s.login + "' and wait_event_type = 'Lock'")
		_, err := s.owner.Exec(s.t.Context(), "select from partition_progress for update")
		var answer *pgconn.PgError
		if err != nil && (!errors.As(err, &answer) || answer.Code != "40P01") {
			s.t.Fatal(err)
		}
		s.exec("rollback")
		if seen() {
			return
		}
	}
	s.t.Error("the services met no deadlock")
}

// awaitSQL waits until the question is answered with yes.
func (s *sick) awaitSQL(question string) {
	s.t.Helper()
	awaitThat(s.t, question, func() (yes bool) {
		s.must(s.owner.QueryRow(s.t.Context(), question).Scan(&yes))
		return yes
	})
}

// newOutput is a function that reports whether the processor has printed the text
// since now.
func (s *sick) newOutput(text string) func() bool {
	before := strings.Count(s.processor.output(), text)
	return func() bool { return strings.Count(s.processor.output(), text) > before }
}

// recovers waits until every partition moves on.
func (s *sick) recovers(what string) {
	s.t.Helper()
	started := time.Now()
	s.exec("drop table if exists pg_temp.before", "create temp table before as select partition, next_offset from partition_progress")
	s.awaitSQL("select count(*) = 0 from before b join partition_progress p using (partition) where p.next_offset = b.next_offset")
	took := time.Since(started).Round(time.Millisecond)
	s.t.Logf("%s: all partitions move after %v", what, took)
	if took > recoverLimit {
		s.t.Errorf("%s: all partitions move after %v only, the goal is %v", what, took, recoverLimit)
	}
}

// TestDatabaseThatRefuses lets the database answer under load, one after the
// other, with everything that is no charge's fault.
func TestDatabaseThatRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries for half a minute")
	}
	t.Parallel()
	s := newSick(t, pgtest.New(t))
	for _, fault := range []struct {
		name          string
		sees          string // in the processor's log
		inflict, mend func(*sick)
	}{
		{"disk full", "SQLSTATE 53100", raise("53100"), raiseNoMore},
		{"out of memory", "SQLSTATE 53200", raise("53200"), raiseNoMore},
		{"serialization failure", "SQLSTATE 40001", raise("40001"), raiseNoMore},
		{"statement unknown to the database", "SQLSTATE 42883", raise("42883"), raiseNoMore},
		{
			"read-only", "SQLSTATE 25006",
			func(s *sick) {
				s.exec("alter database " + s.database() + " set default_transaction_read_only = on")
				s.disconnect()
			},
			func(s *sick) {
				s.exec("alter database " + s.database() + " reset default_transaction_read_only")
				s.disconnect()
			},
		},
		{
			"grant lost", "SQLSTATE 42501",
			func(s *sick) { s.exec("revoke insert on operations from monedero_service") },
			func(s *sick) { s.exec("grant insert on operations to monedero_service") },
		},
		{
			"too many connections", "SQLSTATE 53300",
			func(s *sick) {
				s.exec("alter role " + s.login + " connection limit 0")
				s.disconnect()
			},
			func(s *sick) { s.exec("alter role " + s.login + " connection limit -1") },
		},
		{
			"plans that a migration made invalid", "SQLSTATE 0A000",
			func(s *sick) { s.exec("alter table wallets alter column currency type varchar(3)") },
			func(s *sick) { s.exec("alter table wallets alter column currency type text") },
		},
		{
			"connections cut", "settle failed",
			func(s *sick) { s.proxy.Cut() },
			func(*sick) {},
		},
		{
			"the answer to a commit lost", "settle failed",
			func(s *sick) { s.proxy.CutAt(proxytest.ToClient, proxytest.Before("COMMIT\x00")) },
			func(s *sick) { s.proxy.Heal() },
		},
	} {
		seen := s.newOutput(fault.sees)
		fault.inflict(s)
		awaitThat(t, fault.name+" is in the log", seen)
		fault.mend(s)
		s.recovers(fault.name)
	}
	s.deadlock(s.newOutput("SQLSTATE 40P01"))
	s.recovers("deadlock")

	// A migration that holds all it changes for a while.
	s.exec("begin", "lock table operations, wallets, account_balances, partition_progress in access exclusive mode")
	time.Sleep(lockedFor)
	s.exec("alter table operations add column extra text", "commit")
	s.recovers("migration")
	s.exec("alter table operations drop column extra") // the checker knows every column
	// The checker wants every charge accepted: each wallet has the money.
	s.check(s.load)
}
