package kafkatest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/record"
)

// Request sends one request of the protocol, at a version, over a connection of
// its own, and returns the answer. It is for what our client does not do.
func (k *Kafka) Request(t testing.TB, version int16, request kmsg.Request) kmsg.Response {
	t.Helper()
	request.SetVersion(version)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", k.Brokers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, request, 1)); err != nil {
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	body = body[4:] // the correlation ID
	answer := request.ResponseKind()
	answer.SetVersion(version)
	if answer.IsFlexible() {
		body = body[1:] // the header's tags: none
	}
	if err := answer.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	return answer
}

// DeleteRecords moves the start of the partition's log to the offset.
func (k *Kafka) DeleteRecords(t testing.TB, topic string, partition int, offset int64) {
	t.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = int32(Patience.Milliseconds())
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = int32(partition), offset
	rt.Partitions = append(rt.Partitions, rp)
	request.Topics = append(request.Topics, rt)
	answer := k.Request(t, 1, request).(*kmsg.DeleteRecordsResponse)
	fail(t, "delete records", answer.Topics[0].Partitions[0].ErrorCode)
}

// DeleteTopic deletes a topic.
func (k *Kafka) DeleteTopic(t testing.TB, topic string) {
	t.Helper()
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = int32(Patience.Milliseconds())
	request.TopicNames = []string{topic}
	answer := k.Request(t, 3, request).(*kmsg.DeleteTopicsResponse)
	fail(t, "delete topic", answer.Topics[0].ErrorCode)
}

// AddPartitions makes the topic have n partitions.
func (k *Kafka) AddPartitions(t testing.TB, topic string, n int) {
	t.Helper()
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.TimeoutMillis = int32(Patience.Milliseconds())
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, int32(n)
	request.Topics = append(request.Topics, rt)
	answer := k.Request(t, 1, request).(*kmsg.CreatePartitionsResponse)
	fail(t, "add partitions", answer.Topics[0].ErrorCode)
}

