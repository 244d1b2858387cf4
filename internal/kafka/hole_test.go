package kafka_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/record"
)

// TestHaltsWhereRecordsWereCompactedAway: an offset that is missing is no marker of a
// transaction. Everything before it is settled, nothing behind it.
func TestHaltsWhereRecordsWereCompactedAway(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 2)
		broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 5)...)
		broker.AlterTopic(t, topic.Name, map[string]string{
			"cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0", "min.compaction.lag.ms": "0", "segment.ms": "50",
		})
		broker.Produce(t, topic.Name, 0, record.Record{Key: []byte("first"), Value: []byte("first")})
		for _, r := range kafkatest.Records("one key", 6) {
			broker.Produce(t, topic.Name, 0, r)
		}
		<-time.After(100 * time.Millisecond) // the next record begins a new segment
		broker.Produce(t, topic.Name, 0, record.Record{Key: []byte("last"), Value: []byte("last")})
		broker.Compact(t, topic.Name, 0, 5)
		broker.AlterTopic(t, topic.Name, map[string]string{"cleanup.policy": "delete"})

		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		assertHalted(t, w, progress, "the log holds no record that can be read at offset 1, and no marker: the offset is missing")
		progress.awaitNext(t, 0, 1)
		if diff := cmp.Diff([]string{"first"}, progress.values(0)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestHaltsWhereARecordDoesNotDecode has the fourth of five records broken, in a batch
// that is sound otherwise. Only kfake takes such a batch.
func TestHaltsWhereARecordDoesNotDecode(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 2)
	broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 5)...)
	records := kafkatest.Encoded(kafkatest.Records("r", 5)...)
	records[3][len(records[3])-1] = 8 // it says that it has headers
	broker.ProduceBatch(t, topic.Name, 0, kafkatest.Batch(kmsg.RecordBatch{}, records...))
	broker.Produce(t, topic.Name, 0, kafkatest.Records("behind", 1)...)

	progress := newProgress(topic)
	w := work(t, broker, topic, member{progress, "a"}, progress.handle)
	assertHalted(t, w, progress, "the log holds no record that can be read at offset 3, and no marker: the record does not decode")
	progress.awaitNext(t, 0, 3)
	progress.edit(func(rows map[int]*row) { rows[0].claim.NextOffset, rows[0].claim.LastRecord = 4, nil })
	progress.awaitNext(t, 0, 6)
	w.log.await(t, "partition goes on")
	if diff := cmp.Diff([]string{"r 0", "r 1", "r 2", "r 4", "behind 0"}, progress.values(0)); diff != "" {
		t.Error(diff)
	}
}
