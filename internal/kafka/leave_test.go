package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

// TestCloseDuringARebalance closes a member whose rejoining is answered with
// another rebalance just then: kafka-go does not leave the group there.
func TestCloseDuringARebalance(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 2)
	progress := newProgress(topic)
	member := work(t, broker, topic, member{progress, "member"}, progress.handle)
	broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 1)...)
	progress.awaitNext(t, 0, 1)

	const rebalanceInProgress = 27
	syncing, left := make(chan struct{}, 1), make(chan struct{}, 2)
	broker.ControlKey(int16(kmsg.Heartbeat), func(request kmsg.Request) (kmsg.Response, error, bool) {
		answer := request.ResponseKind().(*kmsg.HeartbeatResponse)
		answer.ErrorCode = rebalanceInProgress
		return answer, nil, true
	})
	broker.ControlKey(int16(kmsg.SyncGroup), func(request kmsg.Request) (kmsg.Response, error, bool) {
		syncing <- struct{}{}
		// The member is told to close meanwhile, and nothing shows when it has begun.
		broker.SleepControl(func() { time.Sleep(300 * time.Millisecond) })
		answer := request.ResponseKind().(*kmsg.SyncGroupResponse)
		answer.ErrorCode = rebalanceInProgress
		return answer, nil, true
	})
	broker.ControlKey(int16(kmsg.LeaveGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		left <- struct{}{}
		return nil, nil, false
	})
	kafkatest.Receive(t, syncing)
	if err := member.sub.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	default:
		t.Error("the member is closed, and has not left the group")
	}
}

// A broker that keeps a join waiting, as for a member that does not come, does not
// keep a member that is to stop.
func TestCloseWhileJoining(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 2)
	joining, goOn := make(chan struct{}, 16), make(chan struct{})
	broker.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		joining <- struct{}{}
		broker.SleepControl(func() { <-goOn })
		return nil, nil, false
	})
	t.Cleanup(func() { close(goOn) })
	progress := newProgress(topic)
	member := work(t, broker, topic, member{progress, "member"}, progress.handle)
	kafkatest.Receive(t, joining)
	began := time.Now()
	if err := member.sub.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > kafka.DefaultDrainTimeout+kafka.LeaveTimeout+2*time.Second {
		t.Errorf("it took %s to close", took)
	}
}
