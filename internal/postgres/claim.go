package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/claim.sql
	claimSQL string
	//go:embed queries/holds.sql
	holdsSQL string
	//go:embed queries/note_halt.sql
	noteHaltSQL string
)

// Claim raises the partition's epoch: from then on no settle under an earlier
// one commits. It waits for a settle that is committing, and ends the session
// of one whose process has stopped.
func (s *Store) Claim(ctx context.Context, topic string, partition int) (processor.Claim, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return processor.Claim{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.watch(ctx, conn.Conn())()

	c := processor.Claim{Topic: topic, Partition: partition}
	var hash []byte
	err = conn.QueryRow(ctx, claimSQL, partition, topic, s.owner).
		Scan(&c.Log, &c.Epoch, &c.FirstOffset, &c.NextOffset, &hash, &c.Partitions, &c.ClusterID, &c.Halt)
	if errors.Is(err, pgx.ErrNoRows) {
		return processor.Claim{}, fmt.Errorf("claim partition %d of %q: %w", partition, topic, processor.ErrNoProgress)
	}
	if err != nil {
		return processor.Claim{}, fmt.Errorf("claim partition: %w", err)
	}
	if hash != nil {
		c.LastRecord = (*processor.RecordHash)(hash)
	}
	return c, nil
}

// Holds fails with [processor.ErrFenced] unless the partition's epoch is that of
// the claim. It locks nothing.
func (s *Store) Holds(ctx context.Context, c processor.Claim) error {
	var epoch int64
	err := s.pool.QueryRow(ctx, holdsSQL, c.Partition).Scan(&epoch)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: partition %d has no progress row", processor.ErrFenced, c.Partition)
	case err != nil:
		return fmt.Errorf("read epoch: %w", err)
	case epoch != c.Epoch:
		return fmt.Errorf("%w: epoch %d, not %d", processor.ErrFenced, epoch, c.Epoch)
	}
	return nil
}

// maxHaltCause bounds what is kept of a cause, in bytes.
const maxHaltCause = 1000

// NoteHalt writes down why the partition halts under the claim; empty: that it
// goes on. It fails with [processor.ErrFenced] unless the partition's epoch is that
// of the claim.
func (s *Store) NoteHalt(ctx context.Context, c processor.Claim, cause string) error {
	cause = strings.ToValidUTF8(strings.ReplaceAll(cause, "\x00", "?"), "?")
	if len(cause) > maxHaltCause {
		cause = strings.ToValidUTF8(cause[:maxHaltCause], "")
	}
	noted, err := s.pool.Exec(ctx, noteHaltSQL, c.Partition, c.Epoch, pgtype.Text{String: cause, Valid: cause != ""})
	switch {
	case err != nil:
		return fmt.Errorf("note halt: %w", err)
	case noted.RowsAffected() == 0:
		return processor.ErrFenced
	}
	return nil
}
