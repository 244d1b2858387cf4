package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

func texts(prefix string, n int) []string {
	var values []string
	for i := range n {
		values = append(values, fmt.Sprintf("%s %d", prefix, i))
	}
	return values
}

func TestBatchesFollowOneAnother(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		const records = 2*kafka.DefaultMaxRecords + 7
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", records)...)
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			if n := len(b.Records); n > kafka.DefaultMaxRecords || b.Claim.Topic != topic.Name || b.Claim.Epoch != 1 {
				t.Errorf("a batch of %d records under %+v", n, b.Claim)
			}
			return progress.handle(ctx, b)
		})
		progress.awaitNext(t, 0, records)
		if diff := cmp.Diff(texts("r", records), progress.values(0)); diff != "" {
			t.Error(diff)
		}
		w.awaitMetric(t, "monedero_kafka_partition_lag_records", 0, func(lag float64) bool { return lag == 0 })
	})
}

func TestWhatIsNotSettledComesAgain(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		progress := newProgress(topic)
		var seen []span
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			switch seen = append(seen, span{b.From, b.To}); len(seen) {
			case 1:
				return processor.Again(errors.New("the database is gone"))
			case 2:
				return processor.Result{}
			case 3:
				panic("as a handler should not")
			}
			return progress.handle(ctx, b)
		})
		progress.awaitNext(t, 0, 5)
		if err := w.sub.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]span{{0, 5}, {0, 5}, {0, 5}, {0, 5}}, seen); diff != "" {
			t.Error(diff)
		}
		if epoch := progress.epochs(); epoch != 1 {
			t.Errorf("claimed %d times, want once", epoch)
		}
		if n := w.metric(t, "monedero_kafka_redeliveries_total", 0); n != 3 {
			t.Errorf("redeliveries = %v", n)
		}
	})
}

func TestFencedClaimIsGivenUpAndMadeAnew(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		progress := newProgress(topic)
		other := member{progress, "other"}
		stolen := false
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			if !stolen {
				stolen = true
				if _, err := other.Claim(t.Context(), topic.Name, 0, processor.Memory{}); err != nil {
					t.Error(err)
				}
			}
			return progress.handle(ctx, b)
		})
		progress.awaitNext(t, 0, 5)
		if epoch := progress.epochs(); epoch != 3 {
			t.Errorf("epoch = %d, want 3: ours, the other's, ours again", epoch)
		}
		if n := w.metric(t, "monedero_kafka_fences_total", 0); n != 1 {
			t.Errorf("fences = %v", n)
		}
		if diff := cmp.Diff(texts("r", 5), progress.values(0)); diff != "" {
			t.Error(diff)
		}
	})
}

// silent is a claimer whose first claim is never answered.
type silent struct {
	member
	asked *atomic.Bool
}

func (s silent) Claim(ctx context.Context, topic string, partition int, known processor.Memory) (processor.Claim, error) {
	if s.asked.Swap(true) {
		return s.member.Claim(ctx, topic, partition, known)
	}
	<-ctx.Done()
	return processor.Claim{}, ctx.Err()
}

func TestClaimThatIsNeverAnsweredIsGivenUp(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		progress := newProgress(topic)
		w := work(t, broker, topic, silent{member{progress, "a"}, new(atomic.Bool)}, progress.handle)
		progress.awaitNext(t, 0, 5)
		w.log.await(t, "claim failed")
	})
}

func TestHandlerHalts(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 2)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 5)...)
		progress := newProgress(topic)
		mended := make(chan struct{})
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			select {
			case <-mended:
			default:
				if b.Claim.Partition == 0 {
					return processor.Halt(errors.New("our own rules broke"))
				}
			}
			return progress.handle(ctx, b)
		})
		assertHalted(t, w, progress, "our own rules broke")
		close(mended)
		progress.awaitNext(t, 0, 5)
		w.log.await(t, "partition goes on")
		if halted := w.metric(t, "monedero_kafka_partition_halted", 0); halted != 0 {
			t.Errorf("halted = %v", halted)
		}
	})
}

