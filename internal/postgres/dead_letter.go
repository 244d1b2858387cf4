package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

var (
	//go:embed queries/dead_letters.sql
	deadLettersSQL string
	//go:embed queries/dead_letter.sql
	deadLetterSQL string
	//go:embed queries/resolutions.sql
	resolutionsSQL string
)

// DeadLetters lists dead letters in the order of their places. It fails with
// [ErrNoPartition].
func (s *Store) DeadLetters(ctx context.Context, f repair.LetterFilter) ([]repair.DeadLetter, error) {
	if err := s.deployment.Check(f.Partitions...); err != nil {
		return nil, err
	}
	partitions := make([]int32, 0, s.deployment.Partitions)
	for _, p := range f.Partitions {
		partitions = append(partitions, int32(p))
	}
	if len(partitions) == 0 {
		for p := range s.deployment.Partitions {
			partitions = append(partitions, int32(p))
		}
	}
	after := repair.LetterPlace{Partition: -1}
	if f.After != nil {
		after = *f.After
	}
	rows, err := s.pool.Query(ctx, deadLettersSQL, partitions, after.Partition, after.Log, after.Offset, f.Done, f.Limit,
		f.Reason, orNull(f.From), orNull(f.Until))
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanLetter)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return list, nil
}

// Case is that of [repair.Letters]. It reads all dead letters.
func (s *Store) Case(ctx context.Context, at repair.LetterPlace) (c repair.Case, err error) {
	if at.Partition < 0 || at.Partition > math.MaxInt32 {
		return c, repair.ErrNoLetter
	}
	rows, err := s.pool.Query(ctx, deadLetterSQL, at.Partition, at.Log, at.Offset)
	if err != nil {
		return c, fmt.Errorf("read dead letter: %w", err)
	}
	c.DeadLetter, err = pgx.CollectExactlyOneRow(rows, scanLetter)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, repair.ErrNoLetter
	}
	if err != nil {
		return c, fmt.Errorf("read dead letter: %w", err)
	}
	if rows, err = s.pool.Query(ctx, resolutionsSQL, at.Partition, at.Log, at.Offset); err != nil {
		return c, fmt.Errorf("read resolutions: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanResolution)
	if err != nil {
		return c, fmt.Errorf("read resolutions: %w", err)
	}
	for _, r := range all {
		c.Places = append(c.Places, r.Of)
		if r.Number > 0 {
			c.Steps = append(c.Steps, r)
		}
	}
	c.Places = slices.Compact(c.Places)
	slices.SortStableFunc(c.Steps, func(a, b repair.Resolution) int { return a.At.Compare(b.At) })
	return c, nil
}

// Resolve notes a step about a dead letter; durable when it returns nil. It fails
// with [repair.ErrResolvedMeanwhile] if there is a step of this number.
func (s *Store) Resolve(ctx context.Context, r repair.Resolution) error {
	step := ledger.Facts{"step": strconv.Itoa(r.Number)}
	if r.Action == repair.ActionSubmitted {
		step["partition"], step["offset"] = strconv.Itoa(r.Partition), strconv.FormatInt(r.Offset, 10)
	}
	err := recordChange(ctx, s.pool, r.Of.Partition, ledger.Change{
		By: ledger.Person(r.By, r.Reason), Action: "dead_letter_" + ledger.Action(r.Action), About: r.Of.String(), Operation: r.Operation, After: step,
	})
	if sqlState(err) == codeUnique {
		return repair.ErrResolvedMeanwhile
	}
	return err
}

func scanLetter(row pgx.CollectableRow) (repair.DeadLetter, error) {
	var l repair.DeadLetter
	var at pgtype.Timestamptz
	var operation pgtype.UUID
	var headers string
	if err := row.Scan(&l.At.Partition, &l.At.Log, &l.At.Offset, &at, &l.CreatedAt, &operation, &l.Record.Key, &l.Record.Value,
		&headers, &l.Reason); err != nil {
		return l, err
	}
	l.Record.Offset, l.Record.Time, l.Operation = l.At.Offset, utc(at), operation.Bytes
	l.CreatedAt = l.CreatedAt.UTC()
	var list []struct{ Key, Value []byte }
	if err := json.Unmarshal([]byte(headers), &list); err != nil {
		return l, fmt.Errorf("read headers: %w", err)
	}
	for _, h := range list {
		l.Record.Headers = append(l.Record.Headers, record.Header{Key: string(h.Key), Value: h.Value})
	}
	return l, nil
}

// scanResolution reads a step; its number is 0 where a letter has none.
func scanResolution(row pgx.CollectableRow) (repair.Resolution, error) {
	var r repair.Resolution
	var number, partition pgtype.Int4
	var at pgtype.Timestamptz
	var action, by, reason pgtype.Text
	var operation pgtype.UUID
	var offset pgtype.Int8
	err := row.Scan(&r.Of.Partition, &r.Of.Log, &r.Of.Offset, &number, &at, &action, &operation, &partition, &offset, &by, &reason)
	r.Number, r.At, r.Action, r.By, r.Reason = int(number.Int32), utc(at), repair.Action(action.String), by.String, reason.String
	r.Operation, r.Partition, r.Offset = operation.Bytes, int(partition.Int32), offset.Int64
	return r, err
}
