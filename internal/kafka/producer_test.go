package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/record"
)

func newProducer(t *testing.T, broker *kafkatest.Kafka) *kafka.Producer {
	t.Helper()
	p := kafka.NewProducer(broker.Client(t), kafka.NewMetrics(nil), 0)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func value(text string) record.Record { return record.Record{Value: []byte(text)} }

// contents are the values in the partition, in order.
func contents(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic) []string {
	t.Helper()
	progress := newProgress(topic)
	_, end, err := broker.Client(t).Offsets(t.Context(), topic.Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := work(t, broker, topic, member{progress, "reader"}, progress.handle)
	progress.awaitNext(t, 0, end)
	_ = w.sub.Close()
	return progress.values(0)
}

func TestProduceKeepsTheOrderOfEachCaller(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		const callers, each = 32, 50
		topic := broker.Topic(t, 1)
		p := newProducer(t, broker)
		offsets := make([]string, callers*each)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for i := range each {
					text := fmt.Sprintf("%d/%d", caller, i)
					offset, err := p.Produce(t.Context(), topic.Name, 0, value(text))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					offsets[offset] = text
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		got := contents(t, broker, topic)
		if diff := cmp.Diff(offsets, got); diff != "" {
			t.Errorf("offsets told and offsets found differ: %s", diff)
		}
		for caller := range callers {
			prefix := fmt.Sprintf("%d/", caller)
			mine := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, prefix) })
			var want []string
			for i := range each {
				want = append(want, fmt.Sprintf("%s%d", prefix, i))
			}
			if diff := cmp.Diff(want, mine); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// enqueue hands over the texts without waiting for any.
func enqueue(t *testing.T, p *kafka.Producer, topic kafka.Topic, texts ...string) (pending []kafka.Pending) {
	t.Helper()
	for _, text := range texts {
		w, err := p.Enqueue(t.Context(), topic.Name, 0, value(text))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, w)
	}
	return pending
}

func TestProduceTriesAgainInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    *kerr.Error
		copies int // of the first batch
	}{
		"not the leader":             {kerr.NotLeaderForPartition, 1},
		"not enough replicas":        {kerr.NotEnoughReplicas, 1},
		"written, yet answered late": {kerr.RequestTimedOut, 3},
		"written by too few":         {kerr.NotEnoughReplicasAfterAppend, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.Start(t)
			topic := broker.Topic(t, 1)
			p := newProducer(t, broker)
			broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: test.err, Count: 2})
			for _, w := range enqueue(t, p, topic, "first") {
				if _, err := w.Wait(); err != nil {
					t.Fatal(err)
				}
			}
			for _, w := range enqueue(t, p, topic, "second", "third") {
				if _, err := w.Wait(); err != nil {
					t.Fatal(err)
				}
			}
			want := append(slices.Repeat([]string{"first"}, test.copies), "second", "third")
			if diff := cmp.Diff(want, contents(t, broker, topic)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hold keeps the next produce request back until release is called; held is
// closed when it has come.
func hold(t *testing.T, broker *kafkatest.Kafka) (held <-chan struct{}, release func()) {
	t.Helper()
	came, gate := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	var others atomic.Bool // kfake asks for them too while the first one sleeps
	broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		if others.Swap(true) {
			return nil, nil, false
		}
		close(came)
		broker.SleepControl(func() { <-gate })
		return nil, nil, false
	})
	return came, release
}

func TestProduceWhatComesMeanwhileIsTheNextBatch(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := newProducer(t, broker)
	held, release := hold(t, broker)
	first := enqueue(t, p, topic, "first")
	kafkatest.Receive(t, ping(held))
	batches := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Count: -1, Observe: true})
	rest := enqueue(t, p, topic, texts("r", 100)...)
	release()
	for _, w := range append(first, rest...) {
		if _, err := w.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := batches.Hits(); n > 2 {
		t.Errorf("%d requests for what fits in one batch", n)
	}
	if diff := cmp.Diff(append([]string{"first"}, texts("r", 100)...), contents(t, broker, topic)); diff != "" {
		t.Error(diff)
	}
}

func ping(done <-chan struct{}) <-chan bool {
	c := make(chan bool, 1)
	go func() {
		<-done
		c <- true
	}()
	return c
}

