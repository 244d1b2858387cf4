package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/claim.sql
	claimSQL string
	//go:embed queries/progress_states.sql
	progressStatesSQL string
	//go:embed queries/note_halt.sql
	noteHaltSQL string
)

// Claim raises the partition's epoch: from then on no settle under an earlier
// one commits. It waits for a settle that is committing, and ends the session
// of one whose process has stopped.
func (s *Store) Claim(ctx context.Context, topic string, partition int, known processor.Memory) (processor.Claim, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return processor.Claim{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.keepUnblocked(ctx, conn.Conn())()

	c := processor.Claim{Topic: topic, Partition: partition}
	var hash []byte
	err = conn.QueryRow(ctx, claimSQL, partition, topic, s.owner, known.Epoch, known.MovedEpoch, known.NextOffset).
		Scan(&c.History, &c.Log, &c.Epoch, &c.MovedEpoch, &c.FirstOffset, &c.NextOffset, &hash, &c.Partitions, &c.ClusterID, &c.Halt)
	if errors.Is(err, pgx.ErrNoRows) {
		return processor.Claim{}, refusedClaim(ctx, conn, topic, partition, known)
	}
	if err != nil {
		return processor.Claim{}, fmt.Errorf("claim partition: %w", err)
	}
	c.LastRecord = recordHash(hash)
	return c, nil
}

// refusedClaim says why a claim found no row that it may claim.
func refusedClaim(ctx context.Context, conn *pgxpool.Conn, topic string, partition int, known processor.Memory) error {
	list, err := progressStates(ctx, conn, []int{partition})
	if err != nil {
		return err
	}
	found, is := list[partition]
	switch {
	case !is || found.topic != topic:
		return fmt.Errorf("claim partition %d of %q: %w", partition, topic, processor.ErrNoProgress)
	case found.Behind(known):
		return &processor.RestoredError{Known: known, Found: found.Memory}
	case found.goal != nil:
		return &processor.UnfinishedMoveError{Goal: *found.goal}
	}
	return fmt.Errorf("claim partition %d: its progress was changed meanwhile", partition)
}

// Holds is that of [processor.Holder]. It locks nothing.
func (s *Store) Holds(ctx context.Context, known map[int]processor.Memory) (map[int]error, error) {
	found, err := progressStates(ctx, s.pool, slices.Collect(maps.Keys(known)))
	if err != nil {
		return nil, err
	}
	lost := map[int]error{}
	for partition, remembered := range known {
		now, is := found[partition]
		if !is {
			lost[partition] = processor.ErrNoProgress
		} else if err := remembered.Check(now.Memory); err != nil {
			lost[partition] = err
		}
	}
	return lost, nil
}

// progressState is where a progress stands, and of which topic it is.
type progressState struct {
	processor.Memory
	topic string
	goal  *int64 // of a move that is not finished
}

// progressStates are where the progress of the partitions stands, of those that have one.
func progressStates(ctx context.Context, db querier, partitions []int) (map[int]progressState, error) {
	rows, err := db.Query(ctx, progressStatesSQL, partitions)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	found := map[int]progressState{}
	var partition int
	var s progressState
	if _, err := pgx.ForEachRow(rows, []any{&partition, &s.topic, &s.History, &s.Log, &s.Epoch, &s.MovedEpoch, &s.NextOffset, &s.goal}, func() error {
		found[partition] = s
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return found, nil
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
