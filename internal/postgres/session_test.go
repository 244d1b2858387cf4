package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
)

// create writes something, whatever connection it gets.
func (w *world) create(ctx context.Context) error {
	_, _, err := w.store.CreateClient(ctx, ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest)
	return err
}

// each does something on every connection that the pool can have, all open at once.
func each(t *testing.T, pool *pgxpool.Pool, do func(*pgxpool.Conn)) {
	t.Helper()
	var all []*pgxpool.Conn
	defer func() {
		for _, conn := range all {
			conn.Release()
		}
	}()
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	for _, conn := range all {
		do(conn)
	}
}

// Sessions that became read-only, as those of a primary that was demoted, cost one
// statement, not one each, and not all that follow.
func TestSessionsThatBecameReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	each(t, w.store.Pool(), func(c *pgxpool.Conn) {
		if _, err := c.Exec(t.Context(), "set session characteristics as transaction read only"); err != nil {
			t.Error(err)
		}
	})
	if err := w.create(t.Context()); state(err) != "25006" {
		t.Fatalf("err: %v", err)
	}
	for range 2 * w.store.Pool().Config().MaxConns {
		if err := w.create(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Who may not migrate is told who may.
func TestMigrateAsAStranger(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	login := owner.Config().Database + "_stranger"
	t.Cleanup(func() {
		_, err := owner.Exec(context.Background(), "drop role "+login)
		if err = errors.Join(err, owner.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	if _, err := owner.Exec(t.Context(), "create role "+login+" login password 'secret'"); err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(login, "secret")
	if _, err := postgres.Migrate(t.Context(), u.String()); state(err) != "42501" || !strings.Contains(err.Error(), "must name the owner of the database") {
		t.Errorf("err: %v", err)
	}
}

// A database that refuses writes for a while is not connected to meanwhile, and is
// used again as soon as it takes them.
func TestDatabaseThatRefusesWritesForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.schemaOwner()
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	database := owner.Config().Database
	each(t, w.store.Pool(), func(*pgxpool.Conn) {})
	exec("alter database " + database + " set default_transaction_read_only = on")
	each(t, w.store.Pool(), func(c *pgxpool.Conn) {
		exec(fmt.Sprintf("select pg_terminate_backend(%d, 10000)", c.Conn().PgConn().PID()))
	})
	for range 3 {
		if err := w.create(within(t, 30*time.Second)); err == nil {
			t.Fatal("it was written to")
		}
	}
	if _, err := postgres.Connect(within(t, 5*time.Second), w.url, postgres.Options{}); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a service that starts now: %v", err)
	}
	exec("alter database " + database + " reset default_transaction_read_only")
	ctx := within(t, 10*time.Second)
	for w.create(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("it is not written to, although it could be")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// with is the URL with parameters.
func with(t *testing.T, text string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Of several hosts, one that takes connections and says nothing costs seconds.
func TestFirstHostThatSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, _ := proxytest.StartURL(t, w.url)
	dead.Stall(proxytest.ToServer)
	u, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = dead.Address() + "," + u.Host
	began := time.Now()
	s, err := postgres.Connect(within(t, time.Minute), u.String(), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if took := time.Since(began); took < 2*time.Second || took > 20*time.Second {
		t.Errorf("connected after %s, want 3 s", took)
	}
	began = time.Now()
	if s, err = postgres.Connect(within(t, time.Minute), with(t, u.String(), "connect_timeout", "1"), postgres.Options{}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("connected after %s, the URL says 1 s", took)
	}
}

// What a session has, although the server, the database or the URL says otherwise.
func TestSessionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.schemaOwner()
	refused := func(name, address, want string) {
		t.Helper()
		if _, err := postgres.Connect(within(t, 20*time.Second), address, postgres.Options{}); !errors.Is(err, postgres.ErrUnsafe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := postgres.RegisterTopic(within(t, 20*time.Second), address, w.deployment()); !errors.Is(err, postgres.ErrUnsafe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: a command of the owner: %v", name, err)
		}
	}
	if _, err := owner.Exec(t.Context(), "create schema books; grant usage on schema books to public"); err != nil {
		t.Fatal(err)
	}
	refused("another schema", with(t, w.url, "search_path", "books,public"), `the schema "books"`)
	refused("a schema that is not there", with(t, w.url, "search_path", "nowhere"), `the schema ""`)
	if _, err := postgres.Migrate(t.Context(), with(t, pgtest.Empty(t), "search_path", "books")); !errors.Is(err, postgres.ErrUnsafe) {
		t.Errorf("to migrate into another schema: %v", err)
	}
	if _, err := owner.Exec(t.Context(), "alter database "+owner.Config().Database+" set synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	refused("a database that does not wait for its log", w.url, "synchronous_commit is off")
	if s, err := postgres.Connect(t.Context(), with(t, w.url, "synchronous_commit", "local"), postgres.Options{}); err != nil {
		t.Errorf("synchronous_commit = local: %v", err)
	} else {
		s.Close()
	}
}

func TestServersThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"fsync", "full_page_writes"} {
		server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Settings: map[string]string{setting: "off"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.Migrate(t.Context(), server.URL()); !errors.Is(err, postgres.ErrUnsafe) || !strings.Contains(err.Error(), setting+" is off") {
			t.Errorf("%s: %v", setting, err)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A service or a command on the schema of another build says so, in one sentence.
func TestSchemaOfAnotherBuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.schemaOwner()
	both := func(sql string, want ...string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		_, service := postgres.Connect(t.Context(), w.url, postgres.Options{})
		command := postgres.RegisterTopic(t.Context(), w.url, w.deployment())
		for who, err := range map[string]error{"a service": service, "a command": command} {
			if !errors.Is(err, postgres.ErrSchema) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s after %s: %v", who, sql, err)
				continue
			}
			for _, text := range want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%s after %s: %v, want %q", who, sql, err, text)
				}
			}
		}
	}
	both("insert into goose_db_version (version_id, is_applied) values (1234, true)", "has version 1234", "at most")
	if _, err := postgres.Migrate(t.Context(), w.url); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("to migrate to an older schema: %v", err)
	}
	both("delete from goose_db_version where version_id in (1234, (select max(version_id) from goose_db_version where version_id < 1234))",
		"migrate up")
	if _, err := owner.Exec(t.Context(), "revoke select on goose_db_version from monedero_service"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Connect(t.Context(), w.url, postgres.Options{}); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("a schema from before its version could be read: %v", err)
	}
}

func TestBindGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.deployment()
	other.Group = "others"
	if err := postgres.RegisterTopic(t.Context(), w.url, other); !errors.Is(err, postgres.ErrGroup) {
		t.Errorf("another group was registered: %v", err)
	}
	running := w.connect("processor")
	if before, err := postgres.BindGroup(t.Context(), w.url, "others", "a person", "a test"); !errors.Is(err, postgres.ErrProcessorsRun) || before != "processors" {
		t.Errorf("while a processor is connected: %q, %v", before, err)
	}
	if d, err := w.store.Deployment(t.Context()); err != nil || d.CheckGroup("processors") != nil {
		t.Errorf("it was bound all the same: %+v, %v", d, err)
	}
	running.Close()
	if before, err := postgres.BindGroup(t.Context(), w.url, "others", "a person", "a test"); err != nil || before != "processors" {
		t.Errorf("before: %q, %v", before, err)
	}
	if before, err := postgres.BindGroup(t.Context(), w.url, "others", "a person", "once more"); err != nil || before != "others" {
		t.Errorf("before the same: %q, %v", before, err)
	}
	changes, _, err := w.changes("", 10, nil)
	if err != nil || len(changes) != 1 {
		t.Fatalf("changes: %+v, %v", changes, err)
	}
	want := ledger.Change{
		ID: changes[0].ID, At: changes[0].At, Login: changes[0].Login, By: ledger.Person("a person", "a test"), Action: ledger.ActionDeploymentChanged,
		About: "consumer_group", Before: ledger.Facts{"value": "processors"}, After: ledger.Facts{"value": "others"},
	}
	if diff := cmp.Diff(want, changes[0]); diff != "" {
		t.Error(diff)
	}
	if err := postgres.RegisterTopic(t.Context(), w.url, other); err != nil {
		t.Errorf("the group that it belongs to now: %v", err)
	}
}
