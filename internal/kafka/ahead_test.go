package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// TestBacklogIsDeliveredInOrderAcrossClaims has many fetches lie in the log, so
// that one is under way whenever a message is in hand: also when that message
// comes again, and when the claim is given up.
func TestBacklogIsDeliveredInOrderAcrossClaims(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		const records = 300
		filler := bytes.Repeat([]byte("x"), 20_000)
		var list []record.Record
		var want []string
		for i := range records {
			want = append(want, fmt.Sprintf("%s %d", filler, i))
			list = append(list, record.Record{Key: []byte("k"), Value: []byte(want[i])})
		}
		for i := 0; i < records; i += 10 {
			broker.Produce(t, topic.Name, 0, list[i:i+10]...)
		}
		progress := newProgress(topic)
		other := member{progress, "other"}
		delivered := 0
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			delivered++
			switch {
			case delivered%4 == 0:
				return processor.Again(errors.New("once more"))
			case delivered%5 == 0:
				if _, err := other.Claim(t.Context(), topic.Name, 0, processor.Memory{}); err != nil {
					t.Error(err)
				}
			}
			return progress.handle(ctx, b)
		})
		progress.awaitNext(t, 0, records)
		if diff := cmp.Diff(want, progress.values(0)); diff != "" {
			t.Error("the records are not those that were written, in their order")
		}
		if n := len(progress.covered(0)); n < 5 {
			t.Errorf("%d batches: the backlog was too short to say anything", n)
		}
		if n := w.metric(t, "monedero_kafka_fences_total", 0); n == 0 {
			t.Error("no claim was given up")
		}
	})
}
