package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/monedero/monedero/internal/processor"
)

// delivery is one attempt at a batch, and what came of it. Watermill's Router hands a
// handler a message and no more, and turns what it returns into Ack or Nack. So the
// batch goes in, and the result comes out, by the message's context: here, and
// nowhere else.
type delivery struct {
	batch  processor.Batch
	result processor.Result // the handler's, before Ack or Nack
}

type deliveryKey struct{}

// newMessage is the message of a delivery.
func newMessage(ctx context.Context, d *delivery) *message.Message {
	return message.NewMessageWithContext(context.WithValue(ctx, deliveryKey{}, d), "", nil)
}

// deliveryOf is the delivery of a message of a [Subscriber].
func deliveryOf(msg *message.Message) *delivery {
	return msg.Context().Value(deliveryKey{}).(*delivery)
}

// wait returns what became of a delivered message, unless done ends first. Who
// acknowledges a message without a result settled it.
func (d *delivery) wait(msg *message.Message, done <-chan struct{}) (result processor.Result, ended bool) {
	select {
	case <-msg.Acked():
		return processor.Settled(), true
	case <-msg.Nacked():
		return d.result, true
	case <-done:
		return processor.Result{}, false
	}
}

// Run hands the topic's batches to the handler until ctx ends: then it takes no new
// batch, waits for those in hand (DrainTimeout at most), leaves the group and
// returns nil. A handler that panics is to have the same batch again. It waits
// closeTimeout at most, which is longer than DrainTimeout by LeaveTimeout where that
// may be needed. The context of a handler outlives ctx by DrainTimeout.
func (s *Subscriber) Run(ctx context.Context, topic string, handle processor.Handler, closeTimeout time.Duration) error {
	// What the router says is of interest to its own developers; errors are logged
	// here and by the partitions, once.
	logger := watermill.NewSlogLoggerWithLevelMapping(s.options.Logger, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug,
	})
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, logger)
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(s.logged, middleware.Recoverer)
	router.AddConsumerHandler("settle", topic, s, func(msg *message.Message) error {
		d := deliveryOf(msg)
		d.result = handle(msg.Context(), d.batch)
		if d.result.Kind == processor.ResultSettled {
			// A crash before the Ack replays the batch, and the progress makes that harmless.
			return nil
		}
		return fmt.Errorf("not settled: %w", d.result.Cause)
	})
	err = router.Run(ctx)
	if err != nil {
		err = fmt.Errorf("run router: %w", err)
	}
	if closeErr := s.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("leave the group: %w", closeErr))
	}
	if err == nil && ctx.Err() == nil {
		err = errors.New("the subscription ended by itself")
	}
	return err
}

// logged logs why a batch is to come again. Why a partition halts, or is given up, the
// partition says.
func (s *Subscriber) logged(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		d := deliveryOf(msg)
		if err != nil && d.result.Kind == processor.ResultAgain {
			s.options.Logger.LogAttrs(msg.Context(), slog.LevelWarn, "settle failed, and is tried again",
				slog.Int("partition", d.batch.Claim.Partition), slog.Int64("offset", d.batch.From), slog.Any("err", err))
		}
		return out, err
	}
}
