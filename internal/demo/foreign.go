package demo

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// produceTimeout bounds one produce of the foreign records.
const produceTimeout = 10 * time.Second

// putForeign puts records that are not ours straight into a partition, as any
// program could that reaches the brokers.
func putForeign(ctx context.Context, brokers []string, topic string, partition int, values [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	transport := &kafkago.Transport{MetadataTopics: []string{topic}}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(brokers...), Transport: transport}
	records := make([]kafkago.Record, 0, len(values))
	for _, value := range values {
		records = append(records, kafkago.Record{Time: time.Now(), Value: kafkago.NewBytes(value)})
	}
	answer, err := client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return fmt.Errorf("produce foreign records: %w", err)
	}
	return nil
}
