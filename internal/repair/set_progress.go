package repair

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

var (
	// ErrMove says that a progress is not moved as asked, because what is on record or
	// in the log would not bear it. Nothing was changed.
	ErrMove = errors.New("the progress stays as it is")
	// ErrMaybeMoved says that nobody knows whether the progress was moved: the answer to
	// the commit was lost.
	ErrMaybeMoved = errors.New("it is unknown whether the progress was moved: look at `monedero partitions` before you do anything more")
	// ErrMovedMeanwhile says that somebody else set the progress between two slices of a
	// move. What was passed over until then stays so.
	ErrMovedMeanwhile = errors.New("somebody else set the progress meanwhile")
)

// Move says where a person wants a progress to stand, and why.
type Move struct {
	Partition int
	Anchor    Anchor // what Offset counts from
	Offset    int64  // of the next record to settle
	DryRun    bool   // only say what it would do, as things stand
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
	processor.Claim        // as if it were made now
	Made            bool   // there was no progress: this one was made, under the log with the highest number
	Reached         int64  // the furthest that it is known to have come in its log, before people set it back
	Goal            *int64 // where a move that is not finished is to bring it; nil: none
}

// Known is what is on record of the items of a slice.
type Known struct {
	Decided map[ledger.OperationID]ledger.Fingerprint // of operations
	Letters map[int64]bool                            // dead letters, by offset
}

// Reader reads what is on record of a slice in the log of the claim.
type Reader interface {
	Known(ctx context.Context, c processor.Claim, slice processor.Slice) (Known, error)
}

// Setter sets the progress of partitions. It reads what is on record at the moment.
type Setter interface {
	Reader
	// Set runs do in one transaction that holds the progress of the partition, which is
	// made where it is missing: no settle, claim nor direct operation comes between. It
	// commits when do returns nil, fails with ErrMaybeMoved where it is unknown whether it
	// did, and leaves nothing behind when it fails otherwise.
	Set(ctx context.Context, partition int, do func(Standing, Setting) error) error
}

// Setting is one transaction of a [Setter], in which nothing else is written down.
type Setting interface {
	Reader
	// Furthest is the furthest offset that is on record for a log; negative: none.
	Furthest(ctx context.Context, log int32) (int64, error)
	// Pass records that the items of the slice are passed over: refusals as failed
	// operations and the others as dead letters, in the log of the claim. What is known
	// already stays as it is. No wallet is touched.
	Pass(ctx context.Context, c processor.Claim, slice processor.Slice, known Known) error
	// Move sets the progress to m.To under m.Epoch, begins its counts anew, and writes
	// down who did so and why. Last is the hash of the record before m.To; nil: none.
	// Where the goal is another offset, the move is not finished: until one is, nobody can
	// claim the partition.
	Move(ctx context.Context, m Moved, goal int64, last *record.Hash, by ledger.Author) error
}

// Passed is what became of records that were passed over.
type Passed struct {
	Failed   int64           // failed operations, each with its dead letter
	Captures []FailedCapture // of the failed: the captures, in the log's order, at most MaxFailedCaptures
	Unnamed  int64           // captures that failed beyond those
	Dead     int64           // dead letters and no more
	Known    int64           // had their outcome before, or were dead letters
}

// Moved is what moving a progress did.
type Moved struct {
	Made     bool         // there was no progress: From is zero
	From, To ledger.Place // of the next record to settle, before and after
	Epoch    int64
	Passed          // what became of the records that were passed over
	Offsets  int64  // passed over that are in the log
	Missing  int64  // passed over that are in the log no more, or cannot be read
	Ends     *int64 // the goal of a move that was not finished, and whose place this one takes; nil: none
}

// SetProgress moves the progress of a partition, or makes it where it is missing,
// and records who did so and why. It raises the epoch, so that no settle under an
// earlier claim commits any more, and begins the counts anew.
//
// Every record that is passed over and still in the log gets an outcome: a failed
// operation with its dead letter, or a dead letter, as [Log.Skip] says. Those are the
// records from the old position on; of a new log, and where there was no progress,
// those from the start of the log on. Going back changes nothing that is on record.
//
// It goes slice by slice, each in a transaction of its own that moves the progress behind
// the slice: direct operations come between, and nobody can claim the partition until the
// goal is reached. Whatever breaks it off leaves a progress that says where it is to come,
// and another call brings it there. It then returns what was done until there with the
// error.
//
// It fails with [ErrMove] where the log does not bear it, be it after some slices, with [ErrMovedMeanwhile] where
// somebody else set the progress between two slices, and with [ErrMaybeMoved] where nobody
// knows what a slice came to. It keeps no more than one slice and the captures that it names
// in memory, and of a dry run the IDs that would fail.
func SetProgress(ctx context.Context, setter Setter, log Log, m Move) (Moved, error) {
	mover := mover{move: m, log: log, setter: setter, failing: map[ledger.OperationID]bool{}}
	err := mover.first(ctx)
	for err == nil && mover.at.Offset < mover.goal {
		err = mover.next(ctx)
	}
	// Whoever set it meanwhile knows better, and who does not know what was done is to look first.
	known := !errors.Is(err, ErrMovedMeanwhile) && !errors.Is(err, ErrMaybeMoved)
	if err != nil && known && !m.DryRun && mover.moved.Epoch != 0 {
		err = fmt.Errorf("%w (it is to come to offset %d: set it there, without --new-log, to go on)", err, mover.goal)
	}
	return mover.moved, err
}

