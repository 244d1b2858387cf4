package system

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
)

const (
	faultFor   = 700 * time.Millisecond // how long a fault of Kafka lasts
	kafkaLimit = 10 * time.Second       // from the end of a fault until charges are taken and settled again
	busyFactor = 3                      // how much slower a machine may be that does other things too
)

// behindProxy is a listener who says that its address is the proxy's: Kafka tells
// its clients where to go.
type behindProxy struct {
	net.Listener
	proxy *proxytest.Proxy
}

func (l behindProxy) Addr() net.Addr {
	address, err := net.ResolveTCPAddr("tcp", l.proxy.Address())
	if err != nil {
		panic(err) // it is one
	}
	return address
}

// newBrokerBehindProxy starts a kfake that is reached through a proxy alone, after
// a restart too.
func newBrokerBehindProxy(t *testing.T) (*kafkatest.Kafka, *proxytest.Proxy) {
	t.Helper()
	proxy := proxytest.Start(t, "")
	broker := kafkatest.Start(t, kfake.ListenFn(func(network, _ string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), network, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		proxy.SetServer(l.Addr().String())
		return behindProxy{l, proxy}, nil
	}))
	return broker, proxy
}

// TestKafkaThatFails lets Kafka fail under load in one way after the other.
func TestKafkaThatFails(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries for half a minute")
	}
	t.Parallel()
	broker, proxy := newBrokerBehindProxy(t)
	s := newStackWith(t, pgtest.New(t), broker, 4)
	_, operator := s.ingest()
	s.processor()
	l := startLoad(t, newRand(t), []*api{operator}, 16)
	l.resent = true
	var answers *kfake.FaultHandle
	fail := func(with *kerr.Error, keys ...kmsg.Key) func() {
		return func() { answers = broker.Fault(kfake.Fault{Keys: keys, Err: with, Count: -1}) }
	}
	answerWell := func() { answers.Remove() }
	l.await(100)
	for _, fault := range []struct {
		name          string
		inflict, mend func()
	}{
		{"connections cut", proxy.Cut, func() {}},
		{"slow network", func() { proxy.Delay(proxytest.ToServer, 50*time.Millisecond) }, proxy.Heal},
		{"answers late", func() { proxy.Stall(proxytest.ToClient) }, proxy.Heal},
		{"answers lost", func() { proxy.Lose(proxytest.ToClient) }, proxy.Heal},
		{"requests lost", func() { proxy.Lose(proxytest.ToServer) }, proxy.Heal},
		{"broker restarted", broker.Stop, func() { broker.Restart(t) }},
		{"timed out, yet written", fail(kerr.RequestTimedOut, kmsg.Produce), answerWell},
		{"written by too few", fail(kerr.NotEnoughReplicasAfterAppend, kmsg.Produce), answerWell},
		{"not written", fail(kerr.NotEnoughReplicas, kmsg.Produce), answerWell},
		{"another leader", fail(kerr.NotLeaderForPartition, kmsg.Produce, kmsg.Fetch), answerWell},
		{"no coordinator", fail(kerr.NotCoordinator, kmsg.Heartbeat, kmsg.JoinGroup), answerWell},
	} {
		before := l.repeated.Load()
		fault.inflict()
		time.Sleep(faultFor)
		fault.mend()
		mended := time.Now()
		s.awaitSettled(l.requests() + 200)
		took := time.Since(mended).Round(time.Millisecond)
		t.Logf("%s: %d answers failed or repeated, well again after %v", fault.name, l.repeated.Load()-before, took)
		if took > busyFactor*kafkaLimit {
			t.Errorf("%s: well again after %v only, the goal is %v", fault.name, took, kafkaLimit)
		}
	}
	s.check(l)
}

// awaitSettled waits until so many requests of a load have an outcome.
func (s *stack) awaitSettled(n int) {
	s.t.Helper()
	awaitThat(s.t, "requests are settled", func() bool {
		return s.count("select count(*) from operations where kind not in ('open', 'top_up')") >= int64(n)
	})
}

// A Kafka that answers late is used all the same: nobody who asks whether it is there
// gives up before it can say so.
func TestKafkaFarAway(t *testing.T) {
	t.Parallel()
	broker, proxy := newBrokerBehindProxy(t)
	s := newStackWith(t, pgtest.New(t), broker, 4)
	gate, operator := s.ingest()
	worker := s.processor()
	shop := operator.open()
	proxy.Delay(proxytest.ToServer, 600*time.Millisecond)
	for range 5 {
		time.Sleep(time.Second) // what was asked before is asked again
		for _, p := range []*process{gate, worker} {
			if why := p.whyNotReady(); why != "" {
				t.Errorf("%s is not ready: %s", p.name, why)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), awaitTimeout)
	defer cancel()
	if _, err := shop.till.charge(ctx, shop.wallet(), "far away", 100); err != nil {
		t.Error(err)
	}
}
