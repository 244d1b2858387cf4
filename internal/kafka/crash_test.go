package kafka_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

const (
	// recoveryLimit is how long partitions may stand still once the trouble of Kafka
	// is over. After a crash of the group's coordinator it takes 5 s on a machine that
	// does nothing else: kafka-go comes back under new member IDs, and the broker
	// waits a rebalance timeout for the old ones.
	recoveryLimit = 10 * time.Second
	// busy is what a loaded machine may add before it is a fault of ours.
	busy = 10 * time.Second
)

// TestGroupGoesOnAfterACrash kills the broker under two members, both of which find
// it gone, and starts it again: every partition goes on where it was.
func TestGroupGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 4)
		progress := newProgress(topic)
		workers := []*worker{
			work(t, broker, topic, member{progress, "first"}, progress.handle),
			work(t, broker, topic, member{progress, "second"}, progress.handle),
		}
		progress.await(t, "two partitions each", func(rows map[int]*row) bool {
			return owned(rows, "first") == 2 && owned(rows, "second") == 2
		})
		for p := range topic.Partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("before", 5)...)
			progress.awaitNext(t, p, 5)
		}
		broker.Kill()
		for _, w := range workers {
			w.log.await(t, "join the group")
		}
		broker.Restart(t)
		back := time.Now()
		for p := range topic.Partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("after", 5)...)
		}
		for p := range topic.Partitions {
			progress.awaitNext(t, p, 10)
		}
		took := time.Since(back)
		t.Logf("all partitions went on %v after the broker was back", took.Round(time.Millisecond))
		if took > recoveryLimit+busy {
			t.Errorf("partitions stood still for %v, the goal is %v", took, recoveryLimit)
		}
		want := append(texts("before", 5), texts("after", 5)...)
		for p := range topic.Partitions {
			if diff := cmp.Diff(want, progress.values(p)); diff != "" {
				t.Errorf("partition %d: %s", p, diff)
			}
		}
	})
}
