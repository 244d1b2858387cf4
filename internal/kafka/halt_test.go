package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

func TestHaltsWhereTheLogIsNotTheOneWeKnow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic, r *row) *row
		why   string
		from  int64 // where it goes on once it is mended
	}{
		"no row": {
			func(_ *testing.T, _ *kafkatest.Kafka, _ kafka.Topic, _ *row) *row { return nil },
			processor.ErrNoProgress.Error(), 0,
		},
		"log starts later": {
			func(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic, r *row) *row {
				t.Helper()
				broker.DeleteRecords(t, topic.Name, 0, 3)
				return r
			},
			"the log starts at 3, after the next offset 0", 3,
		},
		"log ends earlier": {
			func(_ *testing.T, _ *kafkatest.Kafka, _ kafka.Topic, r *row) *row {
				r.claim.NextOffset = 6
				return r
			},
			"the log ends at 5, before the next offset 6", 0,
		},
		"another cluster": {
			func(_ *testing.T, _ *kafkatest.Kafka, _ kafka.Topic, r *row) *row {
				r.claim.ClusterID = "another"
				return r
			},
			`instead of "another"`, 0,
		},
		"another size": {
			func(_ *testing.T, _ *kafkatest.Kafka, _ kafka.Topic, r *row) *row {
				r.claim.Partitions = 4
				return r
			},
			"has 2 partitions instead of 4", 0,
		},
		"another record": {
			func(_ *testing.T, _ *kafkatest.Kafka, _ kafka.Topic, r *row) *row {
				r.claim.NextOffset, r.claim.LastRecord = 2, &record.Hash{1}
				return r
			},
			"the log holds another record at offset 1 than was settled", 2,
		},
		"no record": {
			func(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic, r *row) *row {
				t.Helper()
				broker.Transaction(t, topic.Name, 0, true, kafkatest.Records("t", 1)...) // 5, marker at 6
				r.claim.NextOffset, r.claim.LastRecord = 7, &record.Hash{1}
				return r
			},
			"the log holds no record at offset 6 any more", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.Start(t)
			topic := broker.Topic(t, 2)
			broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
			broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 5)...)
			progress := newProgress(topic)
			good := *progress.rows[0]
			if r := test.spoil(t, broker, topic, progress.rows[0]); r == nil {
				delete(progress.rows, 0)
			}
			w := work(t, broker, topic, member{progress, "a"}, progress.handle)
			assertHalted(t, w, progress, test.why)

			progress.edit(func(rows map[int]*row) { // as set-progress does
				mended := good
				if rows[0] != nil {
					mended.claim.Epoch = rows[0].claim.Epoch
				}
				mended.claim.Epoch++
				mended.claim.NextOffset, mended.claim.MovedEpoch = test.from, mended.claim.Epoch
				rows[0] = &mended
			})
			_, end, err := broker.Client(t).Offsets(t.Context(), topic.Name, 0)
			if err != nil {
				t.Fatal(err)
			}
			progress.awaitNext(t, 0, end)
			w.log.await(t, "partition goes on")
			if diff := cmp.Diff(texts("r", 5)[test.from:], progress.values(0)[:5-test.from]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHaltsWhenTheTopicIsMadeAnew(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("old", 5)...)
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 5)

		broker.DeleteTopic(t, topic.Name)
		broker.Create(t, topic.Name, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("new", 20)...)
		w.log.await(t, "the log holds another record at offset 4 than was settled")
		if diff := cmp.Diff(texts("old", 5), progress.values(0)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHaltsWhenTheTopicIsMadeAnewBehindItsBack(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("old", 5)...)
		progress := newProgress(topic)
		inHand, finish := make(chan bool, 100), make(chan struct{})
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			inHand <- true
			<-finish
			return progress.handle(ctx, b)
		})
		kafkatest.Receive(t, inHand) // nothing is fetched meanwhile, so no fetch can fail
		broker.DeleteTopic(t, topic.Name)
		broker.Create(t, topic.Name, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("new", 20)...)
		<-time.After(1100 * time.Millisecond) // a good fetch vouches for the log for a second
		close(finish)
		w.log.await(t, "the log holds another record at offset 4 than was settled")
		if diff := cmp.Diff(texts("old", 5), progress.values(0)); diff != "" {
			t.Error(diff)
		}
	})
}

// The partitions must go on to say that they are halted: a group that shares out
// what is left of the topic, nothing, would be silent.
func TestHaltsForAsLongAsTheTopicIsGone(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 5)

		broker.DeleteTopic(t, topic.Name)
		w.log.await(t, "has 0 partitions instead of 1")
		w.log.await(t, "the topic does not exist")
		claims := w.metric(t, "monedero_kafka_claims_total", 0)
		w.awaitMetric(t, "monedero_kafka_claims_total", 0, func(v float64) bool { return v > claims+10 })
		if halted := w.metric(t, "monedero_kafka_partition_halted", 0); halted != 1 {
			t.Errorf("halted = %v", halted)
		}
		if n := w.log.count("partitions assigned"); n != 1 {
			t.Errorf("%d generations", n)
		}
	})
}
