package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/migrations"
)

// ErrSchema says that the schema is not the one that this program was built for.
var ErrSchema = errors.New("the schema of the database is not this program's")

// querier is a connection or a pool of them.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// checkSchema fails with ErrSchema unless the database has exactly the migrations that
// this program knows, and with [ErrNotMigrated] where it has none.
func checkSchema(ctx context.Context, q querier) error {
	var found int64
	err := q.QueryRow(ctx, schemaVersionSQL).Scan(&found)
	switch {
	case sqlState(err) == codeUndefinedTable:
		return fmt.Errorf("%w: run `monedero migrate up` first", ErrNotMigrated)
	case sqlState(err) == codePrivilege && !connecting(err):
		// Services may read the version since the migration that says so here.
		return fmt.Errorf("%w: it has a version below %d, and this program needs %d: run `monedero migrate up`", ErrSchema, readableSince, migrations.Latest())
	case err != nil:
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	return compareSchema(found)
}

// compareSchema fails with ErrSchema unless the version is the one of this program.
func compareSchema(found int64) error {
	switch want := migrations.Latest(); {
	case found < want:
		return fmt.Errorf("%w: it has version %d, and this program needs %d: run `monedero migrate up`", ErrSchema, found, want)
	case found > want:
		return fmt.Errorf("%w: it has version %d, and this program knows %d at most: run a newer build", ErrSchema, found, want)
	}
	return nil
}

// readableSince is the migration that lets services read the version.
const readableSince = 13