func TestProduceRefusesWhatTheQueueDoesNotHold(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := newProducer(t, broker)
	held, release := hold(t, broker)
	pending := enqueue(t, p, topic, "first")
	kafkatest.Receive(t, ping(held))
	var err error
	for err == nil {
		var w kafka.Pending
		if w, err = p.Enqueue(t.Context(), topic.Name, 0, value("x")); err == nil {
			pending = append(pending, w)
		}
	}
	if !errors.Is(err, kafka.ErrQueueFull) {
		t.Fatal(err)
	}
	release()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range pending {
		if _, err := w.Wait(); err != nil {
			t.Fatalf("taken before the queue was full: %v", err)
		}
	}
	if _, err := p.Produce(t.Context(), topic.Name, 0, value("late")); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if got := len(contents(t, broker, topic)); got != len(pending) {
		t.Errorf("%d records, want %d", got, len(pending))
	}
}

func TestProduceTooLargeFailsAlone(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	broker.AlterTopic(t, topic.Name, map[string]string{"max.message.bytes": "100000"})
	p := newProducer(t, broker)
	held, release := hold(t, broker)
	pending := enqueue(t, p, topic, "first")
	kafkatest.Receive(t, ping(held))
	pending = append(pending, enqueue(t, p, topic, "a", "b")...)
	large := enqueue(t, p, topic, strings.Repeat("x", 200_000))
	pending = append(pending, enqueue(t, p, topic, "c", "d", "e")...)
	release()
	for i, w := range pending {
		if offset, err := w.Wait(); err != nil || offset != int64(i) {
			t.Errorf("record %d: offset %d, %v", i, offset, err)
		}
	}
	if _, err := large[0].Wait(); !errors.Is(err, kafkago.MessageSizeTooLarge) {
		t.Errorf("the large one: %v", err)
	}
	if diff := cmp.Diff([]string{"first", "a", "b", "c", "d", "e"}, contents(t, broker, topic)); diff != "" {
		t.Error(diff)
	}
}

func TestProduceAnswersWithinItsDeadline(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(t *testing.T, broker *kafkatest.Kafka){
		"the broker is down": func(_ *testing.T, broker *kafkatest.Kafka) { broker.Stop() },
		"the broker does not answer": func(_ *testing.T, broker *kafkatest.Kafka) {
			broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				broker.KeepControl()
				return nil, nil, true
			})
		},
		"the broker hangs up": func(_ *testing.T, broker *kafkatest.Kafka) {
			broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				broker.KeepControl()
				return nil, errors.New("hang up"), true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.Start(t)
			topic := broker.Topic(t, 1)
			p := newProducer(t, broker)
			if _, err := p.Produce(t.Context(), topic.Name, 0, value("before")); err != nil {
				t.Fatal(err)
			}
			stop(t, broker)
			started := time.Now()
			if _, err := p.Produce(t.Context(), topic.Name, 0, value("after")); err == nil {
				t.Error("it was written nowhere, and there is no error")
			}
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("answered after %s", took)
			}
		})
	}
}

func TestProduceNothingIsDurableInAnotherCluster(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := kafka.NewProducer(broker.Client(t), kafka.NewMetrics(nil), 0, topic)
	t.Cleanup(func() { _ = p.Close() })
	if _, err := p.Produce(t.Context(), topic.Name, 0, value("here")); err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	broker.Replace(t)
	broker.Create(t, topic.Name, 1)
	for range 3 {
		if _, err := p.Produce(t.Context(), topic.Name, 0, value("there")); !errors.Is(err, kafka.ErrMismatch) {
			t.Errorf("written to another cluster: %v", err)
		}
	}
}

func TestProduceLostAnswer(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := newProducer(t, broker)
	_, release := hold(t, broker) // the first attempt is answered after it was given up
	offset, err := p.Produce(t.Context(), topic.Name, 0, value("again"))
	if err != nil {
		t.Fatal(err)
	}
	release()
	if got := contents(t, broker, topic); got[offset] != "again" {
		t.Errorf("offset %d holds %q", offset, got[offset])
	}
}

