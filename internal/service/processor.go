package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/telemetry"
)

// maxConns is how many connections a processor has. A joint settle takes one while it
// runs, as do each slice that is settled alone, claims and looks at the progress: so many
// run at once, and the partitions beyond that take turns.
const maxConns = 18

// RunProcessor settles its share of the partitions until ctx ends; then it
// finishes the batches in hand, leaves the group and returns nil. It waits for
// Postgres to start with, and fails on what waiting does not mend.
func RunProcessor(ctx context.Context, c config.Processor, log *slog.Logger) error {
	registry, ready := telemetry.NewRegistry("processor", log), &readiness{}
	return withAdmin(ctx, c.AdminAddr, registry, ready, log, func(ctx context.Context) error {
		return settle(ctx, c, log, registry, ready)
	})
}

// drainOf is how much of the time for stopping is for the batches in hand: it leaves
// enough to leave the group, where there is enough.
func drainOf(timeout time.Duration) time.Duration {
	return min(max(timeout-kafka.LeaveTimeout, timeout/2), kafka.DefaultDrainTimeout)
}

func settle(ctx context.Context, c config.Processor, log *slog.Logger, registry prometheus.Registerer, ready *readiness) (err error) {
	b, err := bind(ctx, c.Database, c.Kafka, c.Identity,
		postgres.Options{Application: "processor", MaxConns: maxConns, Log: log})
	if err != nil {
		return unlessAsked(ctx, err)
	}
	defer b.close()
	if err := b.store.Known().CheckGroup(string(c.KafkaGroup)); err != nil {
		return err
	}
	registry.MustRegister(append(b.joint(), b.stats())...)
	metrics := kafka.NewMetrics(registry)
	b.cluster.Tell(log, metrics)
	subscriber, err := kafka.NewSubscriber(b.cluster, kafka.SubscriberOptions{
		Group: string(c.KafkaGroup), ClientID: kafka.ClientIDPrefix + b.store.Owner(), Claimer: b.store, MaxRecords: int(c.BatchSize),
		DrainTimeout: drainOf(c.DrainTimeout), Logger: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	// Expires are few, and wait for each other: a place for each that is on its way is enough.
	publisher := kafka.NewPublisher(b.cluster, kafka.NewProducer(b.cluster, metrics, 0, b.topic), map[string]int{b.topic.Name: b.topic.Partitions})
	defer func() { err = errors.Join(err, publisher.Close()) }()
	expirer := processor.NewExpirer(b.store, queue{publisher, b.topic.Name}, b.minter, log, nil)
	settler := processor.NewSettler(b.store, record.Decode, b.minter, processor.NewMetrics(registry), log, nil)
	log.LogAttrs(ctx, slog.LevelInfo, "processor started",
		slog.String("topic", b.topic.Name), slog.Int("partitions", b.topic.Partitions))
	ready.set(func(ctx context.Context) error {
		_, err := b.store.Deployment(ctx)
		return errors.Join(err, b.member(ctx))
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return expirer.Run(ctx) })
	group.Go(func() error { return subscriber.Run(ctx, b.topic.Name, settler.Settle, c.DrainTimeout) })
	return group.Wait()
}