// assertHalted waits until partition 0 has halted and was claimed anew several
// times, and sees that it says so once and that partition 1 goes on.
func assertHalted(t *testing.T, w *worker, progress *progress, why string) {
	t.Helper()
	w.log.await(t, why)
	progress.awaitNext(t, 1, 5)
	claims := w.metric(t, "monedero_kafka_claims_total", 0)
	if claims > 0 { // it has a row to claim
		before := progress.epochs()
		progress.await(t, "claimed anew", func(rows map[int]*row) bool {
			return rows[0].claim.Epoch+rows[1].claim.Epoch >= before+3
		})
	}
	if n := w.log.count("ERROR partition halted"); n != 1 {
		t.Errorf("said %d times that the partition halted", n)
	}
	if halted := w.metric(t, "monedero_kafka_partition_halted", 0); halted != 1 {
		t.Errorf("halted = %v", halted)
	}
	if halted := w.metric(t, "monedero_kafka_partition_halted", 1); halted != 0 {
		t.Errorf("the other partition: halted = %v", halted)
	}
}

func TestGapsAreCovered(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Transaction(t, topic.Name, 0, true, kafkatest.Records("a", 3)...)  // 0-2, marker at 3
		broker.Transaction(t, topic.Name, 0, false, kafkatest.Records("b", 2)...) // 4-5, marker at 6
		progress := newProgress(topic)
		work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 7)

		broker.Produce(t, topic.Name, 0, kafkatest.Records("c", 1)...) // 7
		progress.awaitNext(t, 0, 8)
		if diff := cmp.Diff([]string{"a 0", "a 1", "a 2", "b 0", "b 1", "c 0"}, progress.values(0)); diff != "" {
			t.Error(diff)
		}
		next := int64(0)
		for _, s := range progress.covered(0) {
			if s.From != next {
				t.Errorf("%v does not follow on %d", s, next)
			}
			next = s.To
		}
	})
}

func TestRecordLargerThanAFetch(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		large := record.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("x"), 1_000_000)}
		broker.Produce(t, topic.Name, 0, large, record.Record{Value: []byte("next")})
		progress := newProgress(topic)
		work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 2)
		if got := progress.values(0); len(got[0]) != len(large.Value) || got[1] != "next" {
			t.Errorf("got %d bytes and %q", len(got[0]), got[1])
		}
	})
}

func TestBrokerComesBack(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 5)
		broker.Stop()
		w.log.await(t, "WARN")
		broker.Restart(t)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("s", 5)...)
		progress.awaitNext(t, 0, 10)
		if diff := cmp.Diff(append(texts("r", 5), texts("s", 5)...), progress.values(0)); diff != "" {
			t.Error(diff)
		}
		if n := w.log.count("halted"); n != 0 {
			t.Errorf("it halted")
		}
	})
}

func TestLagGrowsWhileAMessageIsInHand(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 1)...)
		progress := newProgress(topic)
		inHand, finish := make(chan bool, 100), make(chan struct{})
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			inHand <- true
			<-finish
			return progress.handle(ctx, b)
		})
		kafkatest.Receive(t, inHand)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("s", 9)...)
		w.awaitMetric(t, "monedero_kafka_partition_lag_records", 0, func(lag float64) bool { return lag == 10 })
		close(finish)
		kafkatest.Receive(t, inHand)
		progress.awaitNext(t, 0, 10)
		w.awaitMetric(t, "monedero_kafka_partition_acknowledged_timestamp_seconds", 0, func(at float64) bool { return at > 0 })
	})
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	cluster, err := kafka.NewCluster([]string{"127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []kafka.SubscriberOptions{
		{},
		{Group: group, MaxRecords: ledger.MaxBatch + 1},
		{Group: group, MaxRecords: -1},
		{Group: group, DrainTimeout: 5 * time.Second},
	} {
		if _, err := kafka.NewSubscriber(cluster, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := kafka.NewCluster(nil); err == nil {
		t.Error("no brokers were taken")
	}
}
