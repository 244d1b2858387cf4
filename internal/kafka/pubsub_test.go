package kafka_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

// singles is a subscriber as the suite wants it: a message is one record, and topics
// are made in passing. In production a message is a batch, and nobody makes a topic so.
type singles struct {
	*kafka.Subscriber
	t          *testing.T
	broker     *kafkatest.Kafka
	partitions int
	wg         *sync.WaitGroup
}

func (s singles) SubscribeInitialize(topic string) error {
	s.broker.Create(s.t, topic, s.partitions)
	return nil
}

func (s singles) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	batches, err := s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	s.wg.Go(func() {
		defer close(out)
		for msg := range batches {
			b := kafka.BatchOf(msg)
			if len(b.Records) == 0 {
				msg.Ack()
				continue
			}
			r := b.Records[0]
			single := kafka.FromRecord(msg.Context(), r)
			msg.UUID, msg.Payload, msg.Metadata = single.UUID, single.Payload, single.Metadata
			msg.Metadata.Set(kafka.MetaPartition, strconv.Itoa(b.Claim.Partition))
			msg.Metadata.Set(kafka.MetaOffset, strconv.FormatInt(r.Offset, 10))
			select {
			case out <- msg:
			case <-msg.Context().Done(): // given up: nobody took it
			}
		}
	})
	return out, nil
}

// Close returns once the channels are closed, too.
func (s singles) Close() error {
	err := s.Subscriber.Close()
	s.wg.Wait()
	return err
}

// inKafka is a claimer without a database: a position is what the group left in Kafka
// of it. Nothing fences it.
type inKafka struct{ cluster *kafka.Cluster }

func (c inKafka) Claim(ctx context.Context, topic string, partition int, known processor.Memory) (processor.Claim, error) {
	found, err := c.cluster.Describe(ctx, topic)
	return processor.Claim{
		Topic: topic, Partition: partition, Partitions: found.Partitions, ClusterID: found.ClusterID,
		Log: 1, Epoch: known.Epoch + 1, MovedEpoch: known.MovedEpoch, NextOffset: known.NextOffset,
	}, err
}

// keyed gives each message its payload as key.
type keyed struct{ *kafka.Publisher }

func (k keyed) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		msg.Metadata.Set(kafka.MetaKey, string(msg.Payload))
	}
	return k.Publisher.Publish(topic, messages...)
}

// pubSub makes a publisher and a subscriber as the suite wants them.
func pubSub(t *testing.T, broker *kafkatest.Kafka, group string, partitions int) (*kafka.Publisher, singles) {
	t.Helper()
	c := broker.Client(t)
	sub, err := kafka.NewSubscriber(c, kafka.SubscriberOptions{
		Group: group, Claimer: inKafka{c}, MaxRecords: 1, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, DrainTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() }) // the suite leaves some of them open
	return kafka.NewPublisher(c, kafka.NewProducer(c, kafka.NewMetrics(nil), 0), nil), singles{sub, t, broker, partitions, new(sync.WaitGroup)}
}

// groupOf is a group for the test, which all its subscribers are in.
func groupOf(t *testing.T) string {
	t.Helper()
	return strings.ReplaceAll(t.Name(), "/", "_")
}

// TestUniversalSuite runs all of Watermill's suite but what TestReconnect,
// TestKeysKeepTheirOrder and TestNewGroupReceivesOldMessages do instead.
func TestUniversalSuite(t *testing.T) {
	t.Parallel()
	for name, partitions := range map[string]int{"one partition": 1, "eight partitions": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
				inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
					t.Helper()
					return pubSub(t, broker, group, partitions)
				}
				tests.TestPubSub(t, tests.Features{
					ConsumerGroups:  true,
					GuaranteedOrder: partitions == 1, // without keys; with them, see below
					Persistent:      true,
				}, func(t *testing.T) (message.Publisher, message.Subscriber) {
					t.Helper()
					return inGroup(t, groupOf(t))
				}, inGroup)
			})
		})
	}
}

func TestKeysKeepTheirOrder(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		tests.TestPublishSubscribeInOrder(t, tests.TestContext{
			TestID: tests.NewTestID(), Features: tests.Features{GuaranteedOrder: true, Persistent: true},
		}, func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			pub, sub := pubSub(t, broker, groupOf(t), 8)
			return keyed{pub}, sub
		})
	})
}

// TestNewGroupReceivesOldMessages is the test of the suite that wants subscribers
// in no group with the first: here each has a group of its own.
func TestNewGroupReceivesOldMessages(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{
			TestID: tests.NewTestID(), Features: tests.Features{NewSubscriberReceivesOldMessages: true, Persistent: true},
		}, func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			return pubSub(t, broker, kafkatest.Name(), 1)
		})
	})
}