// errDryRun takes back what a dry run did.
var errDryRun = errors.New("a dry run")

// mover moves one progress.
type mover struct {
	move    Move
	log     Log
	setter  Setter
	before  Standing                    // where the progress stood, or was made
	start   int64                       // of the log in Kafka
	end     int64                       // of the log in Kafka
	at      ledger.Place                // what is before it in its log is passed over
	goal    int64                       // the offset to come to
	epoch   int64                       // that the move goes under
	last    *record.Hash                // of the record before at, as the last slice had it; nil: not known
	failing map[ledger.OperationID]bool // of a dry run: what would have failed before
	moved   Moved                       // what is done so far; Epoch 0: nothing
}

// stretch is what one transaction passes over.
type stretch struct {
	processor.Slice
	missing int64        // offsets of it that hold nothing
	lost    int64        // offsets before it that are in the log no more
	last    *record.Hash // of the record at its end; nil: none
}

// first holds the progress, refuses what cannot be, takes an epoch, and passes the first
// slice over.
func (m *mover) first(ctx context.Context) error {
	var step Moved
	err := m.setter.Set(ctx, m.move.Partition, func(before Standing, s Setting) error {
		m.before = before
		if err := m.aim(ctx, s); err != nil {
			return err
		}
		from := ledger.Place{}
		if !before.Made {
			from = ledger.Place{Log: before.Log, Offset: before.NextOffset}
		}
		var lost int64
		switch {
		case before.Made || m.move.NewLog:
			m.at.Offset = m.start
		case before.NextOffset < m.start:
			lost, m.at.Offset = m.start-before.NextOffset, m.start
		}
		st, err := m.read(ctx)
		if err != nil {
			return err
		}
		st.lost = lost
		step, err = m.pass(ctx, s, s, from, st)
		return err
	})
	return m.done(step, err)
}

// next passes the next slice over, if nobody else set the progress since the last one. The
// slice is read before the progress is held.
func (m *mover) next(ctx context.Context) error {
	if err := m.same(ctx); err != nil {
		return err
	}
	st, err := m.read(ctx)
	if err != nil {
		return err
	}
	if m.move.DryRun {
		return m.done(m.pass(ctx, nil, m.setter, m.at, st))
	}
	var step Moved
	err = m.setter.Set(ctx, m.move.Partition, func(now Standing, s Setting) (err error) {
		if now.Epoch != m.epoch || (ledger.Place{Log: now.Log, Offset: now.NextOffset}) != m.at {
			return fmt.Errorf("%w: it is at log %d, offset %d, under epoch %d", ErrMovedMeanwhile, now.Log, now.NextOffset, now.Epoch)
		}
		step, err = m.pass(ctx, s, s, m.at, st)
		return err
	})
	return m.done(step, err)
}

// same refuses a log that was cut, or made anew, since the last slice.
func (m *mover) same(ctx context.Context) (err error) {
	if m.start, m.end, err = m.log.Bounds(ctx); err != nil {
		return err
	}
	if m.goal > m.end {
		return fmt.Errorf("%w: the log ends at offset %d now", ErrMove, m.end)
	}
	if m.last == nil || m.at.Offset <= m.start {
		return nil
	}
	found, err := m.log.Hash(ctx, m.at.Offset-1)
	if err == nil && (found == nil || *found != *m.last) {
		err = fmt.Errorf("%w: the log holds another record at offset %d than was passed over: it is another log", ErrMove, m.at.Offset-1)
	}
	return err
}

// done adds a step up once it is durable.
func (m *mover) done(step Moved, err error) error {
	if err != nil && !errors.Is(err, errDryRun) {
		return err
	}
	if m.moved.Epoch == 0 {
		m.moved.Made, m.moved.From, m.moved.Epoch, m.moved.Ends = step.Made, step.From, step.Epoch, m.before.Goal
	}
	m.moved.To, m.at = step.To, step.To
	m.moved.Failed += step.Failed
	m.moved.Captures = append(m.moved.Captures, step.Captures...)
	m.moved.Unnamed += step.Unnamed
	m.moved.Dead += step.Dead
	m.moved.Known += step.Known
	m.moved.Offsets += step.Offsets
	m.moved.Missing += step.Missing
	return nil
}

