package kafka_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

// requests are the partitions of each produce request that came.
type requests struct {
	mu   sync.Mutex
	list [][]int32
}

// watchRequests keeps what comes. Delay says for how long a request is kept back.
func watchRequests(broker *kafkatest.Kafka, delay func(partitions []int32) time.Duration) *requests {
	w := &requests{}
	broker.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		var partitions []int32
		for _, p := range r.(*kmsg.ProduceRequest).Topics[0].Partitions {
			partitions = append(partitions, p.Partition)
		}
		w.mu.Lock()
		w.list = append(w.list, partitions)
		w.mu.Unlock()
		if d := delay(partitions); d > 0 {
			broker.SleepControl(func() { time.Sleep(d) })
		}
		return nil, nil, false
	})
	return w
}

// after are those that came after the first n.
func (w *requests) after(n int) [][]int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list[n:])
}

// each produces one record after the other to each partition, n of each.
func each(t *testing.T, p *kafka.Producer, topic kafka.Topic, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for partition := range topic.Partitions {
		wg.Go(func() {
			for i := range n {
				if _, err := p.Produce(t.Context(), topic.Name, partition, value(fmt.Sprint("r ", i))); err != nil {
					t.Errorf("partition %d: %v", partition, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestProduceWhatWaitsForOneBrokerTravelsTogether(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 8)
	p := newProducer(t, broker)
	seen := watchRequests(broker, func([]int32) time.Duration { return 2 * time.Millisecond })
	const n = 50
	each(t, p, topic, n)
	if got := len(seen.after(0)); got > n*topic.Partitions/2 {
		t.Errorf("%d requests for %d batches", got, n*topic.Partitions)
	}
}

// The answer to one partition takes long. Its batches travel by themselves until it is quick again.
func TestProduceALatePartitionTravelsAlone(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 4)
	p := newProducer(t, broker)
	var late sync.Map
	seen := watchRequests(broker, func(partitions []int32) time.Duration {
		if _, is := late.Load("late"); is && slices.Contains(partitions, 0) {
			return 150 * time.Millisecond
		}
		return 0
	})
	late.Store("late", true)
	each(t, p, topic, 5)
	together := 0
	for _, partitions := range seen.after(0) {
		if slices.Contains(partitions, 0) && len(partitions) > 1 {
			together++
		}
	}
	if together > 1 { // the one by which it was found
		t.Errorf("the late partition travelled with others %d times: %v", together, seen.after(0))
	}
	late.Delete("late")
	for deadline := time.Now().Add(kafkatest.Patience); ; {
		before := len(seen.after(0))
		each(t, p, topic, 10)
		if slices.ContainsFunc(seen.after(before), func(partitions []int32) bool { return slices.Contains(partitions, 0) && len(partitions) > 1 }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a partition that is quick again travels alone for ever")
		}
	}
}

// Partitions get other leaders while they are produced to: nobody hears of it, and each keeps its order.
func TestProduceWhileLeadersMove(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t, kfake.Ports(0, 0, 0))
	topic := broker.Topic(t, 6)
	p := newProducer(t, broker)
	const moves = 8
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		for range moves { // seldom enough that a client hears of it in between
			time.Sleep(time.Second)
			broker.ShufflePartitionLeaders()
		}
	}()
	rounds := 0
	for moving := true; moving; rounds++ {
		each(t, p, topic, 20)
		select {
		case <-moved:
			moving = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	progress := newProgress(topic)
	w := work(t, broker, topic, member{progress, "reader"}, progress.handle)
	for partition := range topic.Partitions {
		_, end, err := broker.Client(t).Offsets(t.Context(), topic.Name, partition)
		if err != nil {
			t.Fatal(err)
		}
		progress.awaitNext(t, partition, end)
	}
	_ = w.sub.Close()
	for partition := range topic.Partitions {
		got := slices.Compact(progress.values(partition)) // what was sent again comes again
		for i, text := range got {
			if want := fmt.Sprint("r ", i%20); text != want {
				t.Fatalf("partition %d: record %d is %q, want %q", partition, i, text, want)
			}
		}
		if len(got) != rounds*20 {
			t.Errorf("partition %d: %d records of %d", partition, len(got), rounds*20)
		}
	}
}
