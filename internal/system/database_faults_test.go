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
	recoverLimit = 10 * time.Second // from the end of a fault until all partitions move
	lockedFor    = 2 * time.Second  // by a migration
)

// dba is somebody with every right to the database.
type dba struct {
	t    *testing.T
	conn *pgx.Conn
}

func newDBA(t *testing.T, database string) *dba {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	return &dba{t: t, conn: conn}
}

// exec runs statements.
func (d *dba) exec(statements ...string) {
	d.t.Helper()
	for _, sql := range statements {
		if _, err := d.conn.Exec(d.t.Context(), sql); err != nil {
			d.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// close must be called while the test runs, or in its cleanup.
func (d *dba) close() {
	if err := d.conn.Close(context.Background()); err != nil {
		d.t.Error(err)
	}
}

// disconnect ends every session of the services.
func (d *dba) disconnect() {
	const query = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database() and application_name like 'monedero-%'"
	if _, err := d.conn.Exec(context.Background(), query); err != nil {
		d.t.Error(err)
	}
}

// database is the database's name.
func (d *dba) database() string { return d.conn.Config().Database }

// awaitSQL waits until the question is answered with yes. Within a transaction the server shows what sessions do as
// it was at the first look, unless that is cleared.
func (d *dba) awaitSQL(question string) {
	d.t.Helper()
	awaitThat(d.t, question, func() (yes bool) {
		d.exec("select pg_stat_clear_snapshot()")
		if err := d.conn.QueryRow(d.t.Context(), question).Scan(&yes); err != nil {
			d.t.Fatal(err)
		}
		return yes
	})
}

// awaitAllMove waits until every partition that has a wallet has moved on from where it is now.
func (d *dba) awaitAllMove() {
	d.t.Helper()
	d.exec("drop table if exists pg_temp.before", "create temp table before as select partition, next_offset from partition_progress where partition in (select partition from wallets)")
	d.awaitSQL("select count(*) = 0 from before b join partition_progress p using (partition) where p.next_offset = b.next_offset")
}

// raise makes every insert of an operation fail with the SQLSTATE.
func raise(state string) func(*dba) {
	return func(d *dba) {
		d.exec("create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused' using errcode = '"+state+"'; end $$",
			"create trigger refuse before insert on operations for each row execute function refuse()")
	}
}

func raiseNoMore(d *dba) { d.exec("drop trigger refuse on operations", "drop function refuse") }

// deadlockTries is how often the server may end our side of a deadlock with the
// services before it ends theirs.
const deadlockTries = 20

// transaction commits what is done in it, or tries again where a deadlock with the
// services ended it.
func (d *dba) transaction(do func(pgx.Tx) error) {
	d.t.Helper()
	for range deadlockTries {
		err := pgx.BeginFunc(d.t.Context(), d.conn, do)
		var answer *pgconn.PgError
		switch {
		case err == nil:
			return
		case !errors.As(err, &answer) || answer.Code != "40P01":
			d.t.Fatal(err)
		}
	}
	d.t.Fatalf("ended by %d deadlocks in a row", deadlockTries)
}

// deadlock crosses the locks of a settle, until the server ends the settle for it. It takes those of one
// partition, in the order of a settle: of several, the first settle would wait, and look for a deadlock,
// before the last one does.
func (d *dba) deadlock() {
	d.t.Helper()
	d.exec("set deadlock_timeout = '5s'") // that of the services is shorter, so they find it
	d.transaction(func(tx pgx.Tx) error {
		if _, err := tx.Exec(d.t.Context(), "select from wallets where partition = (select min(partition) from wallets) order by id for update"); err != nil {
			return err
		}
		d.awaitSQL("select count(*) > 0 from pg_stat_activity where datname = current_database() " +
			"and application_name = 'monedero-processor' and wait_event_type = 'Lock' and query like '%from wallets%' " + // it has the progress
			"and query_start < clock_timestamp() - interval '200 ms'") // a joint settle has given up by then
		_, err := tx.Exec(d.t.Context(), "select from partition_progress where partition = (select min(partition) from wallets) for update")
		return err // nil: the settle held it, and gave way
	})
}

// migrate locks every table for a while, and changes one.
func (d *dba) migrate() {
	d.t.Helper()
	d.transaction(func(tx pgx.Tx) error {
		if _, err := tx.Exec(d.t.Context(), "lock table operations, wallets, account_balances, partition_progress in access exclusive mode"); err != nil {
			return err
		}
		time.Sleep(lockedFor)
		_, err := tx.Exec(d.t.Context(), "alter table operations add column extra text")
		return err
	})
	d.exec("alter table operations drop column extra") // the checker knows every column
}

// databaseFault is something that a database answers and that is no charge's
// fault. It lasts from inflict to mend.
type databaseFault struct {
	name          string
	sees          string // in the processor's log
	inflict, mend func(*dba)
}

func databaseFaults() []databaseFault {
	return []databaseFault{
		{"disk full", "SQLSTATE 53100", raise("53100"), raiseNoMore},
		{"out of memory", "SQLSTATE 53200", raise("53200"), raiseNoMore},
		{"serialization failure", "SQLSTATE 40001", raise("40001"), raiseNoMore},
		{"statement unknown to the database", "SQLSTATE 42883", raise("42883"), raiseNoMore},
		{
			"read-only", "read only connection",
			func(d *dba) {
				d.exec("alter database " + d.database() + " set default_transaction_read_only = on")
				d.disconnect()
			},
			func(d *dba) { d.exec("alter database " + d.database() + " reset default_transaction_read_only") },
		},
		{
			"grant lost", "SQLSTATE 42501",
			func(d *dba) { d.exec("revoke insert on operations from monedero_service") },
			func(d *dba) { d.exec("grant insert on operations to monedero_service") },
		},
		{
			"plans that a migration made invalid", "SQLSTATE 0A000",
			func(d *dba) { d.exec("alter table wallets alter column currency type varchar(3)") },
			func(d *dba) { d.exec("alter table wallets alter column currency type text") },
		},
	}
}

// sick is a system whose services reach the database through a proxy, as a user
// who may do no more than they need.
type sick struct {
	*stack
	*dba

	proxy     *proxytest.Proxy
	processor *process
	login     string
	load      *load
}

func newSick(t *testing.T, database string) *sick {
	t.Helper()
	s := &sick{stack: newStackOn(t, database, 4), dba: newDBA(t, database)}
	proxy, through := proxytest.StartURL(t, database)
	s.proxy = proxy
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	s.login = strings.TrimPrefix(u.Path, "/") + "_login"
	s.exec("create role " + s.login + " login password 'secret' in role monedero_service")
	t.Cleanup(func() {
		s.disconnect()
		if _, err := s.conn.Exec(context.Background(), "drop role "+s.login); err != nil {
			t.Error(err)
		}
		s.close()
	})
	u.User = url.UserPassword(s.login, "secret")
	s.env = append(s.env, "DATABASE_URL="+u.String())
	_, operator := s.ingest()
	s.processor = s.stack.processor()
	s.load = startLoad(t, newRand(t), []*api{operator}, 64) // some in each partition
	return s
}

// newOutput is a function that reports whether the processor has printed the text
// since now.
func (s *sick) newOutput(text string) func() bool {
	before := strings.Count(s.processor.output(), text)
	return func() bool { return strings.Count(s.processor.output(), text) > before }
}

// recovers waits until every partition moves on, and wants it to be soon.
func (s *sick) recovers(what string) {
	t := s.stack.t
	t.Helper()
	started := time.Now()
	s.awaitAllMove()
	took := time.Since(started).Round(time.Millisecond)
	t.Logf("%s: all partitions move after %v", what, took)
	if took > recoverLimit+busy {
		t.Errorf("%s: all partitions move after %v only, the goal is %v", what, took, recoverLimit)
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
	for _, fault := range append(databaseFaults(), []databaseFault{
		{
			"too many connections", "SQLSTATE 53300",
			func(d *dba) {
				d.exec("alter role " + s.login + " connection limit 0")
				d.disconnect()
			},
			func(d *dba) { d.exec("alter role " + s.login + " connection limit -1") },
		},
		{"connections cut", "settle failed", func(*dba) { s.proxy.Cut() }, func(*dba) {}},
		{
			"the answer to a commit lost", "settle failed",
			func(*dba) { s.proxy.CutAt(proxytest.ToClient, proxytest.Before("COMMIT\x00")) },
			func(*dba) { s.proxy.Heal() },
		},
		{"deadlock", "SQLSTATE 40P01", (*dba).deadlock, func(*dba) {}},
	}...) {
		seen := s.newOutput(fault.sees)
		fault.inflict(s.dba)
		awaitThat(t, fault.name+" is in the log", seen)
		fault.mend(s.dba)
		s.recovers(fault.name)
	}
	s.migrate()
	s.recovers("migration")
	// The checker wants each charge accepted whose wallet has the money.
	s.check(s.load)
}
