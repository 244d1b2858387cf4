package repair

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// ErrMove says that a progress is not moved as asked, because what is on record or
// in the log would not bear it. Nothing was changed.
var ErrMove = errors.New("the progress stays as it is")

// ErrMaybeMoved says that nobody knows whether the progress was moved: the answer to
// the commit was lost.
var ErrMaybeMoved = errors.New("it is unknown whether the progress was moved: look at `monedero partitions` before you do anything more")

// Move says where a person wants a progress to stand, and why.
type Move struct {
	Partition int
	Anchor    Anchor // what Offset counts from
	Offset    int64  // of the next record to settle
	DryRun    bool   // only say what it would do; the partition waits meanwhile
	NewLog    bool   // the log is another one than the one on record
	By        string
	Reason    string
}

// Anchor is what the offset of a move counts from.
type Anchor int

// The anchors.
const (
	FromZero  Anchor = iota // the offset itself
	FromStart               // the first offset of the log
	FromHere                // where the progress stands
	FromEnd                 // the offset behind the last record
)

// Log is the partition's log in Kafka, as moving a progress reads it.
type Log interface {
	// Bounds are the first offset of the log and the one behind its last record.
	Bounds(ctx context.Context) (start, end int64, err error)
	// Hash is of the record at the offset, which lies in the log; nil: a gap.
	Hash(ctx context.Context, offset int64) (*record.Hash, error)
	// Skip reads records that are passed over, from an offset on and none at or after
	// the end: at least one offset, and no more items than fit into one [ledger.Book].
	// Missing is how many of these offsets hold nothing that can be read, and are no gaps.
	Skip(ctx context.Context, c processor.Claim, from, end int64) (slice processor.Slice, missing int64, err error)
}

// Standing is where a progress stands as it is about to be moved.
type Standing struct {
	processor.Claim       // as if it were made now
	Made            bool  // there was no progress: this one was made, under the log with the highest number
	Reached         int64 // the furthest that it is known to have come in its log, before people set it back
}

// Passed is what became of a slice of records that were passed over.
type Passed struct {
	Failed int64 // failed operations, each with its dead letter
	Dead   int64 // dead letters and no more
	Known  int64 // had their outcome before, or were dead letters
}

// Setter sets the progress of partitions.
type Setter interface {
	// Set runs do in one transaction that holds the progress of the partition, which is
	// made where it is missing: no settle, claim nor direct operation comes between. It
	// commits when do returns nil, fails with ErrMaybeMoved where it is unknown whether it
	// did, and leaves nothing behind when it fails otherwise.
	Set(ctx context.Context, partition int, do func(Standing, Setting) error) error
}

// Setting is one transaction of a [Setter].
type Setting interface {
	// Furthest is the furthest offset that is on record for a log; negative: none.
	Furthest(ctx context.Context, log int32) (int64, error)
	// Pass records that the items of the slice are passed over: refusals as failed
	// operations and the others as dead letters, in the log of the claim. What is on record
	// already stays as it is. No wallet is touched.
	Pass(ctx context.Context, c processor.Claim, slice processor.Slice) (Passed, error)
	// Move sets the progress to m.To under m.Epoch, begins its counts anew, and writes
	// down who did so and why. Last is the hash of the record before m.To; nil: none.
	Move(ctx context.Context, m Moved, last *record.Hash, by ledger.Author) error
}

// Moved is what moving a progress did.
type Moved struct {
	Made     bool         // there was no progress: From is zero
	From, To ledger.Place // of the next record to settle, before and after
	Epoch    int64
	Passed         // what became of the records that were passed over
	Offsets  int64 // passed over that are in the log
	Missing  int64 // passed over that are in the log no more, or cannot be read
}

