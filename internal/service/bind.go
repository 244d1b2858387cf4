package service

import (
	"context"
	"fmt"

	"github.com/IBM/pgxpoolprometheus"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// bound is what both services start from: the database, Kafka, and the topic that
// the database belongs to.
type bound struct {
	store   *postgres.Store
	cluster *kafka.Cluster
	minter  *ledger.Minter
	topic   kafka.Topic
}

// bind connects to the database, for as long as that takes, and refuses one that
// belongs to another topic or to another secret.
func bind(ctx context.Context, d config.Database, k config.Kafka, i config.Identity, o postgres.Options) (_ bound, err error) {
	minter, err := ledger.NewMinter([]byte(i.OperationIDSecret.Reveal()))
	if err != nil {
		return bound{}, err
	}
	store, err := postgres.Connect(ctx, d.DatabaseURL.Reveal(), o)
	if err != nil {
		return bound{}, err
	}
	defer func() {
		if err != nil {
			store.Close()
		}
	}()
	known := store.Known()
	if known.Topic != string(k.KafkaTopic) {
		return bound{}, fmt.Errorf("the database belongs to the topic %s, not to %s", known.Topic, k.KafkaTopic)
	}
	if err := known.CheckSecret(minter); err != nil {
		return bound{}, err
	}
	cluster, err := kafka.NewCluster(k.KafkaBrokers, known.Topic)
	if err != nil {
		return bound{}, err
	}
	topic := kafka.Topic{Name: known.Topic, Partitions: known.Partitions, ClusterID: known.ClusterID}
	return bound{store: store, cluster: cluster, minter: minter, topic: topic}, nil
}

// group is the consumer group that shares the partitions.
func (b bound) group() string { return b.store.Known().Group }

// stats are metrics of the pool of connections to Postgres.
func (b bound) stats() prometheus.Collector {
	return prometheus.WrapCollectorWithPrefix("monedero_", pgxpoolprometheus.NewCollector(b.store, nil))
}

// joint are metrics of the transactions that settle several partitions together.
func (b bound) joint() (all []prometheus.Collector) {
	for _, m := range []struct {
		name, help string
		of         func(postgres.JointStats) float64
	}{
		{"settles", "Joint settles that were tried: transactions for the slices of several partitions, or of one.", func(s postgres.JointStats) float64 { return float64(s.Settles) }},
		{"settle_slices", "Slices in these transactions.", func(s postgres.JointStats) float64 { return float64(s.Slices) }},
		{"settle_failures", "Those that failed; where one held more than one slice, each then goes alone.", func(s postgres.JointStats) float64 { return float64(s.Failures) }},
		{"settle_seconds", "Time of these transactions.", func(s postgres.JointStats) float64 { return s.Took.Seconds() }},
	} {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "monedero_joint_" + m.name + "_total", Help: m.help},
			func() float64 { return m.of(b.store.JointStats()) }))
	}
	return all
}

func (b bound) close() {
	b.cluster.Close()
	b.store.Close()
}

// unlessAsked is the error of starting; none where it was given up because ctx
// ended, which is an end in order.
func unlessAsked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