// aim finds out where the progress is to stand, and refuses what the log and the record
// do not bear.
func (m *mover) aim(ctx context.Context, s Setting) (err error) {
	// The bounds are read while the progress is held: they hold all that was settled.
	if m.start, m.end, err = m.log.Bounds(ctx); err != nil {
		return err
	}
	m.goal = m.move.Offset
	switch m.move.Anchor {
	case FromZero:
	case FromStart:
		m.goal += m.start
	case FromHere:
		if g := m.before.Goal; g != nil {
			return fmt.Errorf("%w: %w: give the offset itself", ErrMove, &processor.UnfinishedMoveError{Goal: *g})
		}
		m.goal += m.before.NextOffset
	case FromEnd:
		m.goal += m.end
	}
	if err := m.check(ctx, s); err != nil {
		return err
	}
	m.epoch, m.at = NextEpoch(m.before.Epoch), ledger.Place{Log: m.before.Log, Offset: m.before.NextOffset}
	if m.move.NewLog {
		m.at.Log++
	}
	return nil
}

// check refuses what the log and the record do not bear.
func (m *mover) check(ctx context.Context, s Setting) error {
	if m.goal < m.start || m.goal > m.end {
		return fmt.Errorf("%w: the log has the offsets %d to %d (the next one), and not %d", ErrMove, m.start, m.end, m.goal)
	}
	why, sure, err := m.another(ctx, s)
	switch {
	case err != nil:
		return err
	case why != "" && !m.move.NewLog:
		return fmt.Errorf("%w: %s: it is another log (--new-log)", ErrMove, why)
	case why == "" && m.move.NewLog && m.before.Goal != nil:
		return fmt.Errorf("%w: %w: finish it, or set the progress to offset %d to end it there, without --new-log",
			ErrMove, &processor.UnfinishedMoveError{Goal: *m.before.Goal}, m.before.NextOffset)
	case why == "" && sure && m.move.NewLog:
		return fmt.Errorf("%w: the log holds the record at offset %d that was settled: it is log %d still (without --new-log)",
			ErrMove, m.before.NextOffset-1, m.before.Log)
	}
	return nil
}

// another says why the log cannot be the one on record; nothing: it may be. It is
// sure where the log holds the record that was settled last.
func (m *mover) another(ctx context.Context, s Setting) (why string, sure bool, err error) {
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
	furthest, err := s.Furthest(ctx, m.before.Log)
	if err != nil {
		return "", false, err
	}
	if furthest >= m.end {
		return fmt.Sprintf("offset %d is on record, and the log ends at %d", furthest, m.end), sure, nil
	}
	return "", sure, nil
}

// read reads what is passed over next; where nothing is, it ends at the goal.
func (m *mover) read(ctx context.Context) (st stretch, err error) {
	st.From, st.To = m.goal, m.goal
	if m.at.Offset < m.goal {
		if st.Slice, st.missing, err = m.log.Skip(ctx, m.claim(), m.at.Offset, m.goal); err != nil {
			return st, err
		}
	}
	if st.To > m.start && !m.move.DryRun {
		if st.last, err = m.log.Hash(ctx, st.To-1); err == nil {
			m.last = st.last
		}
	}
	return st, err
}

// claim is that of the log in which records are passed over.
func (m *mover) claim() processor.Claim {
	c := m.before.Claim
	c.Log = m.at.Log
	return c
}

// pass gives every record of the stretch its outcome and moves the progress behind it.
func (m *mover) pass(ctx context.Context, s Setting, record Reader, from ledger.Place, st stretch) (step Moved, err error) {
	var known Known
	if len(st.Items) > 0 {
		if known, err = record.Known(ctx, m.claim(), st.Slice); err != nil {
			return step, err
		}
	}
	step = Moved{
		Made: from.IsZero(), From: from, To: ledger.Place{Log: m.at.Log, Offset: st.To}, Epoch: m.epoch, Passed: m.count(st.Items, known),
		Offsets: st.To - st.From - st.missing, Missing: st.missing + st.lost,
	}
	if m.move.DryRun {
		return step, errDryRun
	}
	if len(st.Items) > 0 {
		if err := s.Pass(ctx, m.claim(), st.Slice, known); err != nil {
			return step, fmt.Errorf("pass over offsets %d to %d: %w", st.From, st.To, err)
		}
	}
	return step, s.Move(ctx, step, m.goal, st.last, ledger.Person(m.move.By, m.move.Reason))
}

// count is what becomes of the items.
func (m *mover) count(items []processor.Item, known Known) (p Passed) {
	if !m.move.DryRun {
		clear(m.failing) // the others are on record
	}
	for _, item := range items {
		_, expired := known.Decided[item.Expire]
		switch r := item.Refusal; {
		case r == nil && !expired && !known.Letters[item.Record.Offset]:
			p.Dead++
		case r == nil:
			p.Known++
		default:
			if _, decided := known.Decided[r.ID]; decided || m.failing[r.ID] {
				p.Known++
				continue
			}
			m.failing[r.ID] = true
			p.Failed++
			switch {
			case r.Kind != ledger.KindCapture:
			case len(m.moved.Captures)+len(p.Captures) < MaxFailedCaptures:
				p.Captures = append(p.Captures, failedCapture(item))
			default:
				p.Unnamed++
			}
		}
	}
	return p
}
