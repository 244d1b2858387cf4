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
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

var (
	//go:embed queries/dead_letters.sql
	deadLettersSQL string
	//go:embed queries/dead_letter.sql
	deadLetterSQL string
	//go:embed queries/resolutions.sql
	resolutionsSQL string
)

var (
	// ErrNoLetter says that there is no dead letter at the place.
	ErrNoLetter = errors.New("there is no dead letter at this place")
	// ErrResolvedMeanwhile says that somebody else took the next step first.
	ErrResolvedMeanwhile = errors.New("somebody else did something about this dead letter just now")
)

// LetterPlace is where a dead letter lay. Places are ordered by partition, log
// and offset.
type LetterPlace struct {
	Partition int
	ledger.Place
}

// String is partition/log/offset.
func (p LetterPlace) String() string {
	return fmt.Sprintf("%d/%d/%d", p.Partition, p.Log, p.Offset)
}

// DeadLetter is a record that could not be decided, as it came.
type DeadLetter struct {
	At        LetterPlace
	Record    record.Record // its Time is zero where none could be kept
	CreatedAt time.Time
	Operation ledger.OperationID // the failed operation, or the conflict, beside it; zero: none
	Reason    string
	next      Resolution
}

// Action is a step that a person takes about a dead letter.
type Action string

// The actions. Submitting is noted before the record is written, Submitted once
// it is known to be; Discarded and Submitted are final.
const (
	ActionDiscarded  Action = "discarded"
	ActionSubmitting Action = "submitting"
	ActionSubmitted  Action = "submitted"
)

// Resolution is one step about a dead letter; it is never changed.
type Resolution struct {
	Of        LetterPlace // the letter that it is noted with
	Number    int         // 1, 2, 3 ...
	At        time.Time
	Action    Action
	Operation ledger.OperationID // that the letter was submitted as; zero: none
	Partition int                // where the submitted record lies
	Offset    int64              // where the submitted record lies
	By        string             // who, and where
	Reason    string             // of a discard: why; of a submission: the new operation's key, in words
}

// LetterFilter says which dead letters to list.
type LetterFilter struct {
	Partitions []int        // only these; empty: all
	Done       bool         // also those that were discarded or submitted
	Reason     string       // only those whose reason holds this text
	From       time.Time    // only those that were set aside then or later; zero: all
	Until      time.Time    // only those that were set aside before; zero: all
	After      *LetterPlace // those behind it
	Limit      int
}

// DeadLetters lists dead letters in the order of their places. It fails with
// [ErrNoPartition].
func (s *Store) DeadLetters(ctx context.Context, f LetterFilter) ([]DeadLetter, error) {
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
	after := LetterPlace{Partition: -1}
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

// DeadLetter reads one, and what people did about it so far, or about another one
// with the same value: a log that is copied, or a record that is written again, has
// one request in many places, and it is to be charged once. It fails with
// [ErrNoLetter].
func (s *Store) DeadLetter(ctx context.Context, at LetterPlace) (DeadLetter, []Resolution, error) {
	if at.Partition < 0 || at.Partition > math.MaxInt32 {
		return DeadLetter{}, nil, ErrNoLetter
	}
	rows, err := s.pool.Query(ctx, deadLetterSQL, at.Partition, at.Log, at.Offset)
	if err != nil {
		return DeadLetter{}, nil, fmt.Errorf("read dead letter: %w", err)
	}
	letter, err := pgx.CollectExactlyOneRow(rows, scanLetter)
	if errors.Is(err, pgx.ErrNoRows) {
		return DeadLetter{}, nil, ErrNoLetter
	}
	if err != nil {
		return DeadLetter{}, nil, fmt.Errorf("read dead letter: %w", err)
	}
	if rows, err = s.pool.Query(ctx, resolutionsSQL, at.Partition, at.Log, at.Offset); err != nil {
		return DeadLetter{}, nil, fmt.Errorf("read resolutions: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanResolution)
	if err != nil {
		return DeadLetter{}, nil, fmt.Errorf("read resolutions: %w", err)
	}
	var steps []Resolution
	for _, r := range all {
		if r.Number > 0 {
			steps = append(steps, r)
		}
	}
	slices.SortStableFunc(steps, func(a, b Resolution) int { return a.At.Compare(b.At) })
	letter.next = Resolution{Of: all[0].Of, Number: 1}
	if n := len(steps); n > 0 {
		letter.next = Resolution{Of: steps[n-1].Of, Number: steps[n-1].Number + 1}
	}
	return letter, steps, nil
}

// Next is the next step about the letter: of all that have the same value, it is
// noted with the one that has the last step, or else with the first.
func (l DeadLetter) Next() Resolution { return l.next }

// Resolve notes a step about a dead letter; durable when it returns nil. It fails
// with [ErrResolvedMeanwhile] if there is a step of this number.
func (s *Store) Resolve(ctx context.Context, r Resolution) error {
	step := ledger.Facts{"step": strconv.Itoa(r.Number)}
	if r.Action == ActionSubmitted {
		step["partition"], step["offset"] = strconv.Itoa(r.Partition), strconv.FormatInt(r.Offset, 10)
	}
	err := recordChange(ctx, s.pool, r.Of.Partition, ledger.Change{
		By: ledger.Person(r.By, r.Reason), Action: "dead_letter_" + ledger.Action(r.Action), About: r.Of.String(), Operation: r.Operation, After: step,
	})
	if sqlState(err) == codeUnique {
		return ErrResolvedMeanwhile
	}
	return err
}

func scanLetter(row pgx.CollectableRow) (DeadLetter, error) {
	var l DeadLetter
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
func scanResolution(row pgx.CollectableRow) (Resolution, error) {
	var r Resolution
	var number, partition pgtype.Int4
	var at pgtype.Timestamptz
	var action, by, reason pgtype.Text
	var operation pgtype.UUID
	var offset pgtype.Int8
	err := row.Scan(&r.Of.Partition, &r.Of.Log, &r.Of.Offset, &number, &at, &action, &operation, &partition, &offset, &by, &reason)
	r.Number, r.At, r.Action, r.By, r.Reason = int(number.Int32), utc(at), Action(action.String), by.String, reason.String
	r.Operation, r.Partition, r.Offset = operation.Bytes, int(partition.Int32), offset.Int64
	return r, err
}
