// Package kafkatest gives a test a Kafka and fresh topics: a real one ([Each],
// [EachOwn], [Open]), or kfake, in this process, with a folder for its log
// ([Start]), which can be made to fail.
package kafkatest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/record"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Main is the TestMain of a package whose tests use Kafka: no goroutine may
// outlive them.
func Main(m *testing.M) { goleak.VerifyTestMain(Runner{M: m}) }

// Kafka is a running Kafka.
type Kafka struct {
	// Cluster is kfake, for its faults: see [kfake.Cluster.Fault] and
	// [kfake.Cluster.ControlKey]. It is nil on a real Kafka.
	*kfake.Cluster
	Brokers []string

	real    real // nil: kfake
	shared  bool // with other tests, which must not be disturbed
	dir     string
	options []kfake.Opt
}

// Real says whether it is a real Kafka.
func (k *Kafka) Real() bool { return k.real != nil }

// Start starts a kfake that ends with the test. Options go to kfake.
func Start(t testing.TB, options ...kfake.Opt) *Kafka {
	t.Helper()
	k := &Kafka{dir: t.TempDir(), options: options}
	k.run(t, 0)
	t.Cleanup(func() { k.Close() })
	return k
}

func (k *Kafka) run(t testing.TB, port int) {
	t.Helper()
	options := append([]kfake.Opt{
		kfake.Ports(port), kfake.DataDir(k.dir),
		kfake.ClusterID("test-" + rand.Text()), // a folder that has one keeps its own
		kfake.BrokerConfigs(map[string]string{"log.retention.ms": "-1"}),
	}, k.options...)
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatalf("start kafka: %v", err)
	}
	k.Cluster, k.Brokers = cluster, cluster.ListenAddrs()
}

// Client is a client of the broker that is closed with the test.
func (k *Kafka) Client(t testing.TB) *kafka.Cluster {
	t.Helper()
	c, err := kafka.NewCluster(k.Brokers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Topic makes a topic of a name that no other test has.
func (k *Kafka) Topic(t testing.TB, partitions int) kafka.Topic {
	t.Helper()
	return k.Create(t, Name(), partitions)
}

// Name is a topic's that no other test has.
func Name() string { return "test-" + rand.Text() }

// Create makes a topic, with as many replicas as there are brokers, three at most.
func (k *Kafka) Create(t testing.TB, name string, partitions int) kafka.Topic {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	c := k.Client(t)
	if err := c.CreateTopic(ctx, name, partitions, 0); err != nil {
		t.Fatal(err)
	}
	for {
		topic, err := c.Describe(ctx, name)
		if err != nil && !errors.Is(err, kafkago.UnknownTopicOrPartition) { // one of that name may just go
			t.Fatal(err)
		}
		if topic.Partitions == partitions && k.leads(ctx, c, topic) {
			return topic
		}
		pause(ctx, t)
	}
}

// leads says whether every partition answers: on a real Kafka the brokers learn of
// a topic after it was made.
func (k *Kafka) leads(ctx context.Context, c *kafka.Cluster, topic kafka.Topic) bool {
	for p := range topic.Partitions {
		if _, _, err := c.Offsets(ctx, topic.Name, p); err != nil {
			return false
		}
	}
	return true
}

// pause is between two looks at what sends no signal.
func pause(ctx context.Context, t testing.TB) {
	t.Helper()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
		t.Fatal("waited in vain: ", ctx.Err())
	}
}

// Produce writes the records to the partition, in order, and returns the offset of
// the first.
func (k *Kafka) Produce(t testing.TB, topic string, partition int, records ...record.Record) int64 {
	t.Helper()
	p := kafka.NewProducer(k.Client(t), kafka.NewMetrics(nil), 0)
	defer p.Close()
	first := int64(-1)
	for _, r := range records {
		pending, err := p.Enqueue(t.Context(), topic, partition, r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if offset, err := pending.Wait(); err != nil {
				t.Errorf("produce: %v", err)
			} else if first < 0 || offset < first {
				first = offset
			}
		}()
	}
	return first
}

// Records are n records with the values "prefix 0", "prefix 1" and so on.
func Records(prefix string, n int) []record.Record {
	records := make([]record.Record, n)
	for i := range records {
		records[i] = record.Record{Key: []byte(prefix), Value: fmt.Appendf(nil, "%s %d", prefix, i)}
	}
	return records
}

// Receive takes the next value, or ends the test.
func Receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case v, open := <-c:
		if !open {
			t.Fatal("the channel is closed")
		}
		return v
	case <-timer.C:
		t.Fatalf("nothing came within %s", Patience)
	}
	panic("not reached")
}
