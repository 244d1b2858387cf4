package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed queries/open_dead_letters.sql
	openDeadLettersSQL string
	//go:embed queries/last_verification.sql
	lastVerificationSQL string
	//go:embed queries/schema_version.sql
	schemaVersionSQL string
	//go:embed queries/note_verification.sql
	noteVerificationSQL string
)

// mostOpenLetters is how far open dead letters are counted.
const mostOpenLetters = 10_000

// DatabaseState is what is on record about the database as a whole.
type DatabaseState struct {
	OpenLetters   int       // dead letters that nobody did anything about, 10,000 at most
	SchemaVersion int64     // the last migration
	VerifiedAt    time.Time // when everything was last verified; zero: never
	Violations    int64     // that were found then
}

// DatabaseState reads what is on record about the database as a whole.
func (s *Store) DatabaseState(ctx context.Context) (d DatabaseState, err error) {
	if err := s.pool.QueryRow(ctx, openDeadLettersSQL, mostOpenLetters).Scan(&d.OpenLetters); err != nil {
		return DatabaseState{}, fmt.Errorf("count open dead letters: %w", err)
	}
	if err := s.pool.QueryRow(ctx, schemaVersionSQL).Scan(&d.SchemaVersion); err != nil {
		return DatabaseState{}, fmt.Errorf("read schema version: %w", err)
	}
	err = s.pool.QueryRow(ctx, lastVerificationSQL).Scan(&d.VerifiedAt, &d.Violations)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return DatabaseState{}, fmt.Errorf("read last verification: %w", err)
	}
	return d, nil
}

// NoteVerification writes down that everything was verified, from when on, by whom,
// and what came of it.
func (s *Store) NoteVerification(ctx context.Context, started time.Time, by string, r Report) error {
	if _, err := s.pool.Exec(ctx, noteVerificationSQL, started, r.Operations, r.Count(), by); err != nil {
		return fmt.Errorf("note verification: %w", err)
	}
	return nil
}
