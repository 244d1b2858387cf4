package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/record"
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

// standing says what may be done about a dead letter after these steps: nothing
// more ([ErrDone]), submit it once more under the ID that it may have been
// submitted under, or whatever one likes (zero). A submission that is known to have
// had no effect, because its operation failed or its key went to another request
// first, leaves the letter as it was.
func standing(
	ctx context.Context, store *postgres.Store, letter postgres.DeadLetter, steps []postgres.Resolution,
) (pending ledger.OperationID, err error) {
	if len(steps) == 0 {
		return pending, nil
	}
	last := steps[len(steps)-1]
	done := fmt.Errorf("%w (%s)", ErrDone, last.Of)
	if last.Action == postgres.ActionDiscarded {
		return pending, done
	}
	found, err := store.Decided(ctx, []ledger.OperationID{last.Operation})
	switch {
	case err != nil:
		return pending, err
	case len(found) == 1 && !accepted(found[0].Operation, letter):
		return pending, nil
	case last.Action == postgres.ActionSubmitted:
		return pending, done
	}
	return last.Operation, nil
}

// accepted reports whether the operation did what the dead letter asks for.
func accepted(o ledger.Operation, letter postgres.DeadLetter) bool {
	d, err := record.Decode(letter.Record)
	return err == nil && o.Status() == ledger.StatusAccepted && o.Fingerprint == d.Request.Fingerprint()
}

// Discard notes that nothing more is to be done about a dead letter, who says so,
// and why.
func Discard(ctx context.Context, store *postgres.Store, at postgres.LetterPlace, by, reason string) error {
	letter, steps, err := store.DeadLetter(ctx, at)
	if err != nil {
		return err
	}
	pending, err := standing(ctx, store, letter, steps)
	if err != nil {
		return err
	}
	if !pending.IsZero() {
		return ErrOtherKey
	}
	step := letter.Next()
	step.Action, step.By, step.Reason = postgres.ActionDiscarded, by, reason
	return store.Resolve(ctx, step)
}

// Resubmit writes a dead letter to the topic again, and returns the step that says
// as what and where. Where its ID follows from it and is not decided, it goes
// unchanged, into its wallet's partition; else as a new operation under the key.
//
// What is about to happen is noted first. If it is then unknown whether the record
// was written, the same call again is harmless: the ID is the same.
func Resubmit(ctx context.Context, c config.Admin, at postgres.LetterPlace, by, key string) (_ postgres.Resolution, err error) {
	b, err := bindSoon(ctx, c, "dead-letters")
	if err != nil {
		return postgres.Resolution{}, err
	}
	defer b.close()
	letter, steps, err := b.store.DeadLetter(ctx, at)
	if err != nil {
		return postgres.Resolution{}, err
	}
	pending, err := standing(ctx, b.store, letter, steps)
	if err != nil {
		return postgres.Resolution{}, err
	}
	again, id, err := b.resubmission(ctx, letter, key, pending)
	if err != nil {
		return postgres.Resolution{}, err
	}
	step := letter.Next()
	step.Action, step.Operation, step.By = postgres.ActionSubmitting, id, by
	if key != "" {
		step.Reason = fmt.Sprintf("as a new operation under the key %q", key)
	}
	switch pending {
	case id: // noted already
	case ledger.OperationID{}:
		if err := b.store.Resolve(ctx, step); err != nil {
			return postgres.Resolution{}, err
		}
		step.Number++
	default:
		return postgres.Resolution{}, ErrOtherKey
	}
	publisher := kafka.NewPublisher(b.cluster, kafka.NewProducer(b.cluster, kafka.NewMetrics(nil), 0, b.topic),
		map[string]int{b.topic.Name: b.topic.Partitions})
	defer func() { err = errors.Join(err, publisher.Close()) }()
	if step.Partition, step.Offset, err = publisher.Send(ctx, b.topic.Name, again); err != nil {
		return postgres.Resolution{}, fmt.Errorf("it may or may not be written (the same command again is harmless): %w", err)
	}
	step.Action = postgres.ActionSubmitted
	if err := b.store.Resolve(ctx, step); err != nil {
		return postgres.Resolution{}, fmt.Errorf("it is written, but that is not noted (the same command again is harmless): %w", err)
	}
	return step, nil
}

// resubmission is the record that a dead letter is submitted again as.
func (b bound) resubmission(
	ctx context.Context, letter postgres.DeadLetter, key string, pending ledger.OperationID,
) (record.Record, ledger.OperationID, error) {
	d, err := record.Decode(letter.Record)
	switch {
	case err != nil:
		return record.Record{}, d.ID, fmt.Errorf("%w: %w", ErrUnreadable, err)
	case d.Version > record.Version:
		return record.Record{}, d.ID, fmt.Errorf("%w: it is in version %d of the wire format", ErrUnreadable, d.Version)
	case d.Fault != nil:
		return record.Record{}, d.ID, fmt.Errorf("%w: %w", ErrUnreadable, d.Fault)
	}
	follows := b.minter.OperationID(d.Identity) // what its caller's retry has
	decided, err := b.store.Decided(ctx, []ledger.OperationID{d.ID, follows})
	if err != nil {
		return record.Record{}, d.ID, err
	}
	for _, o := range decided {
		if pending.IsZero() && accepted(o.Operation, letter) {
			return record.Record{}, d.ID, ErrAccepted
		}
	}
	own := follows == d.ID && letter.Operation.IsZero() && (len(decided) == 0 || pending == d.ID)
	switch {
	case own && key != "":
		return record.Record{}, d.ID, ErrOwnKey
	case own:
		return keyed(d.Request, letter.Record.Value, letter.Record.Headers), d.ID, nil
	case key == "":
		return record.Record{}, d.ID, ErrNewKey
	}
	r := d.Request
	r.IdempotencyKey, r.ReceivedAt = key, time.Now().UTC().Truncate(time.Microsecond)
	r.ID = b.minter.OperationID(r.Identity())
	if faults := r.Faults(); len(faults) > 0 {
		return record.Record{}, r.ID, fmt.Errorf("%s %s", faults[0].Field, faults[0].Message)
	}
	if decided, err = b.store.Decided(ctx, []ledger.OperationID{r.ID}); err != nil {
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
