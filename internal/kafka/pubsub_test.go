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

// keyed gives the messages of the suite that have a type the type as their key.
type keyed struct{ *kafka.Publisher }

func (k keyed) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		if len(msg.Payload) > 0 {
			msg.Metadata.Set(kafka.MetaKey, string(msg.Payload))
		}
	}
	return k.Publisher.Publish(topic, messages...)
}

func TestUniversalSuite(t *testing.T) {
	t.Parallel()
	for name, partitions := range map[string]int{"one partition": 1, "eight partitions": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.Start(t)
			group := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				t.Helper()
				c := broker.Client(t)
				sub, err := kafka.NewSubscriber(c, kafka.SubscriberOptions{
					Group: group, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, DrainTimeout: 100 * time.Millisecond,
				})
				if err != nil {
					t.Fatal(err)
				}
				// The suite leaves some of them open.
				t.Cleanup(func() { _ = sub.Close() })
				pub := kafka.NewPublisher(c, kafka.NewProducer(c, kafka.NewMetrics(nil)), nil)
				return keyed{pub}, initializer{sub, t, broker, partitions}
			}
			tests.TestPubSub(t, tests.Features{
				ConsumerGroups:  true,
				GuaranteedOrder: partitions == 1,
				Persistent:      true,
				ForceShort:      testing.Short(),
			}, func(t *testing.T) (message.Publisher, message.Subscriber) {
				t.Helper()
				return group(t, strings.ReplaceAll(t.Name(), "/", "_"))
			}, group)
		})
	}
}
