package postgres_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
)

func TestRegisterTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claim := w.claim(0)
	if err := postgres.RegisterTopic(t.Context(), w.url, w.deployment()); err != nil {
		t.Errorf("again: %v", err)
	}
	if again := w.claim(0); again.Epoch != claim.Epoch+1 {
		t.Errorf("registering again touched the progress: %+v", again)
	}
	got, err := w.store.Deployment(t.Context())
	if diff := cmp.Diff(w.deployment(), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, change := range map[string]func(*postgres.Deployment){
		"topic":      func(d *postgres.Deployment) { d.Topic = "other" },
		"partitions": func(d *postgres.Deployment) { d.Partitions *= 2 },
		"cluster":    func(d *postgres.Deployment) { d.ClusterID = "other" },
		"secret":     func(d *postgres.Deployment) { d.SecretCheck = minter(t, 'y').CheckValue() },
		"odd number": func(d *postgres.Deployment) { d.Partitions = 3 },
	} {
		d := w.deployment()
		change(&d)
		if err := postgres.RegisterTopic(t.Context(), w.url, d); err == nil {
			t.Errorf("another %s was registered", name)
		}
	}
	if after, err := w.store.Deployment(t.Context()); err != nil || !cmp.Equal(got, after) {
		t.Errorf("after: %+v, %v", after, err)
	}
	if err := got.CheckSecret(w.minter); err != nil {
		t.Error(err)
	}
	if err := got.CheckSecret(minter(t, 'y')); !errors.Is(err, postgres.ErrSecret) {
		t.Errorf("another secret: %v", err)
	}
	if err := postgres.RegisterTopic(t.Context(), pgtest.Empty(t), w.deployment()); !errors.Is(err, postgres.ErrNotMigrated) {
		t.Errorf("not migrated: %v", err)
	}
}

func TestConnectNeedsADeployment(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Connect(t.Context(), pgtest.New(t), postgres.Options{}); !errors.Is(err, postgres.ErrNoDeployment) {
		t.Errorf("migrated only: %v", err)
	}
	if _, err := postgres.Connect(t.Context(), pgtest.Empty(t), postgres.Options{}); !errors.Is(err, postgres.ErrNotMigrated) {
		t.Errorf("not migrated: %v", err)
	}
}

// A login that was not made a member of the service's role is told so: to migrate
// again would not help it.
func TestConnectNeedsTheRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.schemaOwner()
	login := owner.Config().Database + "_stranger"
	if _, err := owner.Exec(t.Context(), "create role "+login+" login password 'secret'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "drop role "+login); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(login, "secret")
	_, err = postgres.Connect(t.Context(), u.String(), postgres.Options{})
	if state(err) != "42501" || errors.Is(err, postgres.ErrNotMigrated) {
		t.Errorf("err: %v", err)
	}
}

func TestConnectFailsAtOnceWhereWaitingIsInVain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path += "_that_is_not_there"
	_, err = postgres.Connect(t.Context(), u.String(), postgres.Options{})
	if state(err) != "3D000" {
		t.Errorf("err: %v", err)
	}
	_, err = postgres.Connect(t.Context(), "postgres://u:pass%zzword@h/d", postgres.Options{})
	if err == nil || strings.Contains(err.Error(), "pass") {
		t.Errorf("a URL that cannot be read: %v", err)
	}
}

// A server that is not there yet is waited for, as long as the caller wants.
func TestConnectWaitsForTheServer(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	_ = nobody.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_, err = postgres.Connect(ctx, "postgres://u:secret@"+address+"/d", postgres.Options{})
	if err == nil || time.Since(began) < 500*time.Millisecond || strings.Contains(err.Error(), "secret") {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestMigrateConcurrentlyAndAgain(t *testing.T) {
	t.Parallel()
	address := pgtest.Empty(t)
	var group sync.WaitGroup
	steps := make(chan int, 3)
	for range cap(steps) {
		group.Go(func() {
			done, err := postgres.Migrate(t.Context(), address)
			if err != nil {
				t.Error(err)
			}
			steps <- len(done)
		})
	}
	group.Wait()
	close(steps)
	sum := 0
	for n := range steps {
		sum += n
	}
	status, err := postgres.MigrationStatus(t.Context(), address)
	if err != nil || len(status) == 0 || sum != len(status) {
		t.Fatalf("%d steps taken of %d, %v", sum, len(status), err)
	}
	for _, s := range status {
		if s.AppliedAt.IsZero() {
			t.Errorf("not applied: %+v", s)
		}
	}
}

// A database that cannot hold every text is refused: it would fail good charges.
func TestMigrateRefusesAnotherEncoding(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(pgtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	name := conn.Config().Database + "_latin"
	if _, err := conn.Exec(t.Context(), "create database "+name+" template template0 encoding 'LATIN1' locale 'C'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	address.Path = "/" + name
	if _, err := postgres.Migrate(t.Context(), address.String()); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("err: %v", err)
	}
}
