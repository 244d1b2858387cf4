// Package pgtest gives each test a migrated database of its own, on the server
// at DATABASE_URL, or else on one that it starts once for the test process.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/migrations"
)

// templateLock is the advisory lock of whoever makes the template.
const templateLock = 0x6d6f6e6564657265

// setupTimeout is how long making or dropping a database may take: a busy
// machine, and several test processes that wait for one template.
const setupTimeout = 2 * time.Minute

var (
	server   = &lazyServer{}
	template = sync.OnceValues(makeTemplate)
)

// New returns the URL of a fresh, migrated database, as its owner. It is dropped
// when the test ends. Without a server the test fails.
func New(t testing.TB) string {
	t.Helper()
	name, err := template()
	if err != nil {
		t.Fatalf("no database to test on: %v", err)
	}
	return create(t, name)
}

// Empty is like New, but nothing is migrated.
func Empty(t testing.TB) string {
	t.Helper()
	return create(t, "template0")
}

// Main runs the tests of a package and stops the server after them, if it was
// started here: goleak.VerifyTestMain(pgtest.Main{M: m}).
type Main struct{ M interface{ Run() int } }

// Run returns the exit code.
func (m Main) Run() int {
	code := m.M.Run()
	if err := server.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the test server:", err)
		return max(code, 1)
	}
	return code
}

// lazyServer starts with the first test that needs it.
type lazyServer struct {
	once sync.Once
	p    *devstack.Postgres
	err  error
}

func (s *lazyServer) url() (string, error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		s.p, s.err = devstack.StartPostgres(ctx, devstack.PostgresOptions{URL: os.Getenv("DATABASE_URL")})
	})
	if s.err != nil {
		return "", fmt.Errorf("start postgres: %w", s.err)
	}
	return s.p.URL(), nil
}

// stop ends a server that was started here; it is not started again.
func (s *lazyServer) stop() error {
	s.once.Do(func() { s.err = errors.New("the tests are over") })
	if s.p == nil {
		return nil
	}
	return s.p.Stop()
}

// create clones a database and drops the clone at the end of the test.
func create(t testing.TB, from string) string {
	t.Helper()
	name := "monedero_test_" + strings.ToLower(rand.Text()[:16])
	if err := maintain(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf("create database %s template %s", name, from))
		return err
	}); err != nil {
		t.Fatalf("create a database to test on: %v", err)
	}
	t.Cleanup(func() {
		if err := maintain(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, fmt.Sprintf("drop database %s with (force)", name))
			return err
		}); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	u, err := databaseURL(name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// makeTemplate migrates a database that all test processes clone. Its name
// tells which migrations it has had; it stays for the next process.
func makeTemplate() (string, error) {
	hash, err := migrationsHash()
	if err != nil {
		return "", err
	}
	name := "monedero_template_" + hash
	building := name + "_building"
	err = maintain(func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(templateLock)); err != nil {
			return fmt.Errorf("lock template: %w", err)
		}
		var exists bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil || exists {
			return err
		}
		for _, sql := range []string{"drop database if exists " + building, "create database " + building + " template template0"} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		u, err := databaseURL(building)
		if err != nil {
			return err
		}
		if _, err := postgres.Migrate(ctx, u); err != nil {
			return err
		}
		// Only a whole template has the name that others look for.
		_, err = conn.Exec(ctx, fmt.Sprintf("alter database %s rename to %s", building, name))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make template database: %w", err)
	}
	return name, nil
}

func migrationsHash() (string, error) {
	sum := sha256.New()
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return "", fmt.Errorf("list migrations: %w", err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(migrations.FS, file)
		if err != nil {
			return "", fmt.Errorf("read migration: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", file, len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}

// maintain runs do on a connection to the server's own database; the end of the
// connection frees what do locked.
func maintain(do func(context.Context, *pgx.Conn) error) error {
	address, err := server.url()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return errors.Join(do(ctx, conn), conn.Close(ctx))
}

func databaseURL(name string) (string, error) {
	address, err := server.url()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return "", errors.New("DATABASE_URL must be a URL: postgres://user:password@host:port/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
