package demo

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/kafka"
)

// The limits of what the demo does with the topic past the API.
const (
	produceTimeout = 10 * time.Second
	settleTimeout  = 2 * time.Minute // for all that is in the topic
	settlePause    = 5 * time.Millisecond
)

// putForeign puts records that are not ours straight into a partition, as any
// program could that reaches the brokers.
func putForeign(ctx context.Context, brokers []string, partition int, values [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	transport := &kafkago.Transport{MetadataTopics: []string{topicName}}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(brokers...), Transport: transport}
	records := make([]kafkago.Record, 0, len(values))
	for _, value := range values {
		records = append(records, kafkago.Record{Time: time.Now(), Value: kafkago.NewBytes(value)})
	}
	answer, err := client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: topicName, Partition: partition, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return fmt.Errorf("produce foreign records: %w", err)
	}
	return nil
}

// settled waits until all that is in the topic now is settled. Whatever was
// answered by then has its outcome, and every other record is accounted for.
func (s *stage) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	cluster, err := kafka.NewCluster(s.stack.Brokers(), topicName)
	if err != nil {
		return err
	}
	defer cluster.Close()
	for partition := range partitions {
		_, end, err := cluster.Offsets(ctx, topicName, partition)
		if err != nil {
			return err
		}
		for {
			next, err := s.store.NextOffset(ctx, partition)
			if err != nil {
				return err
			}
			if next >= end {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("partition %d is settled up to offset %d of %d: %w", partition, next, end, ctx.Err())
			case <-time.After(settlePause):
			}
		}
	}
	return nil
}
