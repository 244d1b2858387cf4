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

// settleTimeout bounds the settling of one slice from this side, its wait for others
// included. It is longer than the database lets a statement run; a database that is gone without a word would
// else be waited for as long as TCP tries, a quarter of an hour.
const settleTimeout = 40 * time.Second

// Settler settles batches, one at a time for each partition. It keeps nothing
// about a wallet from one batch to the next.
type Settler struct {
	store       Store
	classifier  classifier
	floods      *floods
	deadLetters throttle.Log
	metrics     *Metrics
	log         *slog.Logger
	now         func() time.Time
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

// Settle is a [Handler].
func (s *Settler) Settle(ctx context.Context, b Batch) Result {
	result := s.settle(ctx, b)
	switch result.Kind {
	case ResultSettled:
		s.log.LogAttrs(ctx, slog.LevelDebug, "batch settled", slog.Int("partition", b.Claim.Partition),
			slog.Int64("offset", b.From), slog.Int64("next_offset", b.To), slog.Int("records", len(b.Records)))
	case ResultAgain:
		s.metrics.failures.Inc()
	case ResultFenced:
		s.metrics.fenced.Inc()
	case ResultHalt:
	}
	return result
}

// settle cuts the batch into slices: one as a rule, more where so many records
// are refused that they may be a flood, and an end before a record that only a
// newer build can decide.
func (s *Settler) settle(ctx context.Context, b Batch) Result {
	if flood := s.floods.resume(b.Claim, b.From); flood != nil {
		return Halt(flood)
	}
	slice := Slice{From: b.From, Items: make([]Item, 0, len(b.Records))}
	refusals := 0
	upTo := func(end int64) Result {
		slice.To = end
		if slice.To == slice.From {
			return Settled()
		}
		result := s.settleSlice(ctx, b.Claim, slice)
		slice, refusals = Slice{From: end}, 0
		return result
	}
	for _, r := range b.Records {
		item, newer := s.classifier.classify(r, b.Claim)
		if newer != nil {
			if result := upTo(r.Offset); !result.settled() {
				return result
			}
			return Halt(newer)
		}
		slice.Items = append(slice.Items, item)
		if item.Refusal != nil {
			refusals++
		}
		if refusals == s.floods.room(b.Claim.Partition) {
			if result := upTo(r.Offset + 1); !result.settled() {
				return result
			}
		}
	}
	return upTo(b.To)
}

// settleSlice settles the slice, and finds the one item that cannot be by
// halving: everything else in the slice is settled.
func (s *Settler) settleSlice(ctx context.Context, c Claim, slice Slice) Result {
	started := s.now()
	tally, err := s.record(ctx, c, slice)
	var moved *MovedError
	switch {
	case err == nil:
		s.metrics.settled(tally, s.now().Sub(started))
		s.logDeadLetters(ctx, c, slice)
		if flood := s.floods.add(c, tally.processingErrors(), slice.To); flood != nil {
			return Halt(flood)
		}
		return Settled()
	case errors.As(err, &moved):
		if moved.NextOffset >= slice.To {
			return Settled()
		}
		return s.settleSlice(ctx, c, slice.behind(moved.NextOffset))
	case errors.Is(err, ErrFenced):
		return Fenced(err)
	case errors.Is(err, ErrProgress), errors.Is(err, ErrNoProgress), errors.Is(err, ErrRestored):
		return Halt(err)
	case !errors.Is(err, ErrData) && !errors.Is(err, ErrIntegrity):
		return Again(err) // for as long as it takes
	case len(slice.Items) > 1:
		left, right := slice.halves()
		if result := s.settleSlice(ctx, c, left); !result.settled() {
			return result
		}
		return s.settleSlice(ctx, c, right)
	}
	return s.settleOffender(ctx, c, slice, err)
}

// logDeadLetters logs what was set aside, which somebody has to look after: one dead letter a
// second at most, since they may be many.
func (s *Settler) logDeadLetters(ctx context.Context, c Claim, slice Slice) {
	for _, item := range slice.Items {
		if item.Fault == "" {
			continue
		}
		if skipped, ok := s.deadLetters.Next(); ok {
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
func (s *Settler) settleOffender(ctx context.Context, c Claim, slice Slice, cause error) Result {
	if len(slice.Items) == 0 || slice.Items[0].Request == nil || errors.Is(cause, ErrIntegrity) {
		return Halt(fmt.Errorf("offset %d: the record cannot be settled: %w", slice.From, cause))
	}
	item := slice.Items[0]
	s.log.LogAttrs(ctx, slog.LevelWarn, "operation refused by the database",
		slog.String("operation_id", item.Request.ID.String()), slog.Int("partition", c.Partition),
		slog.Int64("offset", item.Record.Offset), slog.Any("err", cause))
	slice.Items = []Item{refuseRequest(item, cause)}
	return s.settleSlice(ctx, c, slice)
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
