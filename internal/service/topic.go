package service

import (
	"context"
	"errors"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// Topic says which topic to make and which database is to belong to it.
type Topic struct {
	Name        string
	Partitions  int
	Group       string // the consumer group of the processors
	Replication int    // 0: as many replicas as there are brokers, three at most
	AnySettings bool   // take a topic that is there with settings that nobody should choose
	DatabaseURL string // of the schema's owner
	Brokers     []string
	Minter      *ledger.Minter
}

// CreateTopic makes the topic in Kafka, then binds the database to it for ever:
// name, number of partitions, cluster, secret, consumer group. The same again changes nothing.
// A crash in between leaves a topic that nobody uses yet.
func CreateTopic(ctx context.Context, t Topic) error {
	cluster, err := kafka.NewCluster(t.Brokers)
	if err != nil {
		return err
	}
	defer cluster.Close()
	err = cluster.CreateTopic(ctx, t.Name, t.Partitions, t.Replication)
	if err != nil && !(t.AnySettings && errors.Is(err, kafka.ErrDoubtful)) {
		return err
	}
	found, err := cluster.Describe(ctx, t.Name)
	if err != nil {
		return err
	}
	return postgres.RegisterTopic(ctx, t.DatabaseURL, postgres.Deployment{
		Topic: t.Name, Partitions: t.Partitions, ClusterID: found.ClusterID, SecretCheck: t.Minter.CheckValue(), Group: t.Group,
	})
}