func TestProduceCallerGoesAway(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := newProducer(t, broker)
	held, release := hold(t, broker)
	ctx, cancel := context.WithCancel(t.Context())
	inFlight, err := p.Enqueue(ctx, topic.Name, 0, value("in flight"))
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Receive(t, ping(held))
	waiting, err := p.Enqueue(ctx, topic.Name, 0, value("waiting"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, w := range []kafka.Pending{inFlight, waiting} {
		if _, err := w.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	}
	release()
	if _, err := p.Produce(t.Context(), topic.Name, 0, value("other")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"in flight", "other"}, contents(t, broker, topic)); diff != "" {
		t.Error(diff)
	}
}

func TestProduceReadsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		at := time.UnixMilli(1_700_000_000_123)
		want := []record.Record{
			{Offset: 0, Key: []byte("k"), Value: []byte("v"), Time: at, Headers: []record.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte{}}}},
			{Offset: 1, Value: []byte{}, Time: at},
			{Offset: 2, Key: []byte{}, Time: at},
			{Offset: 3, Key: bytes.Repeat([]byte("k"), 70_000), Value: bytes.Repeat([]byte("v"), 200_000), Time: at},
		}
		broker.Produce(t, topic.Name, 0, want...)
		progress := newProgress(topic)
		work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, int64(len(want)))
		// The time is the broker's.
		if diff := cmp.Diff(want, progress.settled(0), cmpopts.IgnoreFields(record.Record{}, "Time")); diff != "" {
			t.Error(diff)
		}
	})
}

// TestProduceHoldsASlowPartitionToItsShare: what waits for a broker that takes long is
// bounded by the callers there are, and what waits for one that stands still is not
// taken, but for one record at a time that finds out.
func TestProduceHoldsASlowPartitionToItsShare(t *testing.T) {
	t.Parallel()
	const callers, share = 512, 64
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 16)
	p := kafka.NewProducer(broker.Client(t), kafka.NewMetrics(nil), callers, topic)
	t.Cleanup(func() { _ = p.Close() })
	held, release := hold(t, broker)
	enqueue(t, p, topic, "first")
	kafkatest.Receive(t, ping(held))
	waiting := enqueue(t, p, topic, texts("early", share-2)...)
	time.Sleep(200 * time.Millisecond) // the batch is slow by then
	waiting = append(waiting, enqueue(t, p, topic, "last")...)
	if _, err := p.Enqueue(t.Context(), topic.Name, 0, value("beyond")); !errors.Is(err, kafka.ErrQueueFull) {
		t.Errorf("beyond the share: %v", err)
	}
	if offset, err := p.Produce(t.Context(), topic.Name, 1, value("elsewhere")); err != nil || offset != 0 {
		t.Errorf("another partition: offset %d, %v", offset, err)
	}
	for _, w := range waiting { // the batch is stuck after two seconds
		if _, err := w.Wait(); !errors.Is(err, kafka.ErrQueueStuck) {
			t.Fatalf("behind a batch that hangs: %v", err)
		}
	}
	if _, err := p.Enqueue(t.Context(), topic.Name, 0, value("in vain")); !errors.Is(err, kafka.ErrQueueStuck) {
		t.Errorf("while the batch hangs: %v", err)
	}
	release()
	for deadline := time.Now().Add(kafkatest.Patience); ; time.Sleep(10 * time.Millisecond) {
		_, err := p.Produce(t.Context(), topic.Name, 0, value("again"))
		if err == nil {
			break
		}
		if !errors.Is(err, kafka.ErrQueueStuck) || time.Now().After(deadline) {
			t.Fatalf("once the broker goes on: %v", err)
		}
	}
	for _, text := range contents(t, broker, topic) {
		if text != "first" && text != "again" {
			t.Errorf("%q was refused, and was written", text)
		}
	}
}

// TestProduceOneRecordFindsOut: after a batch that failed, one record is tried at a
// time, and everything is taken once one got through.
func TestProduceOneRecordFindsOut(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 1)
	p := kafka.NewProducer(broker.Client(t), kafka.NewMetrics(nil), 512, topic)
	t.Cleanup(func() { _ = p.Close() })
	fault := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: 2})
	if _, err := p.Produce(t.Context(), topic.Name, 0, value("first")); !errors.Is(err, kafkago.TopicAuthorizationFailed) {
		t.Fatal(err)
	}
	held, release := hold(t, broker)
	probe := enqueue(t, p, topic, "probe")
	kafkatest.Receive(t, ping(held))
	if _, err := p.Enqueue(t.Context(), topic.Name, 0, value("beside")); !errors.Is(err, kafka.ErrQueueStuck) {
		t.Errorf("beside the probe: %v", err)
	}
	release()
	if _, err := probe[0].Wait(); !errors.Is(err, kafkago.TopicAuthorizationFailed) || fault.Hits() != 2 {
		t.Errorf("the probe: %v, %d faults", err, fault.Hits())
	}
	for _, w := range enqueue(t, p, topic, "probe again") {
		if _, err := w.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range enqueue(t, p, topic, texts("all", 20)...) {
		if _, err := w.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
