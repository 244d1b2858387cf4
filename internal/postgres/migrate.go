package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
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
// wait. It is run by the owner of the schema.
func Migrate(ctx context.Context, url string) ([]Migration, error) {
	provider, err := migrationProvider(url)
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrate: %w", err), provider.Close())
	}
	steps := make([]Migration, 0, len(results))
	for _, r := range results {
		steps = append(steps, Migration{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: time.Now()})
	}
	return steps, provider.Close()
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
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", withoutPassword(err))
	}
	config.RuntimeParams["application_name"] = applicationPrefix + "migrate"
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
