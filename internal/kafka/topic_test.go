package kafka_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

func TestCreateTopic(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		c, name := broker.Client(t), kafkatest.Name()
		for range 2 { // the second time it is there
			if err := c.CreateTopic(t.Context(), name, 8, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.CreateTopic(t.Context(), name, 16, 1); !errors.Is(err, kafka.ErrMismatch) {
			t.Errorf("another size: %v", err)
		}
		topic, err := c.Describe(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if topic.Partitions != 8 || topic.ClusterID == "" {
			t.Errorf("topic = %+v", topic)
		}
		missing, err := c.Describe(t.Context(), "missing")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(kafka.Topic{Name: "missing", ClusterID: topic.ClusterID}, missing); diff != "" {
			t.Error(diff)
		}

		transport := &kafkago.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		client := &kafkago.Client{Addr: kafkago.TCP(broker.Brokers...), Transport: transport}
		answer, err := client.DescribeConfigs(t.Context(), &kafkago.DescribeConfigsRequest{
			Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: name}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", "unclean.leader.election.enable": "false",
			"message.timestamp.type": "LogAppendTime", "max.message.bytes": "1048576",
		}
		got := map[string]string{}
		for _, e := range answer.Resources[0].ConfigEntries {
			if _, ok := want[e.ConfigName]; ok {
				got[e.ConfigName] = e.ConfigValue
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		c := broker.Client(t)
		topic := broker.Topic(t, 4)
		if err := c.Check(t.Context(), topic); err != nil {
			t.Error(err)
		}
		for name, known := range map[string]kafka.Topic{
			"another size":    {Name: topic.Name, Partitions: 8, ClusterID: topic.ClusterID},
			"another cluster": {Name: topic.Name, Partitions: 4, ClusterID: "another"},
			"another topic":   {Name: "another", Partitions: 4, ClusterID: topic.ClusterID},
		} {
			if err := c.Check(t.Context(), known); !errors.Is(err, kafka.ErrMismatch) {
				t.Errorf("%s: %v", name, err)
			}
		}
		broker.Stop()
		if err := c.Check(t.Context(), topic); err == nil || errors.Is(err, kafka.ErrMismatch) {
			t.Errorf("the broker is gone: %v", err)
		}
	})
}
