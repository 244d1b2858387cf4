package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

// initializer makes the topics of the suite. In production nobody makes a topic
// in passing.
type initializer struct {
	*kafka.Subscriber
	t          *testing.T
	broker     *kafkatest.Kafka
	partitions int
}

func (i initializer) SubscribeInitialize(topic string) error {
	i.broker.Create(i.t, topic, i.partitions)
	return nil
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
func pubSub(t *testing.T, broker *kafkatest.Kafka, group string, partitions int) (*kafka.Publisher, initializer) {
	t.Helper()
	c := broker.Client(t)
	sub, err := kafka.NewSubscriber(c, kafka.SubscriberOptions{
		Group: group, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, DrainTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() }) // the suite leaves some of them open
	return kafka.NewPublisher(c, kafka.NewProducer(c, kafka.NewMetrics(nil), 0), nil), initializer{sub, t, broker, partitions}
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
