package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// Processor runs a settler over the batches of a subscriber.
type Processor struct {
	topic        string
	subscriber   message.Subscriber
	settler      *Settler
	drainTimeout time.Duration
	log          *slog.Logger
}

// New makes a processor of the topic. The subscriber's messages carry batches
// (see [BatchFrom]) in a context that outlives a request to stop for as long as
// a batch in hand may take to finish; drainTimeout is at least that long.
func New(topic string, subscriber message.Subscriber, settler *Settler, drainTimeout time.Duration, log *slog.Logger) *Processor {
	return &Processor{topic: topic, subscriber: subscriber, settler: settler, drainTimeout: drainTimeout, log: log}
}

// Run settles until ctx is cancelled: then it takes no new batch, finishes the
// ones in hand, leaves the consumer group and returns nil.
func (p *Processor) Run(ctx context.Context) error {
	// What the router says is of interest to its own developers; errors are logged
	// here and by the subscriber, once.
	logger := watermill.NewSlogLoggerWithLevelMapping(p.log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug,
	})
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: p.drainTimeout}, logger)
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(p.logged, middleware.Recoverer)
	router.AddConsumerHandler("settle", p.topic, p.subscriber, p.handle)
	err = router.Run(ctx)
	if err != nil {
		err = fmt.Errorf("run router: %w", err)
	}
	if closeErr := p.subscriber.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("leave the group: %w", closeErr))
	}
	if err == nil && ctx.Err() == nil {
		err = errors.New("the subscription ended by itself")
	}
	return err
}

// logged logs why a batch is to come again. Why a partition halts, or is given
// up, the subscriber says.
func (p *Processor) logged(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		b := BatchFrom(msg.Context())
		if err != nil && (b == nil || b.Halted() == nil && !b.IsFenced()) {
			p.log.LogAttrs(msg.Context(), slog.LevelWarn, "settle failed, and is tried again", append(place(b), slog.Any("err", err))...)
		}
		return out, err
	}
}

// place is where in the topic a batch lies.
func place(b *Batch) []slog.Attr {
	if b == nil {
		return nil
	}
	return []slog.Attr{slog.Int("partition", b.Claim.Partition), slog.Int64("offset", b.From)}
}

var errNoBatch = errors.New("the message carries no batch")

// handle settles one message's batch. Its error becomes a Nack, and the same
// batch comes again.
func (p *Processor) handle(msg *message.Message) error {
	b := BatchFrom(msg.Context())
	if b == nil {
		return errNoBatch
	}
	ctx := msg.Context()
	if err := p.settler.Settle(ctx, b); err != nil {
		return err
	}
	// The outcomes are on record. A crash before the acknowledgement that follows
	// replays the batch, and the progress makes that harmless.
	p.log.LogAttrs(ctx, slog.LevelDebug, "batch settled", slog.Int("partition", b.Claim.Partition),
		slog.Int64("offset", b.From), slog.Int64("next_offset", b.To), slog.Int("records", len(b.Records)))
	return nil
}
