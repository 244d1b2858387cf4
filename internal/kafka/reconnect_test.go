package kafka_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

const (
	reconnects     = 2
	reconnectLoad  = 300             // messages that are acknowledged between two crashes, at least
	reconnectLimit = 2 * time.Minute // for those, and for the rest to arrive: a crash costs 5 s on a quiet machine
)

// TestReconnect kills the broker under publishers and a subscriber and starts it
// again, several times. It stands for the test of this name in the universal suite,
// which is left out there: that one reads the list of what was published while a
// goroutine still writes it, which the race detector reports even where nothing is
// restarted, and that goroutine outlives the tests. This one asks for more: every
// acknowledged message arrives at the very offset it was acknowledged with, no
// partition leaves an offset out, and each publisher's messages arrive in its order.
func TestReconnect(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		pub, sub := pubSub(t, broker, groupOf(t), 4)
		topic := kafkatest.Name()
		if err := sub.SubscribeInitialize(topic); err != nil {
			t.Fatal(err)
		}
		messages, err := sub.Subscribe(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		a := &arrivals{changed: make(chan struct{}), at: map[place]string{}, ends: map[int]int64{}, next: map[string]int{}}
		var reader, writers sync.WaitGroup
		reader.Go(func() {
			for msg := range messages {
				a.note(t, msg)
				msg.Ack()
			}
		})
		stop := make(chan struct{})
		p := &publications{pub: pub, topic: topic, stop: stop, at: map[place]string{}}
		for i := range 8 {
			writers.Go(func() { p.publish(t, fmt.Sprint("publisher ", i)) })
		}
		var stopOnce sync.Once
		end := func() {
			stopOnce.Do(func() { close(stop) })
			writers.Wait()
		}
		t.Cleanup(func() {
			end()
			_ = sub.Close()
			reader.Wait()
		})

		for range reconnects {
			p.await(t, reconnectLoad)
			broker.Kill()
			broker.Restart(t)
		}
		p.await(t, reconnectLoad)
		end()
		if err := pub.Close(); err != nil {
			t.Error(err)
		}
		repeated := a.await(t, p.at)
		t.Logf("%d messages acknowledged, %d publications failed, %d deliveries repeated",
			len(p.at), p.failed.Load(), repeated)
	})
}

// place is where a record lies.
type place struct {
	partition int
	offset    int64
}

func placeOf(t *testing.T, msg *message.Message) place {
	t.Helper()
	partition, err := strconv.Atoi(msg.Metadata.Get(kafka.MetaPartition))
	if err != nil {
		t.Error(err)
	}
	offset, err := strconv.ParseInt(msg.Metadata.Get(kafka.MetaOffset), 10, 64)
	if err != nil {
		t.Error(err)
	}
	return place{partition, offset}
}

// publications is what was acknowledged.
type publications struct {
	pub    *kafka.Publisher
	topic  string
	stop   <-chan struct{}
	failed atomic.Int64

	mu sync.Mutex
	at map[place]string
}

// publish publishes one message after the other, each until it is acknowledged.
func (p *publications) publish(t *testing.T, publisher string) {
	t.Helper()
	for i := 0; ; i++ {
		msg := message.NewMessage(watermill.NewUUID(), []byte(strconv.Itoa(i)))
		msg.Metadata.Set(kafka.MetaKey, publisher)
		for p.pub.Publish(p.topic, msg) != nil {
			p.failed.Add(1)
			if t.Context().Err() != nil {
				return
			}
		}
		p.mu.Lock()
		p.at[placeOf(t, msg)] = publisher + " " + string(msg.Payload)
		p.mu.Unlock()
		select {
		case <-p.stop:
			return
		case <-time.After(time.Millisecond): // the broker is not to be flooded
		}
	}
}

// await waits until so many more messages were acknowledged.
func (p *publications) await(t *testing.T, more int) {
	t.Helper()
	count := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.at)
	}
	until := count() + more
	for deadline := time.Now().Add(reconnectLimit); count() < until; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages were acknowledged, %d were to be", count(), until)
		}
	}
}

// arrivals is what was delivered.
type arrivals struct {
	mu       sync.Mutex
	changed  chan struct{} // closed at each delivery
	at       map[place]string
	ends     map[int]int64  // by partition, the offset that comes next
	next     map[string]int // by publisher, the message that comes next
	repeated int
}

// note takes a delivery down. After a crash some come again, and a publication
// that failed may have been written, so that its message lies at two places.
func (a *arrivals) note(t *testing.T, msg *message.Message) {
	t.Helper()
	at, publisher := placeOf(t, msg), msg.Metadata.Get(kafka.MetaKey)
	text := publisher + " " + string(msg.Payload)
	n, err := strconv.Atoi(string(msg.Payload))
	if err != nil {
		t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch end := a.ends[at.partition]; {
	case at.offset > end:
		t.Errorf("offset %d of partition %d comes after %d", at.offset, at.partition, end-1)
	case at.offset < end:
		a.repeated++
		if was := a.at[at]; was != text {
			t.Errorf("%v was %q, and then %q", at, was, text)
		}
	}
	if n > a.next[publisher] {
		t.Errorf("message %d of %s comes before message %d", n, publisher, a.next[publisher])
	}
	a.at[at] = text
	a.ends[at.partition] = max(a.ends[at.partition], at.offset+1)
	a.next[publisher] = max(a.next[publisher], n+1)
	close(a.changed)
	a.changed = make(chan struct{})
}

// await waits until the messages have arrived, compares them, and returns how many
// deliveries were repeated.
func (a *arrivals) await(t *testing.T, want map[place]string) (repeated int) {
	t.Helper()
	timer := time.NewTimer(reconnectLimit)
	defer timer.Stop()
	ends := map[int]int64{}
	for at := range want {
		ends[at.partition] = max(ends[at.partition], at.offset+1)
	}
	for partition, end := range ends {
		for {
			a.mu.Lock()
			arrived, changed := a.ends[partition], a.changed
			a.mu.Unlock()
			if arrived >= end {
				break
			}
			select {
			case <-changed:
			case <-timer.C:
				t.Fatalf("partition %d was delivered up to %d, and %d were acknowledged", partition, arrived, end)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for at, text := range want {
		if a.at[at] != text {
			t.Errorf("%q was acknowledged at %v, where %q lies", text, at, a.at[at])
		}
	}
	return a.repeated
}
