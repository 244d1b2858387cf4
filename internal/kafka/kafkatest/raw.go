package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/processor"
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
func (k *Kafka) Transaction(t testing.TB, topic string, partition int, commit bool, records ...processor.Record) {
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
	added := k.Request(t, 1, add).(*kmsg.AddPartitionsToTxnResponse)
	fail(t, "add partition", added.Topics[0].Partitions[0].ErrorCode)

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
	fail(t, "end transaction", k.Request(t, 1, end).(*kmsg.EndTxnResponse).ErrorCode)
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
// transactions where there is none, and again until it is there.
func (k *Kafka) beginTransaction(ctx context.Context, t testing.TB, id string) *kmsg.InitProducerIDResponse {
	t.Helper()
	for {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey, find.CoordinatorType = id, 1
		found := k.Request(t, 2, find).(*kmsg.FindCoordinatorResponse)
		begin := kmsg.NewPtrInitProducerIDRequest()
		begin.TransactionalID, begin.TransactionTimeoutMillis = &id, int32(Patience.Milliseconds())
		producer := k.Request(t, 1, begin).(*kmsg.InitProducerIDResponse)
		if found.ErrorCode == 0 && producer.ErrorCode == 0 {
			return producer
		}
		for _, code := range []int16{found.ErrorCode, producer.ErrorCode} {
			if err := kerr.ErrorForCode(code); code != 0 && !kerr.IsRetriable(err) {
				t.Fatal("begin a transaction: ", err)
			}
		}
		pause(ctx, t)
	}
}

func (k *Kafka) produceInTransaction(
	t testing.TB, topic string, partition int, txn string, producer *kmsg.InitProducerIDResponse, records []processor.Record,
) {
	t.Helper()
	produce := kmsg.NewPtrProduceRequest()
	produce.TransactionID, produce.Acks, produce.TimeoutMillis = &txn, -1, int32(Patience.Milliseconds())
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = topic
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Partition, pp.Records = int32(partition), batch(producer.ProducerID, producer.ProducerEpoch, records)
	pt.Partitions = append(pt.Partitions, pp)
	produce.Topics = append(produce.Topics, pt)
	produced := k.Request(t, 7, produce).(*kmsg.ProduceResponse)
	fail(t, "produce", produced.Topics[0].Partitions[0].ErrorCode)
}

// batch is the records as a transactional batch of version 2.
func batch(producer int64, epoch int16, records []processor.Record) []byte {
	const transactional = 1 << 4
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: transactional,
		LastOffsetDelta: int32(len(records) - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: producer, ProducerEpoch: epoch, NumRecords: int32(len(records)),
	}
	for i, r := range records {
		record := kmsg.Record{OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		record.Length = int32(len(record.AppendTo(nil)) - 1) // without the length, which is one byte while it is 0
		b.Records = record.AppendTo(b.Records)
	}
	const lengthAt, afterLength, crcAt, afterCRC = 8, 12, 17, 21
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[lengthAt:], uint32(len(raw)-afterLength))
	binary.BigEndian.PutUint32(raw[crcAt:], crc32.Checksum(raw[afterCRC:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func fail(t testing.TB, what string, code int16) {
	t.Helper()
	if code != 0 {
		t.Fatalf("%s: error code %d", what, code)
	}
}
