package system

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/ledger"
)

// haltTimeout is how long a partition may take to halt, or to go on.
const haltTimeout = 30 * time.Second

// halting is a system of two partitions with a wallet in each, both charged once
// and settled; then the processor was stopped.
type halting struct {
	*stack
	shop    *shop
	wallets [2]string // by partition
	admin   *kgo.Client
}

func newHalting(t *testing.T) *halting {
	t.Helper()
	s := newStack(t, 2)
	_, operator := s.ingest()
	settled := s.processor()
	h := &halting{stack: s, shop: operator.open(), admin: connect(t, s.kafka.Brokers())}
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

// TestPartitionsHaltWhoseStateCannotBeRight breaks what a processor relies on
// while it is away. When it is back, partition 0 must halt, say why, and settle
// nothing; and where only partition 0 was broken, partition 1 must go on.
func TestPartitionsHaltWhoseStateCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt   func(*halting)
		why       string // in the log
		otherGoes bool
	}{
		"the topic was made anew": {
			breakIt: func(h *halting) { h.recreateTopic() },
			why:     "the log ends at 0, before the next offset 1",
		},
		"the log was written over, and its length looks right": {
			breakIt: func(h *halting) {
				h.recreateTopic()
				for p := range int32(2) {
					h.produce(&kgo.Record{Partition: p, Value: []byte("another record")})
				}
			},
			why: "the log holds another record at offset 0 than was settled",
		},
		"retention passed the progress": {
			breakIt: func(h *halting) {
				h.produce(&kgo.Record{Partition: 0, Value: []byte("never settled")})
				h.deleteRecords(0, 2)
			},
			why: "the log starts at 2, after the next offset 1", otherGoes: true,
		},
		"the progress is beyond the end": {
			breakIt: func(h *halting) {
				h.sql("update partition_progress set next_offset = next_offset + 5, gaps = gaps + 5 where partition = 0")
			},
			why: "the log ends at 1, before the next offset 6", otherGoes: true,
		},
		"the progress row is missing": {
			breakIt: func(h *halting) { h.sql("delete from partition_progress where partition = 0") },
			why:     "the partition has no progress row", otherGoes: true,
		},
		"partitions were added": {
			breakIt: func(h *halting) { h.addPartitions(4) },
			why:     "4 partitions instead of 2",
		},
		"a record in a newer version": {
			breakIt: func(h *halting) {
				id, err := h.shop.till.charge(h.t.Context(), h.wallets[0], "newer", 1)
				if err != nil {
					h.t.Fatal(err)
				}
				newer := h.lastRecord(0)
				newer.Value = bytes.Replace(newer.Value, []byte(`"version":1`), []byte(`"version":2`), 1)
				h.produce(&kgo.Record{Partition: 0, Key: newer.Key, Value: newer.Value, Headers: newer.Headers})
				h.t.Logf("the same as %s, but newer", id)
			},
			why: "is in version 2 of the wire format", otherGoes: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHalting(t)
			c.breakIt(h)
			p := h.processor()
			p.await(`monedero_kafka_partition_halted{partition="0"} 1`)
			if log := p.output(); !strings.Contains(log, c.why) {
				t.Errorf("the log does not say %q", c.why)
			}
			if !c.otherGoes {
				return
			}
			id, err := h.shop.till.charge(t.Context(), h.wallets[1], "beside", 1)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := h.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
				t.Errorf("a charge in the other partition is %s, %v", o.Status, err)
			}
		})
	}
}

// TestAnotherClusterIsRefused points the services at a broker that has a topic of
// the same name and size.
func TestAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	h := newHalting(t)
	other := startKafka(t, devstack.KafkaOptions{Dir: t.TempDir()})
	h.env = append(h.env, "KAFKA_BROKERS="+strings.Join(other.Brokers(), ","))
	h.admin = connect(t, other.Brokers())
	h.createTopic()
	h.processor().await(`monedero_kafka_partition_halted{partition="0"} 1`)
	_, operator := h.startIngest() // which will not be ready
	h.shop.till = operator.as(h.shop.till.key)
	h.awaitUnavailable()
}

// TestPartitionsAddedStopIngest: a wallet's records must not go elsewhere.
func TestPartitionsAddedStopIngest(t *testing.T) {
	t.Parallel()
	h := newHalting(t)
	h.addPartitions(4)
	h.awaitUnavailable()
}

// awaitUnavailable submits charges until they are answered 503.
func (h *halting) awaitUnavailable() {
	h.t.Helper()
	deadline := time.Now().Add(haltTimeout)
	for {
		status, o, err := h.shop.till.submit(h.t.Context(), h.wallets[0], "k", 1)
		if err == nil && status == http.StatusServiceUnavailable && o.RetryAfter != "" {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("a charge: %d %s, %v", status, o.Code, err)
		}
		h.must(pause(h.t.Context()))
	}
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

func (h *halting) createTopic() {
	h.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = topicName, 2, 1
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(h.t.Context(), h.admin)
	h.must(err)
	h.must(kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

func (h *halting) recreateTopic() {
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

func (h *halting) addPartitions(n int32) {
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
func (h *halting) deleteRecords(partition int32, below int64) {
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

func (h *halting) produce(r *kgo.Record) {
	h.t.Helper()
	r.Topic = topicName
	h.must(h.admin.ProduceSync(h.t.Context(), r).FirstErr())
}

// lastRecord reads the newest record of a partition.
func (h *halting) lastRecord(partition int32) *kgo.Record {
	h.t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(h.kafka.Brokers()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topicName: {partition: kgo.NewOffset().AtEnd().Relative(-1)},
	}))
	h.must(err)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), haltTimeout)
	defer cancel()
	fetches := reader.PollFetches(ctx)
	h.must(fetches.Err())
	return fetches.Records()[0]
}

// sql runs a statement as the owner.
func (h *halting) sql(statement string) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.database)
	h.must(err)
	_, err = conn.Exec(h.t.Context(), statement)
	h.must(errors.Join(err, conn.Close(h.t.Context())))
}

func (h *halting) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// await waits until the service's metrics hold the line.
func (p *process) await(line string) {
	p.t.Helper()
	deadline := time.Now().Add(haltTimeout)
	for !strings.Contains(p.metrics(), line+"\n") {
		if time.Now().After(deadline) {
			p.t.Fatalf("after %v the metrics of %s do not say %s", haltTimeout, p.name, line)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *process) metrics() string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}
