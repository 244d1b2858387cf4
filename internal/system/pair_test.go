package system

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/ledger"
)

// pair is a system of two partitions with a wallet in each, both charged once
// and settled; then the processor was stopped.
type pair struct {
	*stack
	shop    *shop
	wallets [2]string // by partition
	admin   *kgo.Client
}

func newPair(t *testing.T) *pair {
	t.Helper()
	s := newStack(t, 2)
	_, operator := s.ingest()
	settled := s.processor()
	h := &pair{stack: s, shop: operator.open(), admin: connect(t, s.kafka.Brokers())}
	for h.wallets[0] == "" || h.wallets[1] == "" {
		w := h.shop.wallet()
		id, err := ledger.ParseWalletID(w)
		if err != nil {
			t.Fatal(err)
		}
		h.wallets[id.Partition(2)] = w
	}
	for _, w := range h.wallets {
		operator.topUp(w, 100)
	}
	settled.terminate()
	return h
}

func connect(t *testing.T, brokers []string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (h *pair) createTopic() {
	h.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = topicName, 2, 1
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(h.t.Context(), h.admin)
	h.must(err)
	h.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

func (h *pair) recreateTopic() {
	h.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	name := topicName
	topic.Topic = &name
	req.Topics, req.TopicNames = append(req.Topics, topic), []string{topicName}
	resp, err := req.RequestWith(h.t.Context(), h.admin)
	h.must(err)
	h.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
	h.createTopic()
}

func (h *pair) addPartitions(n int32) {
	h.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = topicName, n
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(h.t.Context(), h.admin)
	h.must(err)
	h.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

// deleteRecords deletes everything below the offset, as retention would.
func (h *pair) deleteRecords(partition int32, below int64) {
	h.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = topicName
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = partition, below
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(h.t.Context(), h.admin)
	h.must(err)
	h.must(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

func (h *pair) produce(r *kgo.Record) {
	h.t.Helper()
	r.Topic = topicName
	h.must(h.admin.ProduceSync(h.t.Context(), r).FirstErr())
}

// lastRecord reads the newest record of a partition.
func (h *pair) lastRecord(partition int32) *kgo.Record {
	h.t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(h.kafka.Brokers()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topicName: {partition: kgo.NewOffset().AtEnd().Relative(-1)},
	}))
	h.must(err)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), awaitTimeout)
	defer cancel()
	fetches := reader.PollFetches(ctx)
	h.must(fetches.Err())
	return fetches.Records()[0]
}

// sql runs a statement as the owner.
func (h *pair) sql(statement string) { h.column(statement) }

// column runs a query as the owner and reads its column of text.
func (h *pair) column(query string) []string {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.database)
	h.must(err)
	rows, err := conn.Query(h.t.Context(), query)
	h.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	h.must(errors.Join(err, conn.Close(h.t.Context())))
	return all
}

func (h *pair) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}
