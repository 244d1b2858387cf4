package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

func owned(rows map[int]*row, by string) int {
	n := 0
	for _, r := range rows {
		if r.owner == by {
			n++
		}
	}
	return n
}

func TestMembersShareAndHandOver(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 4)
		progress := newProgress(topic)
		produce := func(prefix string) {
			for p := range topic.Partitions {
				broker.Produce(t, topic.Name, p, kafkatest.Records(prefix, 100)...)
			}
		}
		settled := func(next int64) {
			t.Helper()
			for p := range topic.Partitions {
				progress.awaitNext(t, p, next)
			}
		}

		first := work(t, broker, topic, member{progress, "first"}, progress.handle)
		produce("alone")
		settled(100)
		work(t, broker, topic, member{progress, "second"}, progress.handle)
		progress.await(t, "two partitions each", func(rows map[int]*row) bool {
			return owned(rows, "first") == 2 && owned(rows, "second") == 2
		})
		produce("both")
		settled(200)

		// Were the leave request not sent, the group would wait a session timeout of
		// 6 s for the first member.
		started := time.Now()
		if err := first.sub.Close(); err != nil {
			t.Fatal(err)
		}
		progress.await(t, "all with the second", func(rows map[int]*row) bool { return owned(rows, "second") == 4 })
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("handed over after %s", took)
		}
		produce("rest")
		settled(300)
		want := append(append(texts("alone", 100), texts("both", 100)...), texts("rest", 100)...)
		for p := range topic.Partitions {
			if diff := cmp.Diff(want, progress.values(p)); diff != "" {
				t.Errorf("partition %d: %s", p, diff)
			}
		}
	})
}

func TestCloseWaitsForTheMessageInHand(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 1)...)
		progress := newProgress(topic)
		inHand := make(chan context.Context, 100)
		finish := make(chan struct{})
		w := work(t, broker, topic, member{progress, "a"}, func(ctx context.Context, b processor.Batch) processor.Result {
			inHand <- ctx
			<-finish
			return progress.handle(ctx, b)
		})
		work := kafkatest.Receive(t, inHand)
		closed := make(chan error, 1)
		go func() { closed <- w.sub.Close() }()
		select {
		case err := <-closed:
			t.Error(err, "closed before the message was finished")
		case <-work.Done():
			t.Error("the message was given up")
		case <-time.After(100 * time.Millisecond): // nothing is to happen, so there is no signal
		}
		close(finish)
		if err := kafkatest.Receive(t, closed); err != nil {
			t.Fatal(err)
		}
		progress.awaitNext(t, 0, 1)
	})
}

func TestCloseGivesUpAMessageThatIsNeverFinished(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 1)...)
		inHand := make(chan context.Context, 100)
		w := work(t, broker, topic, member{newProgress(topic), "a"}, func(ctx context.Context, _ processor.Batch) processor.Result {
			inHand <- ctx
			<-t.Context().Done()
			return processor.Settled()
		})
		work := kafkatest.Receive(t, inHand)
		if err := w.sub.Close(); err != nil {
			t.Fatal(err)
		}
		if err := kafkatest.Receive(t, ended(work)); !errors.Is(err, context.Canceled) {
			t.Errorf("the context ended with %v", err)
		}
	})
}

func ended(ctx context.Context) <-chan error {
	c := make(chan error, 1)
	context.AfterFunc(ctx, func() { c <- ctx.Err() })
	return c
}

func TestPositionsInKafkaOutliveTheSubscriber(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 4)...)
		read := func(n int) (values []string) {
			pub, sub := pubSub(t, broker, group+topic.Name, topic.Partitions)
			t.Cleanup(func() { _ = pub.Close() })
			messages, err := sub.Subscribe(t.Context(), topic.Name)
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				msg := kafkatest.Receive(t, messages)
				msg.Ack()
				values = append(values, string(msg.Payload))
			}
			if err := sub.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := sub.Subscribe(t.Context(), topic.Name); err == nil {
				t.Error("subscribed to a closed subscriber")
			}
			return values
		}
		if diff := cmp.Diff(texts("r", 4), append(read(3), read(1)...)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTopicThatIsMadeLater(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := kafka.Topic{Name: kafkatest.Name()}
		found, err := broker.Client(t).Describe(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		topic.ClusterID, topic.Partitions = found.ClusterID, 2
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		w.log.await(t, "the topic does not exist")

		broker.Create(t, topic.Name, topic.Partitions)
		for p := range topic.Partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("r", 5)...)
			progress.awaitNext(t, p, 5)
		}
		if n := w.log.count("partitions assigned"); n != 2 {
			t.Errorf("%d generations, want one without the topic and one with it", n)
		}
	})
}
