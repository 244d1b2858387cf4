package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/monedero/monedero/migrations"
)

// How long a migration waits for another one that is running.
const (
	migrationLockRetrySeconds = 1
	migrationLockRetries      = 300
)

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: not applied
}

// Migrate brings the schema up to date and returns the steps that it took. Each
// is one transaction; of several that run at once one works and the others
// wait. It is run by the owner of the schema. It fails with [ErrSchema] where the
// schema is newer than this program.
func Migrate(ctx context.Context, url string) ([]Migration, error) {
	provider, err := migrationProvider(url)
	if err != nil {
		return nil, err
	}
	steps, err := migrate(ctx, provider)
	return steps, errors.Join(advised(err), provider.Close())
}

func migrate(ctx context.Context, provider *goose.Provider) ([]Migration, error) {
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	steps := make([]Migration, 0, len(results))
	for _, r := range results {
		steps = append(steps, Migration{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: time.Now()})
	}
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return steps, fmt.Errorf("migrate: %w", err)
	}
	return steps, compareSchema(version)
}

// advised says what to do about what the owner of the URL may not do.
func advised(err error) error {
	switch {
	case sqlState(err) == codePrivilege && strings.Contains(sqlMessage(err), "role"):
		return fmt.Errorf("%w: the role %s is missing, and whoever migrates may not make or grant it: let an administrator run "+
			"`create role %[2]s nologin; grant %[2]s to <owner> with admin option`, then migrate again", err, serviceRole)
	case sqlState(err) == codePrivilege:
		return fmt.Errorf("%w: DATABASE_URL must name the owner of the database and of its tables: "+
			"`alter database <name> owner to <owner>; grant create on schema public to <owner>`", err)
	case sqlState(err) == codeReadOnly:
		return fmt.Errorf("%w: the database refuses writes: DATABASE_URL must lead to the primary", err)
	}
	return err
}

// MigrationStatus lists every step of the schema, in order.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	provider, err := migrationProvider(url)
	if err != nil {
		return nil, err
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read migration status: %w", err), provider.Close())
	}
	steps := make([]Migration, 0, len(status))
	for _, s := range status {
		steps = append(steps, Migration{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt})
	}
	return steps, provider.Close()
}

func migrationProvider(url string) (*goose.Provider, error) {
	config, err := sessions{application: "migrate"}.config(url)
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrationLockRetrySeconds, migrationLockRetries))
	if err != nil {
		return nil, fmt.Errorf("make migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}
