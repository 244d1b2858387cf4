package kafka_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

// counted counts the requests of a kind that come from now on.
func counted(broker *kafkatest.Kafka, kind kmsg.Key) *atomic.Int64 {
	var n atomic.Int64
	broker.ControlKey(int16(kind), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		n.Add(1)
		return nil, nil, false
	})
	return &n
}

// A member that stops leaves at once: were it to join once more before, the others
// would stop and begin twice.
func TestLeavingIsOneRebalance(t *testing.T) {
	t.Parallel()
	const rounds = 10
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 4)
	progress := newProgress(topic)
	work(t, broker, topic, member{progress, "stays"}, progress.handle)
	joins := counted(broker, kmsg.JoinGroup)
	for range rounds {
		leaver := work(t, broker, topic, member{progress, "leaves"}, progress.handle)
		progress.await(t, "two partitions each", func(rows map[int]*row) bool {
			return owned(rows, "stays") == 2 && owned(rows, "leaves") == 2
		})
		before := joins.Load()
		if err := leaver.sub.Close(); err != nil {
			t.Fatal(err)
		}
		progress.await(t, "all with the one that stays", func(rows map[int]*row) bool { return owned(rows, "stays") == 4 })
		if n := joins.Load() - before; n != 1 {
			t.Errorf("%d joins after one member left, want that of the member that stays", n)
		}
	}
}

// slowClaims take longer for each partition, as where they wait for a settle that is
// committing.
type slowClaims struct{ member }

func (c slowClaims) Claim(ctx context.Context, topic string, partition int, known processor.Memory) (processor.Claim, error) {
	time.Sleep(time.Duration(partition) * 20 * time.Millisecond)
	return c.member.Claim(ctx, topic, partition, known)
}

// Whatever the number of partitions, one look at the topic serves all their claims, and
// the record before the position says that it lies in the log.
func TestOneLookServesAllClaims(t *testing.T) {
	t.Parallel()
	const partitions = 16
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, partitions)
	progress := newProgress(topic)
	settle := func(m processor.Claimer, next int64) {
		t.Helper()
		for p := range partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("r", 10)...)
		}
		w := work(t, broker, topic, m, progress.handle)
		for p := range partitions {
			progress.awaitNext(t, p, next)
		}
		if err := w.sub.Close(); err != nil {
			t.Fatal(err)
		}
	}
	settle(member{progress, "first"}, 10)
	looks, bounds := counted(broker, kmsg.DescribeConfigs), counted(broker, kmsg.ListOffsets)
	settle(slowClaims{member{progress, "second"}}, 20)
	// One more where the machine stood still: what was seen a second ago is asked again.
	if n := looks.Load(); n < 1 || n > 2 {
		t.Errorf("the topic was looked at %d times for %d partitions, want once", n, partitions)
	}
	if n := bounds.Load(); n != 0 {
		t.Errorf("the bounds of logs were asked for %d times, want none", n)
	}
}

// A claim under which nothing was settled has no record to compare: then the bounds
// are asked for.
func TestBoundsAreAskedForWithoutARecord(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	bounds := counted(broker, kmsg.ListOffsets)
	cluster := broker.Client(t)
	broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 3)...)
	claim := newProgress(topic).rows[0].claim
	for next, want := range map[int64]bool{0: true, 3: true, 4: false} {
		claim.NextOffset = next
		_, wrong, err := cluster.CheckClaim(t.Context(), claim)
		if err != nil || (wrong == nil) != want {
			t.Errorf("position %d: %v, %v", next, wrong, err)
		}
	}
	if bounds.Load() == 0 {
		t.Error("nobody asked for the bounds of the log")
	}
}
