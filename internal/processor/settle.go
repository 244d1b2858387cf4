package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// settleTimeout bounds one transaction from this side. It is longer than the
// database lets a statement run; a database that is gone without a word would
// else be waited for as long as TCP tries, a quarter of an hour.
const settleTimeout = 40 * time.Second

// Settler settles batches, one at a time for each partition. It keeps nothing
// about a wallet from one batch to the next.
type Settler struct {
	store      Store
	classifier classifier
	floods     *floods
	setAside   throttle.Log
	metrics    *Metrics
	log        *slog.Logger
	now        func() time.Time
}

// NewSettler makes a settler. A nil clock is the system's.
func NewSettler(store Store, decode Decode, minter *ledger.Minter, metrics *Metrics, log *slog.Logger, now func() time.Time) *Settler {
	if now == nil {
		now = time.Now
	}
	return &Settler{
		store: store, classifier: classifier{decode: decode, minter: minter}, floods: newFloods(now),
		metrics: metrics, log: log, now: now,
	}
}

// Settle returns nil when every offset of the batch is settled. Otherwise part of
// it may be: the same batch again goes on behind that part. Where that would be
// in vain it says so on the batch: Fenced, or Halt.
func (s *Settler) Settle(ctx context.Context, b *Batch) error {
	err := s.settle(ctx, b)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFenced):
		s.metrics.fenced.Inc()
		b.Fenced()
	case haltsPartition(err):
		b.Halt(err)
	default:
		s.metrics.failures.Inc()
	}
	return fmt.Errorf("settle partition %d from offset %d: %w", b.Claim.Partition, b.From, err)
}

// settle cuts the batch into slices: one as a rule, more where so many records
// are refused that they may be a flood, and an end before a record that only a
// newer build can decide.
func (s *Settler) settle(ctx context.Context, b *Batch) error {
	if err := s.floods.resume(b.Claim, b.From); err != nil {
		return err
	}
	slice := Slice{From: b.From, Items: make([]Item, 0, len(b.Records))}
	refusals := 0
	upTo := func(end int64) error {
		slice.To = end
		if slice.To == slice.From {
			return nil
		}
		err := s.settleSlice(ctx, b.Claim, slice)
		slice, refusals = Slice{From: end}, 0
		return err
	}
	for _, r := range b.Records {
		item, stop := s.classifier.classify(r, b.Claim)
		if stop != nil {
			if err := upTo(r.Offset); err != nil {
				return err
			}
			return stop
		}
		slice.Items = append(slice.Items, item)
		if item.Refusal != nil {
			refusals++
		}
		if refusals == s.floods.room(b.Claim.Partition) {
			if err := upTo(r.Offset + 1); err != nil {
				return err
			}
		}
	}
	return upTo(b.To)
}

// settleSlice settles the slice, and finds the one item that cannot be by
// halving: everything else in the slice is settled.
func (s *Settler) settleSlice(ctx context.Context, c Claim, slice Slice) error {
	started := s.now()
	tally, err := s.record(ctx, c, slice)
	var moved *MovedError
	switch {
	case err == nil:
		s.metrics.settled(tally, s.now().Sub(started))
		s.tell(ctx, c, slice)
		return s.floods.add(c, tally.processingErrors(), slice.To)
	case errors.As(err, &moved):
		if moved.NextOffset >= slice.To {
			return nil
		}
		return s.settleSlice(ctx, c, slice.behind(moved.NextOffset))
	case !errors.Is(err, ErrData) && !errors.Is(err, ErrIntegrity):
		return err
	case len(slice.Items) > 1:
		left, right := slice.halves()
		if err := s.settleSlice(ctx, c, left); err != nil {
			return err
		}
		return s.settleSlice(ctx, c, right)
	}
	return s.settleOffender(ctx, c, slice, err)
}

// tell logs what was set aside, which somebody has to look after: one dead letter a
// second at most, since they may be many.
func (s *Settler) tell(ctx context.Context, c Claim, slice Slice) {
	for _, item := range slice.Items {
		if item.Fault == "" {
			continue
		}
		if skipped, ok := s.setAside.Next(); ok {
			s.log.LogAttrs(ctx, slog.LevelWarn, "record set aside as a dead letter", slog.Int("partition", c.Partition),
				slog.Int64("offset", item.Record.Offset), slog.String("reason", item.Fault), slog.Int("skipped", skipped))
		}
	}
}

// record is one attempt at one transaction.
func (s *Settler) record(ctx context.Context, c Claim, slice Slice) (Tally, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return s.store.Settle(ctx, c, slice)
}

// settleOffender records the slice's only item as refused if its data were at
// fault. Broken rules, and data that are refused even then, are for a person.
func (s *Settler) settleOffender(ctx context.Context, c Claim, slice Slice, cause error) error {
	if len(slice.Items) == 0 || slice.Items[0].Request == nil || errors.Is(cause, ErrIntegrity) {
		return fmt.Errorf("offset %d: %w", slice.From, errors.Join(errOffender, cause))
	}
	item := slice.Items[0]
	s.log.LogAttrs(ctx, slog.LevelWarn, "operation refused by the database",
		slog.String("operation_id", item.Request.ID.String()), slog.Int("partition", c.Partition),
		slog.Int64("offset", item.Record.Offset), slog.Any("err", cause))
	slice.Items = []Item{refuseRequest(item, cause)}
	return s.settleSlice(ctx, c, slice)
}

// errOffender marks an item that cannot be settled in any form.
var errOffender = errors.New("the record cannot be settled")

// haltsPartition reports whether the error means that the partition's state
// cannot be right. Everything else is retried for as long as it takes.
func haltsPartition(err error) bool {
	var version errVersion
	var flood errFlood
	return errors.Is(err, ErrProgress) || errors.Is(err, ErrNoProgress) || errors.Is(err, ErrRestored) || errors.Is(err, errOffender) ||
		errors.As(err, &version) || errors.As(err, &flood)
}

// processingErrors is how many of the new outcomes are processing errors.
func (t Tally) processingErrors() int {
	n := 0
	for o, count := range t.Outcomes {
		if o.Reason == ledger.ReasonProcessingError {
			n += count
		}
	}
	return n
}

// behind is what is left of the slice once everything below next is settled.
func (s Slice) behind(next int64) Slice {
	rest := Slice{From: next, To: s.To}
	for i, item := range s.Items {
		if item.Record.Offset >= next {
			rest.Items = s.Items[i:]
			break
		}
	}
	return rest
}

// halves cuts the slice before its middle item.
func (s Slice) halves() (left, right Slice) {
	mid := len(s.Items) / 2
	cut := s.Items[mid].Record.Offset
	return Slice{From: s.From, To: cut, Items: s.Items[:mid]}, Slice{From: cut, To: s.To, Items: s.Items[mid:]}
}