// Transaction writes the records to the partition in one transaction and ends it.
// The marker of its end takes one more offset; it is there when Transaction
// returns.
func (k *Kafka) Transaction(t testing.TB, topic string, partition int, commit bool, records ...record.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	id := "kafkatest-" + rand.Text()
	producer := k.beginTransaction(ctx, t, id)

	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = id, producer.ProducerID, producer.ProducerEpoch
	at := kmsg.NewAddPartitionsToTxnRequestTopic()
	at.Topic, at.Partitions = topic, []int32{int32(partition)}
	add.Topics = append(add.Topics, at)
	untilDone(ctx, t, "add partition", func() int16 {
		return k.Request(t, 1, add).(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})

	if len(records) > 0 {
		k.produceInTransaction(t, topic, partition, id, producer, records)
	}

	c := k.Client(t)
	_, before, err := c.Offsets(ctx, topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch = id, producer.ProducerID, producer.ProducerEpoch
	end.Commit = commit
	untilDone(ctx, t, "end transaction", func() int16 { return k.Request(t, 1, end).(*kmsg.EndTxnResponse).ErrorCode })
	for {
		_, after, err := c.Offsets(ctx, topic, partition)
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			return
		}
		pause(ctx, t)
	}
}

// beginTransaction asks for the coordinator first, which makes the topic of the
// transactions where there is none.
func (k *Kafka) beginTransaction(ctx context.Context, t testing.TB, id string) (producer *kmsg.InitProducerIDResponse) {
	t.Helper()
	untilDone(ctx, t, "begin a transaction", func() int16 {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey, find.CoordinatorType = id, 1
		if code := k.Request(t, 2, find).(*kmsg.FindCoordinatorResponse).ErrorCode; code != 0 {
			return code
		}
		begin := kmsg.NewPtrInitProducerIDRequest()
		begin.TransactionalID, begin.TransactionTimeoutMillis = &id, int32(Patience.Milliseconds())
		producer = k.Request(t, 1, begin).(*kmsg.InitProducerIDResponse)
		return producer.ErrorCode
	})
	return producer
}

func (k *Kafka) produceInTransaction(
	t testing.TB, topic string, partition int, txn string, producer *kmsg.InitProducerIDResponse, records []record.Record,
) {
	t.Helper()
	const transactional = 1 << 4
	shape := kmsg.RecordBatch{Attributes: transactional, ProducerID: producer.ProducerID, ProducerEpoch: producer.ProducerEpoch}
	k.produceBatch(t, topic, partition, &txn, Batch(shape, Encoded(records...)...))
}

// ProduceBatch writes a batch as it is: what our producer would never make.
func (k *Kafka) ProduceBatch(t testing.TB, topic string, partition int, batch []byte) {
	t.Helper()
	k.produceBatch(t, topic, partition, nil, batch)
}

func (k *Kafka) produceBatch(t testing.TB, topic string, partition int, txn *string, batch []byte) {
	t.Helper()
	produce := kmsg.NewPtrProduceRequest()
	produce.TransactionID, produce.Acks, produce.TimeoutMillis = txn, -1, int32(Patience.Milliseconds())
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = topic
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Partition, pp.Records = int32(partition), batch
	pt.Partitions = append(pt.Partitions, pp)
	produce.Topics = append(produce.Topics, pt)
	produced := k.Request(t, 7, produce).(*kmsg.ProduceResponse)
	fail(t, "produce", produced.Topics[0].Partitions[0].ErrorCode)
}

// Batch is a batch of message format 2 with a right length and checksum. What the
// shape leaves out is as a producer that is not idempotent would say it, and the
// records follow one another.
func Batch(shape kmsg.RecordBatch, records ...[]byte) []byte {
	shape.Magic, shape.PartitionLeaderEpoch = 2, -1
	if shape.ProducerID == 0 {
		shape.ProducerID, shape.ProducerEpoch, shape.FirstSequence = -1, -1, -1
	}
	if shape.FirstTimestamp == 0 {
		shape.FirstTimestamp = time.Now().UnixMilli()
		shape.MaxTimestamp = shape.FirstTimestamp
	}
	if shape.NumRecords == 0 {
		shape.NumRecords = int32(len(records))
	}
	if shape.LastOffsetDelta == 0 {
		shape.LastOffsetDelta = int32(len(records) - 1)
	}
	if shape.Records == nil {
		shape.Records = bytes.Join(records, nil)
	}
	const lengthAt, afterLength, crcAt, afterCRC = 8, 12, 17, 21
	raw := shape.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[lengthAt:], uint32(len(raw)-afterLength))
	binary.BigEndian.PutUint32(raw[crcAt:], crc32.Checksum(raw[afterCRC:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// Encoded are the records as they are written in a batch, one behind the other.
func Encoded(records ...record.Record) [][]byte {
	all := make([][]byte, len(records))
	for i, r := range records {
		all[i] = EncodedAt(i, r)
	}
	return all
}

// EncodedAt is a record as it is written in a batch, so many offsets behind its base.
func EncodedAt(delta int, r record.Record) []byte {
	record := kmsg.Record{OffsetDelta: int32(delta), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, kmsg.Header(h))
	}
	record.Length = int32(len(record.AppendTo(nil)) - 1) // without the length, which is one byte while it is 0
	return record.AppendTo(nil)
}

func fail(t testing.TB, what string, code int16) {
	t.Helper()
	if code != 0 {
		t.Fatalf("%s: error code %d", what, code)
	}
}

// untilDone asks again for as long as the answer is one that passes, as that of a
// coordinator which is only being made is.
func untilDone(ctx context.Context, t testing.TB, what string, ask func() (code int16)) {
	t.Helper()
	for {
		code := ask()
		if !kerr.IsRetriable(kerr.ErrorForCode(code)) {
			fail(t, what, code)
			return
		}
		pause(ctx, t)
	}
}

// AlterTopic changes settings of the topic.
func (k *Kafka) AlterTopic(t testing.TB, topic string, settings map[string]string) {
	t.Helper()
	k.alter(t, kmsg.ConfigResourceTypeTopic, topic, settings)
}

// AlterBrokers changes what the brokers have for topics that do not say otherwise.
func (k *Kafka) AlterBrokers(t testing.TB, settings map[string]string) {
	t.Helper()
	k.alter(t, kmsg.ConfigResourceTypeBroker, "", settings)
}

// Compact makes the broker compact what can be compacted, and returns when so many
// offsets of the partition hold a record no more. The topic's policy has to name it.
func (k *Kafka) Compact(t testing.TB, topic string, partition int, gone int) {
	t.Helper()
	if !k.Real() {
		k.Cluster.Compact()
	} else {
		k.AlterBrokers(t, map[string]string{"log.cleaner.backoff.ms": "100"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for {
		start, end, err := k.Client(t).Offsets(ctx, topic, partition)
		if err != nil {
			t.Fatal(err)
		}
		if int(end-start)-k.count(t, topic, partition, start, end) >= gone {
			return
		}
		pause(ctx, t)
	}
}

// count is how many records lie between the offsets, as kafka-go reads them.
func (k *Kafka) count(t testing.TB, topic string, partition int, from, to int64) (n int) {
	t.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(k.Brokers...), Transport: transport}
	for from < to {
		answer, err := client.Fetch(t.Context(), &kafkago.FetchRequest{
			Topic: topic, Partition: partition, Offset: from, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		before := from
		for {
			r, err := answer.Records.ReadRecord()
			if err != nil {
				break
			}
			if r.Offset >= from {
				n, from = n+1, r.Offset+1
			}
		}
		if from == before {
			from++
		}
	}
	return n
}

func (k *Kafka) alter(t testing.TB, kind kmsg.ConfigResourceType, name string, settings map[string]string) {
	t.Helper()
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kind, name
	for key, value := range settings {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = key, &value
		resource.Configs = append(resource.Configs, c)
	}
	request.Resources = append(request.Resources, resource)
	answer := k.Request(t, 0, request).(*kmsg.IncrementalAlterConfigsResponse)
	fail(t, "alter settings", answer.Resources[0].ErrorCode)
}
