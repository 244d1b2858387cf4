package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// DefaultPartitions is how many partitions a topic gets unless it is told otherwise.
const DefaultPartitions = 16

// Topic says which topic to make and which database is to belong to it.
type Topic struct {
	Name        string
	Partitions  int    // 0: as many as the database says, or 16 where it says nothing yet
	Group       string // the consumer group of the processors
	Replication int    // 0: as many replicas as there are brokers, three at most
	AnySettings bool   // take a topic that is there with settings that nobody should choose
	DatabaseURL string // of the schema's owner
	Brokers     []string
	Minter      *ledger.Minter
}

func (t Topic) deployment(clusterID string) postgres.Deployment {
	return postgres.Deployment{Topic: t.Name, Partitions: t.Partitions, ClusterID: clusterID, SecretCheck: t.Minter.CheckValue(), Group: t.Group}
}

// make makes the topic in Kafka, unless it is there.
func (t Topic) make(ctx context.Context, cluster *kafka.Cluster) error {
	err := cluster.CreateTopic(ctx, t.Name, t.Partitions, t.Replication)
	if t.AnySettings && errors.Is(err, kafka.ErrDoubtful) {
		return nil
	}
	return err
}

// CreateTopic makes the topic in Kafka, then binds the database to it: name, number
// of partitions, cluster, secret, consumer group. It returns the number of partitions. The same again
// changes nothing. The database is asked first: where it belongs to something else,
// or cannot be bound, nothing is made in Kafka. A crash in between leaves a topic
// that nobody uses yet.
func CreateTopic(ctx context.Context, t Topic) (partitions int, err error) {
	known, err := postgres.ReadDeployment(ctx, t.DatabaseURL)
	bound := err == nil
	if err != nil && !errors.Is(err, postgres.ErrNoDeployment) {
		return 0, err
	}
	if t.Partitions == 0 {
		t.Partitions = DefaultPartitions
		if bound {
			t.Partitions = known.Partitions
		}
	}
	if bound {
		if err := known.Matches(t.deployment(known.ClusterID)); err != nil {
			return 0, err
		}
	}
	cluster, err := kafka.NewCluster(t.Brokers)
	if err != nil {
		return 0, err
	}
	defer cluster.Close()
	found, err := cluster.Describe(ctx, t.Name)
	if err != nil {
		return 0, err
	}
	switch {
	case bound:
		if err := known.Matches(t.deployment(found.ClusterID)); err != nil {
			return 0, err
		}
	case found.Partitions != 0 && found.Partitions != t.Partitions:
		return 0, fmt.Errorf("there is a topic %s with %d partitions already, and the database belongs to none: "+
			"bind it with --partitions %d, or choose another KAFKA_TOPIC; nothing was changed", t.Name, found.Partitions, found.Partitions)
	}
	if err := t.make(ctx, cluster); err != nil {
		return 0, err
	}
	return t.Partitions, postgres.RegisterTopic(ctx, t.DatabaseURL, t.deployment(found.ClusterID))
}

// BindCluster lets the database belong to the Kafka cluster of the brokers, whose ID
// must be clusterID, and returns the ID before. It records who did so (by) and why. It
// makes the topic in the cluster where it is missing. It fails, and changes nothing,
// while a service is connected to the database: that service might still send charges to
// the old cluster. What was not settled there is lost with it, and each partition halts
// until a person sets its progress.
func BindCluster(ctx context.Context, t Topic, clusterID, by, reason string) (before string, err error) {
	known, err := postgres.ReadDeployment(ctx, t.DatabaseURL)
	if err != nil {
		return "", err
	}
	t.Partitions = known.Partitions
	if err := known.Matches(t.deployment(known.ClusterID)); err != nil {
		return "", err
	}
	cluster, err := kafka.NewCluster(t.Brokers)
	if err != nil {
		return "", err
	}
	defer cluster.Close()
	found, err := cluster.Describe(ctx, t.Name)
	switch {
	case err != nil:
		return "", err
	case found.ClusterID != clusterID:
		return "", fmt.Errorf("KAFKA_BROKERS lead to the cluster %q, not to %q; nothing was changed", found.ClusterID, clusterID)
	case known.ClusterID == clusterID:
		return "", fmt.Errorf("the database belongs to the cluster %q already", clusterID)
	case found.Partitions != 0 && found.Partitions != known.Partitions:
		return "", fmt.Errorf("the topic %s has %d partitions in that cluster, and %d on record: make it anew there; nothing was changed",
			t.Name, found.Partitions, known.Partitions)
	}
	if err := postgres.CheckNobodyServes(ctx, t.DatabaseURL); err != nil {
		return "", err
	}
	if err := t.make(ctx, cluster); err != nil {
		return "", err
	}
	return known.ClusterID, postgres.BindCluster(ctx, t.DatabaseURL, known.ClusterID, clusterID, by, reason)
}
