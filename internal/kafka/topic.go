package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
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

// CreateTopic makes the topic, kept without limit of time or size and never led by a
// replica that lags, and returns when the brokers know it. Replication 0 is as
// many replicas as there are brokers now, three at most. With three and more, two
// have a record before it counts as durable. CreateTopic changes nothing if a
// topic of the name exists: it fails with ErrMismatch if that has another number
// of partitions, with ErrSettings if its settings can lose a record, and else with
// ErrDoubtful where nobody should choose them; a finite retention is a choice.
func (c *Cluster) CreateTopic(ctx context.Context, name string, partitions, replication int) error {
	if replication == 0 {
		var err error
		if replication, err = c.replicas(ctx); err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	var entries []kafkago.ConfigEntry
	for _, s := range settings() {
		if s.ours != "" {
			entries = append(entries, kafkago.ConfigEntry{ConfigName: s.name, ConfigValue: s.ours})
		}
	}
	if replication > minInSyncReplicas {
		entries = append(entries, kafkago.ConfigEntry{
			ConfigName: minInSyncSetting, ConfigValue: strconv.Itoa(minInSyncReplicas),
		})
	}
	err := c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
			Topic: name, NumPartitions: partitions, ReplicationFactor: replication, ConfigEntries: entries,
		}}})
		if err != nil {
			return err
		}
		return answer.Errors[name]
	})
	if errors.Is(err, kafkago.TopicAlreadyExists) {
		seen, err := c.seen(ctx, Topic{Name: name, Partitions: partitions}, time.Now())
		if err != nil {
			return err
		}
		return worst(seen.arranged.judge(), doubtful)
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

// Describe asks the brokers, never a cache.
func (c *Cluster) Describe(ctx context.Context, topic string) (Topic, error) {
	seen, err := c.look(ctx, topic, time.Now())
	return seen.topic, err
}

// sight is what the brokers said of a topic.
type sight struct {
	topic      Topic
	partitions []kafkago.Partition
	arranged   arrangement
}

// look is what the brokers said at since or later. Those who look at the same time share
// an answer.
func (c *Cluster) look(ctx context.Context, topic string, since time.Time) (sight, error) {
	last, _ := c.sights.LoadOrStore(topic, &answer[sight]{})
	seen, err := last.(*answer[sight]).get(ctx, since, func(ctx context.Context) (sight, error) { return c.ask(ctx, topic) })
	if err != nil {
		return sight{}, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	return seen, nil
}

func (c *Cluster) ask(ctx context.Context, topic string) (seen sight, err error) {
	seen.topic.Name = topic
	err = c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		seen.topic.ClusterID = answer.ClusterID
		for _, t := range answer.Topics {
			if t.Error != nil {
				if errors.Is(t.Error, kafkago.UnknownTopicOrPartition) {
					continue
				}
				return t.Error
			}
			seen.topic.Partitions, seen.partitions = len(t.Partitions), t.Partitions
			if seen.arranged, err = arrange(ctx, client, t, answer.Brokers); err != nil {
				return fmt.Errorf("read its settings: %w", err)
			}
		}
		return nil
	})
	return seen, err
}

// Check compares Kafka with what is known of the topic; an empty ClusterID is not
// compared. It fails with ErrMismatch where they differ, with ErrSettings where the
// topic's settings can lose a record, and with another error where Kafka does not say.
// What else is wrong with the settings it tells: see Tell. Kafka is asked after the call;
// those who call at the same time share an answer.
func (c *Cluster) Check(ctx context.Context, known Topic) error {
	_, err := c.seen(ctx, known, time.Now())
	return err
}

// seen is what was seen at since or later. It fails as Check does.
func (c *Cluster) seen(ctx context.Context, known Topic, since time.Time) (sight, error) {
	seen, err := c.look(ctx, known.Name, since)
	if err != nil {
		return sight{}, err
	}
	if err := known.differs(seen.topic); err != nil {
		return sight{}, err
	}
	concerns := seen.arranged.judge()
	c.told.tell(known.Name, concerns)
	return seen, worst(concerns, refused)
}

// differs fails with ErrMismatch where what was found is not what is known.
func (known Topic) differs(found Topic) error {
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