// SetProgress moves the progress of a partition, or makes it where it is missing,
// and records who did so and why, in one transaction. It raises the epoch, so that
// no settle under an earlier claim commits any more, and begins the counts anew.
//
// Every record that is passed over and still in the log gets an outcome in the same
// transaction: a failed operation with its dead letter, or a dead letter, as
// [Log.Skip] says. Those are the records from the old position on; of a new log, and
// where there was no progress, those from the start of the log on. Going back changes
// nothing that is on record. It fails with [ErrMove] where the log does not bear it, and
// with [ErrMaybeMoved] where nobody knows what it came to.
//
// It keeps no more than one slice in memory.
func SetProgress(ctx context.Context, setter Setter, log Log, m Move) (Moved, error) {
	mover := mover{move: m, log: log}
	err := setter.Set(ctx, m.Partition, func(before Standing, s Setting) error {
		mover.before, mover.setting = before, s
		if err := mover.run(ctx); err != nil {
			return err
		}
		if m.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return Moved{}, err
	}
	return mover.moved, nil
}

// errDryRun takes back what a dry run did.
var errDryRun = errors.New("a dry run")

// mover moves one progress in an open transaction.
type mover struct {
	move       Move
	log        Log
	setting    Setting
	before     Standing // where the progress stood, or was made
	start, end int64    // of the log in Kafka
	moved      Moved
}

func (m *mover) run(ctx context.Context) (err error) {
	// The bounds are read while the progress is held: they hold all that was settled.
	if m.start, m.end, err = m.log.Bounds(ctx); err != nil {
		return err
	}
	switch m.move.Anchor {
	case FromZero:
	case FromStart:
		m.move.Offset += m.start
	case FromHere:
		m.move.Offset += m.before.NextOffset
	case FromEnd:
		m.move.Offset += m.end
	}
	if err := m.check(ctx); err != nil {
		return err
	}
	m.aim()
	if err := m.pass(ctx); err != nil {
		return err
	}
	var last *record.Hash
	if to := m.moved.To.Offset; to > m.start {
		if last, err = m.log.Hash(ctx, to-1); err != nil {
			return err
		}
	}
	return m.setting.Move(ctx, m.moved, last, ledger.Person(m.move.By, m.move.Reason))
}

// check refuses what the log and the record do not bear.
func (m *mover) check(ctx context.Context) error {
	if m.move.Offset < m.start || m.move.Offset > m.end {
		return fmt.Errorf("%w: the log has the offsets %d to %d (the next one), and not %d", ErrMove, m.start, m.end, m.move.Offset)
	}
	why, sure, err := m.another(ctx)
	switch {
	case err != nil:
		return err
	case why != "" && !m.move.NewLog:
		return fmt.Errorf("%w: %s: it is another log (--new-log)", ErrMove, why)
	case why == "" && sure && m.move.NewLog:
		return fmt.Errorf("%w: the log holds the record at offset %d that was settled: it is log %d still (without --new-log)",
			ErrMove, m.before.NextOffset-1, m.before.Log)
	}
	return nil
}

// another says why the log cannot be the one on record; nothing: it may be. It is
// sure where the log holds the record that was settled last.
func (m *mover) another(ctx context.Context) (why string, sure bool, err error) {
	last, want := m.before.NextOffset-1, m.before.LastRecord
	if want != nil && last >= m.start && last < m.end {
		found, err := m.log.Hash(ctx, last)
		switch {
		case err != nil:
			return "", false, err
		case found == nil:
			return fmt.Sprintf("the log holds no record at offset %d any more", last), false, nil
		case *found != *want:
			return fmt.Sprintf("the log holds another record at offset %d than was settled", last), false, nil
		}
		sure = true
	}
	if !m.before.Made && max(m.before.Reached, m.before.NextOffset) <= m.end {
		return "", sure, nil
	}
	// Settling came further than the log reaches, or nobody knows how far: new
	// records would come to places that others have.
	furthest, err := m.setting.Furthest(ctx, m.before.Log)
	if err != nil {
		return "", false, err
	}
	if furthest >= m.end {
		return fmt.Sprintf("offset %d is on record, and the log ends at %d", furthest, m.end), sure, nil
	}
	return "", sure, nil
}

// aim is where the progress is to stand.
func (m *mover) aim() {
	m.moved.Made, m.moved.Epoch = m.before.Made, NextEpoch(m.before.Epoch)
	m.moved.To = ledger.Place{Log: m.before.Log, Offset: m.move.Offset}
	if !m.before.Made {
		m.moved.From = ledger.Place{Log: m.before.Log, Offset: m.before.NextOffset}
	}
	if m.move.NewLog {
		m.moved.To.Log++
	}
}

// pass gives every record that is passed over its outcome.
func (m *mover) pass(ctx context.Context) error {
	from := m.before.NextOffset
	if m.before.Made || m.move.NewLog {
		from = m.start
	}
	if from < m.start {
		m.moved.Missing = min(m.start, m.move.Offset) - from
		from = m.start
	}
	claim := m.before.Claim
	claim.Log = m.moved.To.Log
	for from < m.move.Offset {
		slice, missing, err := m.log.Skip(ctx, claim, from, m.move.Offset)
		if err != nil {
			return err
		}
		passed, err := m.setting.Pass(ctx, claim, slice)
		if err != nil {
			return fmt.Errorf("pass over offsets %d to %d: %w", slice.From, slice.To, err)
		}
		m.moved.add(passed)
		m.moved.Offsets += slice.To - slice.From - missing
		m.moved.Missing += missing
		from = slice.To
	}
	return nil
}

func (p *Passed) add(o Passed) {
	p.Failed += o.Failed
	p.Dead += o.Dead
	p.Known += o.Known
}
