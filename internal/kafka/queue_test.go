package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/record/recordtest"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func newQueue(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic) *kafka.Queue {
	t.Helper()
	c := broker.Client(t)
	pub := kafka.NewPublisher(c, kafka.NewProducer(c, kafka.NewMetrics(nil), 0), map[string]int{topic.Name: topic.Partitions})
	t.Cleanup(func() { _ = pub.Close() })
	return kafka.NewQueue(pub, c, topic, func(context.Context) string { return parent })
}

func TestSubmitWritesToTheWalletsPartition(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 16)
		queue := newQueue(t, broker, topic)
		progress := newProgress(topic)
		work(t, broker, topic, member{progress, "a"}, progress.handle)

		sent := map[int]ledger.Request{}
		for i := range byte(100) {
			r := recordtest.Charge(t)
			r.Wallet[14] = i
			r.ID = recordtest.Minter(t).OperationID(r.Identity())
			receipt, err := submit(t, queue, r)
			if err != nil {
				t.Fatal(err)
			}
			if receipt.Partition != r.Wallet.Partition(topic.Partitions) {
				t.Fatalf("wallet %s lies in %d, want %d", r.Wallet, receipt.Partition, r.Wallet.Partition(topic.Partitions))
			}
			if receipt.Offset == 0 {
				sent[receipt.Partition] = r
			}
		}
		if len(sent) != topic.Partitions {
			t.Fatalf("%d of %d partitions were used", len(sent), topic.Partitions)
		}
		for partition, want := range sent {
			progress.await(t, "settled", func(rows map[int]*row) bool { return len(rows[partition].settled) > 0 })
			settled := progress.settled(partition)[0]
			if string(settled.Key) != want.Wallet.String() {
				t.Errorf("key = %s", settled.Key)
			}
			if d, err := record.Decode(settled); err != nil || cmp.Diff(want, d.Request) != "" {
				t.Errorf("%v, %s", err, cmp.Diff(want, d.Request))
			}
			headers := map[string]string{}
			for _, h := range settled.Headers {
				headers[h.Key] = string(h.Value)
			}
			if diff := cmp.Diff(map[string]string{
				record.HeaderSpecVersion: "1.0", record.HeaderID: want.ID.String(), record.HeaderType: "monedero.charge.requested",
				record.HeaderSource: "/monedero/ingest", record.HeaderTime: "2026-03-14T15:09:26.535897Z",
				record.HeaderContentType: "application/json", record.HeaderTraceparent: parent,
			}, headers); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestEndIsTheOffsetOfTheNextRecord(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 3)...)
		queue := newQueue(t, broker, topic)
		if end, err := queue.End(t.Context(), 0, 0); err != nil || end != 3 {
			t.Errorf("end = %d, %v", end, err)
		}
		for _, partition := range []int{-1, 1} {
			if _, err := queue.End(t.Context(), partition, 0); err == nil {
				t.Errorf("partition %d has an end", partition)
			}
		}
	})
}

func TestQueueWithoutKafka(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		known := topic
		known.ClusterID = "another"
		if err := newQueue(t, broker, known).Check(t.Context()); !errors.Is(err, kafka.ErrMismatch) {
			t.Errorf("another cluster: %v", err)
		}
		if err := newQueue(t, broker, topic).Check(t.Context()); err != nil {
			t.Errorf("as it should be: %v", err)
		}
		queue := newQueue(t, broker, topic)
		if _, err := submit(t, queue, recordtest.Charge(t)); err != nil {
			t.Fatal(err)
		}
		broker.Stop()
		if err := queue.Check(t.Context()); err == nil || errors.Is(err, kafka.ErrMismatch) {
			t.Errorf("the broker is gone: %v", err)
		}
		started := time.Now()
		if receipt, err := submit(t, queue, recordtest.Charge(t)); err == nil {
			t.Errorf("written nowhere: %+v", receipt)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("answered after %s", took)
		}
		refused := recordtest.Charge(t)
		refused.Kind = ledger.KindFreeze
		if receipt, err := submit(t, queue, refused); err == nil || receipt != (ingest.Receipt{}) {
			t.Errorf("a freeze was queued: %+v", receipt)
		}
	})
}

// submit submits the request, and waits until it is durable.
func submit(t *testing.T, q *kafka.Queue, r ledger.Request) (ingest.Receipt, error) {
	t.Helper()
	durable, err := q.Submit(t.Context(), r)
	if err != nil {
		return ingest.Receipt{}, err
	}
	return durable()
}
