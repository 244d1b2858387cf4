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
	metaKey       = "kafka_key"       // the record's key; decides the partition
	metaPartition = "kafka_partition" // where it lies
	metaOffset    = "kafka_offset"    // where it lies
)

func isPlace(name string) bool { return name == metaKey || name == metaPartition || name == metaOffset }

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

// Sent is a record on its way.
type Sent struct {
	partition int
	pending   Pending
}

// Wait waits until the record is durable, and says where it lies. An error means that it is unknown
// whether the record was written, as [Producer.Produce] says.
func (s Sent) Wait() (partition int, offset int64, err error) {
	offset, err = s.pending.Wait()
	return s.partition, offset, err
}

// Begin hands one record over, of which key, value and headers count, and does not wait: records
// of one partition are written in the order of the calls. ctx bounds how long [Sent.Wait]
// waits. Begin fails as [Producer.Enqueue] does.
func (p *Publisher) Begin(ctx context.Context, topic string, r record.Record) (Sent, error) {
	return p.begin(topic, fromRecord(ctx, r))
}

// Send publishes one record, and says where it lies; see [Publisher.Begin] and [Sent.Wait].
func (p *Publisher) Send(ctx context.Context, topic string, r record.Record) (partition int, offset int64, err error) {
	sent, err := p.Begin(ctx, topic, r)
	if err != nil {
		return 0, 0, err
	}
	return sent.Wait()
}

func (p *Publisher) begin(topic string, msg *message.Message) (s Sent, err error) {
	r := toRecord(msg)
	if s.partition, err = p.partition(msg.Context(), topic, r.Key, msg.UUID); err == nil {
		s.pending, err = p.producer.Enqueue(msg.Context(), topic, s.partition, r)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("publish to %s: %w", topic, err)
	}
	return s, nil
}

// Publish returns nil once every message is durable, and leaves partition and
// offset in each one's metadata. An error means that
// for one message at least this is unknown. Messages of one partition are written
// in the order given. The context of each message bounds how long it is waited
// for; no message is waited for longer than ProduceDeadline.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	var err error
	all := make([]Sent, 0, len(messages))
	for _, msg := range messages {
		var s Sent
		if s, err = p.begin(topic, msg); err != nil {
			break
		}
		all = append(all, s)
	}
	for i, s := range all {
		partition, offset, e := s.Wait()
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		messages[i].Metadata.Set(metaPartition, strconv.Itoa(partition))
		messages[i].Metadata.Set(metaOffset, strconv.FormatInt(offset, 10))
	}
	return err
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

// toRecord is the record that a message is written as.
func toRecord(msg *message.Message) record.Record {
	r := record.Record{Value: msg.Payload}
	if key, ok := msg.Metadata[metaKey]; ok {
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

// fromRecord is the message that is written as the record.
func fromRecord(ctx context.Context, r record.Record) *message.Message {
	msg := message.NewMessageWithContext(ctx, "", r.Value)
	if r.Key != nil {
		msg.Metadata.Set(metaKey, string(r.Key))
	}
	for _, h := range r.Headers {
		if h.Key == record.HeaderID {
			msg.UUID = string(h.Value)
			continue
		}
		msg.Metadata.Set(h.Key, string(h.Value))
	}
	return msg
}
