package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/telemetry"
)

// RunIngest answers HTTP until ctx ends; then it finishes the requests in hand
// and what they gave to Kafka, and returns nil. It waits for Postgres to start
// with, and fails on what waiting does not mend. It listens on listener, or if
// that is nil on c.IngestAddr, once it can answer.
func RunIngest(ctx context.Context, c config.Ingest, log *slog.Logger, listener net.Listener) error {
	registry, ready := telemetry.NewRegistry("ingest", log), &readiness{}
	return withAdmin(ctx, c.AdminAddr, registry, ready, log, func(ctx context.Context) error {
		return serveIngest(ctx, c, log, listener, registry, ready)
	})
}

func serveIngest(
	ctx context.Context, c config.Ingest, log *slog.Logger, listener net.Listener,
	registry prometheus.Registerer, ready *readiness,
) (err error) {
	if listener != nil {
		defer listener.Close() //nolint:errcheck // serving has closed it already, or never began
	}
	served, err := connections(log)
	if err != nil {
		return err
	}
	b, err := bind(ctx, c.Database, c.Kafka, c.Identity, postgres.Options{Application: "ingest", Log: log})
	if err != nil {
		return unlessAsked(ctx, err)
	}
	defer b.close()
	registry.MustRegister(b.stats())
	metrics := kafka.NewMetrics(registry)
	b.cluster.Tell(log, metrics)
	producer := kafka.NewProducer(b.cluster, metrics, admission.Seats, b.topic)
	publisher := kafka.NewPublisher(b.cluster, producer, map[string]int{b.topic.Name: b.topic.Partitions})
	defer func() { err = errors.Join(err, publisher.Close()) }()

	server, err := ingest.New(ingest.Options{
		Queue:   kafka.NewQueue(publisher, b.cluster, b.topic, nil),
		History: b.store, Accounts: b.store, Registry: b.store, Direct: b.store, DryRuns: b.store,
		Minter: b.minter, Partitions: b.topic.Partitions, Log: log, Metrics: ingest.NewMetrics(registry),
		LameDuck: time.Duration(c.LameDuck), MaxConnections: served,
	})
	if err != nil {
		return err
	}
	if listener == nil {
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", string(c.IngestAddr)); err != nil {
			return fmt.Errorf("listen on INGEST_ADDR: %w", err)
		}
	}
	log.LogAttrs(ctx, slog.LevelInfo, "ingest started", slog.String("address", listener.Addr().String()),
		slog.String("topic", b.topic.Name), slog.Int("partitions", b.topic.Partitions))
	ready.set(func(context.Context) error { return server.Ready() })
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return newWatch(b, registry, log).run(ctx) })
	group.Go(func() error { return server.Serve(ctx, listener, c.DrainTimeout) })
	return group.Wait()
}
