package kafka_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

// TestHaltsWhereTheProgressWentBack takes a progress back under an owner to which
// nothing comes, as a database does that is restored. It halts, so does the next one
// who only has the copy in Kafka, and neither of them leads out of it: a person does.
func TestHaltsWhereTheProgressWentBack(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]func(then, now processor.Claim) processor.Claim{
		"to a lower offset": func(_, now processor.Claim) processor.Claim {
			now.NextOffset, now.LastRecord = 2, nil
			return now
		},
		"to before the claim": func(then, now processor.Claim) processor.Claim {
			now.Epoch, now.MovedEpoch = then.Epoch, then.MovedEpoch
			return now
		},
		"to the beginning": func(then, _ processor.Claim) processor.Claim { return then },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
				topic := broker.Topic(t, 1)
				broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
				progress := newProgress(topic)
				then := progress.rows[0].claim
				first := work(t, broker, topic, member{progress, "first"}, progress.handle)
				progress.awaitNext(t, 0, 5)

				var restored processor.Claim
				progress.edit(func(rows map[int]*row) {
					restored = restore(then, rows[0].claim)
					rows[0].claim = restored
				})
				haltsAsRestored(t, first)
				if err := first.sub.Close(); err != nil {
					t.Error(err)
				}
				broker.Produce(t, topic.Name, 0, kafkatest.Records("later", 1)...)
				second := work(t, broker, topic, member{progress, "second"}, progress.handle)
				haltsAsRestored(t, second)
				progress.await(t, "it stands as it was restored", func(rows map[int]*row) bool {
					return cmp.Equal(restored, rows[0].claim)
				})

				progress.edit(func(rows map[int]*row) { // as monedero recover does
					rows[0].claim.Epoch += 10
					rows[0].claim.MovedEpoch = rows[0].claim.Epoch
				})
				progress.awaitNext(t, 0, 6)
				second.log.await(t, "partition goes on")
			})
		})
	}
}

func haltsAsRestored(t *testing.T, w *worker) {
	t.Helper()
	w.log.await(t, "partition halted err=restored: ")
	w.awaitMetric(t, "monedero_kafka_partition_halted", 0, func(v float64) bool { return v == 1 })
}

// TestCopiesOfTheProgress: what members leave in Kafka is what they know, also of a
// partition that was claimed and nothing more. What others wrote there is none of it.
func TestCopiesOfTheProgress(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 2)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		copies := func() map[int]processor.Memory {
			t.Helper()
			found, err := broker.Client(t).Copies(t.Context(), group+topic.Name, topic.Name, []int{0, 1})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := copies(); len(found) != 0 {
			t.Errorf("of a group that nobody joined: %v", found)
		}
		progress := newProgress(topic)
		progress.rows[1].claim.History = 3
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 5)
		w.awaitMetric(t, "monedero_kafka_claims_total", 1, func(v float64) bool { return v == 1 })
		if err := w.sub.Close(); err != nil {
			t.Fatal(err)
		}
		want := map[int]processor.Memory{
			0: {Log: 1, Epoch: 1, MovedEpoch: 1, NextOffset: 5},
			1: {History: 3, Log: 1, Epoch: 1},
		}
		if diff := cmp.Diff(want, copies()); diff != "" {
			t.Error(diff)
		}
		if _, is := kafka.DecodeCopy(5, `{"epoch":"of somebody else"}`); is {
			t.Error("somebody else's metadata was taken for ours")
		}
	})
}
