package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// minInSyncReplicas is how many replicas have a record before it counts as
	// durable, where the topic has three or more.
	minInSyncReplicas = 2
	// mostReplicas is how many a topic gets unless it is told otherwise.
	mostReplicas = 3
)

// ErrMismatch says that Kafka is not what we were told it is: another cluster,
// a topic of another size, or no such topic.
var ErrMismatch = errors.New("Kafka is not what the database knows") //nolint:staticcheck // a name keeps its capital

// errAdded is an ErrMismatch of a topic whose partitions are all there, and others.
var errAdded = errors.New("added")

// Topic is a topic and where it lives: as the database knows it, or as Kafka
// describes it.
type Topic struct {
	Name       string
	Partitions int // 0: there is no such topic
	ClusterID  string
}

// ErrSettings says that a topic loses records by the way it is set up.
var ErrSettings = errors.New("the topic would lose records")

// CreateTopic makes the topic, kept without limit of time and never led by a
// replica that lags, and returns when the brokers know it. Replication 0 is as
// many replicas as there are brokers now, three at most. With three and more, two
// have a record before it counts as durable. CreateTopic changes nothing if a
// topic of the name exists: it fails with ErrMismatch if that has another number
// of partitions, and with ErrSettings if it compacts its log or may be led by a
// replica that lags. A finite retention is the operator's choice.
func (c *Cluster) CreateTopic(ctx context.Context, name string, partitions, replication int) error {
	if replication == 0 {
		var err error
		if replication, err = c.replicas(ctx); err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
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
		if err := c.Check(ctx, Topic{Name: name, Partitions: partitions}); err != nil {
			return err
		}
		return c.checkSettings(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return c.appear(ctx, Topic{Name: name, Partitions: partitions})
}

// replicas is how many a topic may have here, up to mostReplicas.
func (c *Cluster) replicas(ctx context.Context) (n int, err error) {
	err = c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.Metadata(ctx, &kafkago.MetadataRequest{})
		if err == nil {
			n = min(len(answer.Brokers), mostReplicas)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count the brokers: %w", err)
	}
	return n, nil
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

// checkSettings compares the settings of a topic that somebody else made.
func (c *Cluster) checkSettings(ctx context.Context, name string) error {
	var found []kafkago.DescribeConfigResponseConfigEntry
	err := c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
			Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: name}},
		})
		if err != nil {
			return err
		}
		for _, r := range answer.Resources {
			if r.Error != nil {
				return r.Error
			}
			found = append(found, r.ConfigEntries...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read settings of topic %s: %w", name, err)
	}
	harmless := map[string]string{"cleanup.policy": "delete", "unclean.leader.election.enable": "false"}
	for _, e := range found {
		if want, matters := harmless[e.ConfigName]; matters && e.ConfigValue != want {
			return fmt.Errorf("%w: %s of topic %s is %q, and must be %q", ErrSettings, e.ConfigName, name, e.ConfigValue, want)
		}
	}
	return nil
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
	if found.Partitions > known.Partitions {
		return fmt.Errorf("%w: topic %s has %d partitions instead of %d: some were %w, and Kafka takes none away: "+
			"it has to be made anew with %d (docs/playbooks)",
			ErrMismatch, known.Name, found.Partitions, known.Partitions, errAdded, known.Partitions)
	}
	if found.Partitions != known.Partitions {
		return fmt.Errorf("%w: topic %s has %d partitions instead of %d",
			ErrMismatch, known.Name, found.Partitions, known.Partitions)
	}
	return nil
}
