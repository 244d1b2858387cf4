package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// minInSyncReplicas is how many replicas have a record before it counts as
// durable, where the topic has three or more.
const minInSyncReplicas = 2

// ErrMismatch says that Kafka is not what we were told it is: another cluster,
// a topic of another size, or no such topic.
var ErrMismatch = errors.New("Kafka is not what the database knows") //nolint:staticcheck // a name keeps its capital

// Topic is a topic and where it lives: as the database knows it, or as Kafka
// describes it.
type Topic struct {
	Name       string
	Partitions int // 0: there is no such topic
	ClusterID  string
}

// CreateTopic makes the topic: kept without limit of time, never led by a replica
// that lags. It returns when the brokers know of it. It does nothing if a topic of the name and the number of partitions
// exists, and fails with ErrMismatch if its number is another one.
func (c *Cluster) CreateTopic(ctx context.Context, name string, partitions, replication int) error {
	settings := []kafkago.ConfigEntry{
		{ConfigName: "cleanup.policy", ConfigValue: "delete"},
		{ConfigName: "retention.ms", ConfigValue: "-1"},
		{ConfigName: "unclean.leader.election.enable", ConfigValue: "false"},
	}
	if replication > minInSyncReplicas {
		settings = append(settings, kafkago.ConfigEntry{
			ConfigName: "min.insync.replicas", ConfigValue: strconv.Itoa(minInSyncReplicas),
		})
	}
	err := c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
			Topic: name, NumPartitions: partitions, ReplicationFactor: replication, ConfigEntries: settings,
		}}})
		if err != nil {
			return err
		}
		return answer.Errors[name]
	})
	if errors.Is(err, kafkago.TopicAlreadyExists) {
		return c.Check(ctx, Topic{Name: name, Partitions: partitions})
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return c.appear(ctx, Topic{Name: name, Partitions: partitions})
}

// appear waits until the brokers know of a topic that was just made.
func (c *Cluster) appear(ctx context.Context, topic Topic) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	wait := backoff{low: 50 * time.Millisecond, high: time.Second}
	for {
		err := c.Check(ctx, topic)
		if err == nil || !sleep(ctx, wait.next()) {
			return err
		}
	}
}

// Describe asks the brokers, never a cache.
func (c *Cluster) Describe(ctx context.Context, topic string) (Topic, error) {
	found := Topic{Name: topic}
	err := c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		found.ClusterID = answer.ClusterID
		for _, t := range answer.Topics {
			if t.Error != nil {
				if errors.Is(t.Error, kafkago.UnknownTopicOrPartition) {
					continue
				}
				return t.Error
			}
			found.Partitions = len(t.Partitions)
		}
		return nil
	})
	if err != nil {
		return Topic{}, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	return found, nil
}

// Check compares Kafka with what is known of the topic; an empty ClusterID is not
// compared. It fails with ErrMismatch where they differ, and with another error
// where Kafka does not say.
func (c *Cluster) Check(ctx context.Context, known Topic) error {
	found, err := c.Describe(ctx, known.Name)
	if err != nil {
		return err
	}
	if known.ClusterID != "" && found.ClusterID != known.ClusterID {
		return fmt.Errorf("%w: cluster %q instead of %q", ErrMismatch, found.ClusterID, known.ClusterID)
	}
	if found.Partitions != known.Partitions {
		return fmt.Errorf("%w: topic %s has %d partitions instead of %d",
			ErrMismatch, known.Name, found.Partitions, known.Partitions)
	}
	return nil
}
