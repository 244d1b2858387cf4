package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/record"
)

// The names in a message's metadata that stand for a part or the place of a
// record. Every other entry of the metadata is a header of the record, and the
// message's UUID is its ce_id.
const (
	MetaKey       = "kafka_key"       // the record's key; decides the partition
	MetaTopic     = "kafka_topic"     // where it lies
	MetaPartition = "kafka_partition" // where it lies
	MetaOffset    = "kafka_offset"    // where it lies
	MetaFrom      = "kafka_from"      // first offset that the message covers
	MetaTo        = "kafka_to"        // first offset after those
	MetaEpoch     = "kafka_epoch"     // of the claim it is delivered under
)

func isPlace(name string) bool {
	switch name {
	case MetaKey, MetaTopic, MetaPartition, MetaOffset, MetaFrom, MetaTo, MetaEpoch:
		return true
	}
	return false
}

// Publisher is a Watermill publisher. Records of one key lie in one partition:
// murmur2 of the key, as Java's clients have it, modulo the number of
// partitions. It is safe for concurrent use.
type Publisher struct {
	cluster  *Cluster
	producer *Producer
	known    map[string]int

	partitions sync.Map // topic to []int: the numbers of its partitions
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher makes a publisher. Known is how many partitions a topic has where
// Kafka is not to be asked. Closing the publisher closes the producer.
func NewPublisher(c *Cluster, p *Producer, known map[string]int) *Publisher {
	return &Publisher{cluster: c, producer: p, known: known}
}

// Publish returns nil once every message is durable, and leaves partition and
// offset in each one's metadata (MetaPartition, MetaOffset). An error means that
// for one message at least this is unknown. Messages of one partition are written
// in the order given. The context of each message bounds how long it is waited
// for; no message is waited for longer than ProduceDeadline.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	type sent struct {
		msg       *message.Message
		partition int
		pending   Pending
	}
	var err error
	all := make([]sent, 0, len(messages))
	for _, msg := range messages {
		s := sent{msg: msg}
		record := toRecord(msg)
		if s.partition, err = p.partition(msg.Context(), topic, record.Key, msg.UUID); err != nil {
			break
		}
		if s.pending, err = p.producer.Enqueue(msg.Context(), topic, s.partition, record); err != nil {
			break
		}
		all = append(all, s)
	}
	for _, s := range all {
		offset, e := s.pending.Wait()
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		s.msg.Metadata.Set(MetaPartition, strconv.Itoa(s.partition))
		s.msg.Metadata.Set(MetaOffset, strconv.FormatInt(offset, 10))
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// Close waits for what is on its way and closes the producer.
func (p *Publisher) Close() error { return p.producer.Close() }

// partition spreads messages without a key by their UUID.
func (p *Publisher) partition(ctx context.Context, topic string, key []byte, uuid string) (int, error) {
	partitions, err := p.list(ctx, topic)
	if err != nil {
		return 0, err
	}
	if key == nil {
		key = []byte(uuid)
	}
	balancer := kafkago.Murmur2Balancer{Consistent: true}
	return balancer.Balance(kafkago.Message{Key: key}, partitions...), nil
}

// list is the numbers of the topic's partitions. Once asked for, they are kept:
// keys keep their partition while the publisher lives.
func (p *Publisher) list(ctx context.Context, topic string) ([]int, error) {
	if list, ok := p.partitions.Load(topic); ok {
		return list.([]int), nil
	}
	n := p.known[topic]
	if n == 0 {
		ctx, cancel := context.WithTimeout(ctx, ProduceDeadline)
		defer cancel()
		found, err := p.cluster.Describe(ctx, topic)
		if err != nil {
			return nil, err
		}
		n = found.Partitions
	}
	if n == 0 {
		return nil, fmt.Errorf("topic %s: %w", topic, kafkago.UnknownTopicOrPartition)
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	kept, _ := p.partitions.LoadOrStore(topic, list)
	return kept.([]int), nil
}

// toRecord is the record that a message is written as. fromRecord reads it back.
func toRecord(msg *message.Message) record.Record {
	r := record.Record{Value: msg.Payload}
	if key, ok := msg.Metadata[MetaKey]; ok {
		r.Key = []byte(key)
	}
	r.Headers = make([]record.Header, 0, len(msg.Metadata)+1)
	if msg.UUID != "" {
		r.Headers = append(r.Headers, record.Header{Key: record.HeaderID, Value: []byte(msg.UUID)})
	}
	for name, value := range msg.Metadata {
		if !isPlace(name) && name != record.HeaderID {
			r.Headers = append(r.Headers, record.Header{Key: name, Value: []byte(value)})
		}
	}
	slices.SortFunc(r.Headers, func(a, b record.Header) int { return strings.Compare(a.Key, b.Key) })
	return r
}

// fromRecord fills a message with what a record says.
func fromRecord(msg *message.Message, r record.Record) {
	msg.Payload = r.Value
	if r.Key != nil {
		msg.Metadata.Set(MetaKey, string(r.Key))
	}
	for _, h := range r.Headers {
		if h.Key == record.HeaderID {
			msg.UUID = string(h.Value)
			continue
		}
		msg.Metadata.Set(h.Key, string(h.Value))
	}
	msg.Metadata.Set(MetaOffset, strconv.FormatInt(r.Offset, 10))
}
