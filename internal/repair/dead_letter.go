package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/record"
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
}

// Case is a dead letter with all that have the same value: a log that is copied, or a
// record that is written again, has one request in many places, and it is to be charged
// once.
type Case struct {
	DeadLetter
	Places []LetterPlace // of all of them, itself included, in order
	Steps  []Resolution  // what people did about any of them, the earliest first
}

// next is the next step: it is noted with the letter that has the last step, or else
// with the first.
func (c Case) next(action Action, by string) Resolution {
	r := Resolution{Of: c.Places[0], Number: 1, Action: action, By: by}
	if n := len(c.Steps); n > 0 {
		r.Of, r.Number = c.Steps[n-1].Of, c.Steps[n-1].Number+1
	}
	return r
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

// Letters keeps dead letters, and what was done about them.
type Letters interface {
	// Case reads one. It fails with ErrNoLetter.
	Case(ctx context.Context, at LetterPlace) (Case, error)
	// Resolve notes a step; durable when it returns nil. It fails with
	// ErrResolvedMeanwhile if there is a step of this number.
	Resolve(ctx context.Context, r Resolution) error
	// Decided are those of the operations that have an outcome, in no order.
	Decided(ctx context.Context, ids []ledger.OperationID) ([]outcomes.Decided, error)
}

// Queue takes records that are submitted again.
type Queue interface {
	// Send writes the record into the partition of its wallet, durably, and says where
	// it lies. An error means that it is unknown whether it was written.
	Send(ctx context.Context, r record.Record) (partition int, offset int64, err error)
}

var (
	// ErrNoLetter says that there is no dead letter at the place.
	ErrNoLetter = errors.New("there is no dead letter at this place")
	// ErrResolvedMeanwhile says that somebody else took the next step first.
	ErrResolvedMeanwhile = errors.New("somebody else did something about this dead letter just now")
)

// The reasons why a dead letter is not submitted again.
var (
	ErrDone       = errors.New("it was discarded or submitted already")
	ErrUnreadable = errors.New("it cannot be read as a request: it can only be discarded")
	ErrNewKey     = errors.New("its own ID does not follow or is decided already: give a new idempotency key")
	ErrOwnKey     = errors.New("it goes unchanged under its own ID: give no key")
	ErrOtherKey   = errors.New("it may have been submitted: submit it once more as it was then, under the key that dead-letters show names")
	ErrKeyTaken   = errors.New("the key belongs to another operation that is decided already")
	ErrAccepted   = errors.New("its operation was accepted already: to submit it again would do it twice, it can only be discarded")
)

// open says what may be done about a dead letter: nothing more ([ErrDone]), submit it
// once more under the ID that it may have been submitted under, or whatever one likes
// (zero). A submission that is known to have had no effect, because its operation failed
// or its key went to another request first, leaves the letter as it was.
func (c Case) open(ctx context.Context, letters Letters) (pending ledger.OperationID, err error) {
	if len(c.Steps) == 0 {
		return pending, nil
	}
	last := c.Steps[len(c.Steps)-1]
	done := fmt.Errorf("%w (%s)", ErrDone, last.Of)
	if last.Action == ActionDiscarded {
		return pending, done
	}
	found, err := letters.Decided(ctx, []ledger.OperationID{last.Operation})
	switch {
	case err != nil:
		return pending, err
	case len(found) == 1 && !c.acceptedBy(found[0]):
		return pending, nil
	case last.Action == ActionSubmitted:
		return pending, done
	}
	return last.Operation, nil
}

// acceptedBy reports whether the operation did what the dead letter asks for.
func (c Case) acceptedBy(o outcomes.Decided) bool {
	d, err := record.Decode(c.Record)
	return err == nil && o.Status() == ledger.StatusAccepted && o.Fingerprint == d.Request.Fingerprint()
}

// Discard notes that nothing more is to be done about a dead letter, who says so,
// and why.
func Discard(ctx context.Context, letters Letters, at LetterPlace, by, reason string) error {
	c, err := letters.Case(ctx, at)
	if err != nil {
		return err
	}
	pending, err := c.open(ctx, letters)
	if err != nil {
		return err
	}
	if !pending.IsZero() {
		return ErrOtherKey
	}
	step := c.next(ActionDiscarded, by)
	step.Reason = reason
	return letters.Resolve(ctx, step)
}

// Resubmit writes a dead letter to the queue again, and returns the step that says
// as what and where. Where its ID follows from it and is not decided, it goes
// unchanged, into its wallet's partition; else as a new operation under the key.
//
// What is about to happen is noted first. If it is then unknown whether the record
// was written, the same call again is harmless: the ID is the same.
func Resubmit(ctx context.Context, letters Letters, queue Queue, minter *ledger.Minter, at LetterPlace, by, key string) (Resolution, error) {
	c, err := letters.Case(ctx, at)
	if err != nil {
		return Resolution{}, err
	}
	pending, err := c.open(ctx, letters)
	if err != nil {
		return Resolution{}, err
	}
	again, id, err := c.resubmission(ctx, letters, minter, key, pending)
	if err != nil {
		return Resolution{}, err
	}
	step := c.next(ActionSubmitting, by)
	step.Operation = id
	if key != "" {
		step.Reason = fmt.Sprintf("as a new operation under the key %q", key)
	}
	switch pending {
	case id: // noted already
	case ledger.OperationID{}:
		if err := letters.Resolve(ctx, step); err != nil {
			return Resolution{}, err
		}
		step.Number++
	default:
		return Resolution{}, ErrOtherKey
	}
	if step.Partition, step.Offset, err = queue.Send(ctx, again); err != nil {
		return Resolution{}, fmt.Errorf("it may or may not be written (the same command again is harmless): %w", err)
	}
	step.Action = ActionSubmitted
	if err := letters.Resolve(ctx, step); err != nil {
		return Resolution{}, fmt.Errorf("it is written, but that is not noted (the same command again is harmless): %w", err)
	}
	return step, nil
}

// resubmission is the record that a dead letter is submitted again as, and its ID.
func (c Case) resubmission(
	ctx context.Context, letters Letters, minter *ledger.Minter, key string, pending ledger.OperationID,
) (record.Record, ledger.OperationID, error) {
	d, err := record.Decode(c.Record)
	switch {
	case err != nil:
		return record.Record{}, d.ID, fmt.Errorf("%w: %w", ErrUnreadable, err)
	case d.Version > record.Version:
		return record.Record{}, d.ID, fmt.Errorf("%w: it is in version %d of the wire format", ErrUnreadable, d.Version)
	case d.Fault != nil:
		return record.Record{}, d.ID, fmt.Errorf("%w: %w", ErrUnreadable, d.Fault)
	}
	follows := minter.OperationID(d.Identity) // what its caller's retry has
	decided, err := letters.Decided(ctx, []ledger.OperationID{d.ID, follows})
	if err != nil {
		return record.Record{}, d.ID, err
	}
	if pending.IsZero() && slices.ContainsFunc(decided, c.acceptedBy) {
		return record.Record{}, d.ID, ErrAccepted
	}
	own := follows == d.ID && c.Operation.IsZero() && (len(decided) == 0 || pending == d.ID)
	switch {
	case own && key != "":
		return record.Record{}, d.ID, ErrOwnKey
	case own:
		return keyed(d.Request, c.Record.Value, c.Record.Headers), d.ID, nil
	case key == "":
		return record.Record{}, d.ID, ErrNewKey
	}
	r := d.Request
	r.IdempotencyKey, r.ReceivedAt = key, time.Now().UTC().Truncate(time.Microsecond)
	r.ID = minter.OperationID(r.Identity())
	if faults := r.Faults(); len(faults) > 0 {
		return record.Record{}, r.ID, fmt.Errorf("%s %s", faults[0].Field, faults[0].Message)
	}
	if decided, err = letters.Decided(ctx, []ledger.OperationID{r.ID}); err != nil {
		return record.Record{}, r.ID, err
	}
	if len(decided) > 0 && pending != r.ID {
		return record.Record{}, r.ID, ErrKeyTaken
	}
	value, headers, err := record.Encode(r)
	if err != nil {
		return record.Record{}, r.ID, err
	}
	return keyed(r, value, headers), r.ID, nil
}

// keyed is the record of a request, which its wallet's partition is for.
func keyed(r ledger.Request, value []byte, headers []record.Header) record.Record {
	return record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers}
}
