package kafkatest

import (
	"context"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
)

// Replicas is where the records of a partition lie. Brokers count from 0, as
// [Kafka.KillBroker] takes them.
type Replicas struct {
	Leader int // -1: none
	All    int
	InSync int
}

// Replicas asks for those of each partition, now, whichever broker answers.
func (k *Kafka) Replicas(t testing.TB, topic string) map[int]Replicas {
	t.Helper()
	found := map[int]Replicas{}
	k.ask(t, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		for _, of := range answer.Topics {
			for _, p := range of.Partitions {
				found[p.ID] = Replicas{Leader: p.Leader.ID - 1, All: len(p.Replicas), InSync: len(p.Isr)}
			}
		}
		return nil
	})
	return found
}

// Settings are those that the topic has of its own, not by the broker's defaults.
func (k *Kafka) Settings(t testing.TB, topic string) map[string]string {
	t.Helper()
	const ofTheTopic = 1
	found := map[string]string{}
	k.ask(t, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
			Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic}},
		})
		if err != nil {
			return err
		}
		for _, r := range answer.Resources {
			if r.Error != nil {
				return r.Error
			}
			for _, e := range r.ConfigEntries {
				if e.ConfigSource == ofTheTopic {
					found[e.ConfigName] = e.ConfigValue
				}
			}
		}
		return nil
	})
	return found
}

// ask asks, with a client that knows nothing from before, until an answer comes.
func (k *Kafka) ask(t testing.TB, question func(context.Context, *kafkago.Client) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for {
		transport := &kafkago.Transport{}
		err := question(ctx, &kafkago.Client{Addr: kafkago.TCP(k.Brokers...), Transport: transport})
		transport.CloseIdleConnections()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("ask Kafka: ", err)
		}
		pause(ctx, t)
	}
}
