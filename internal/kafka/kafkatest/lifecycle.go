package kafkatest

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"
)

// lifecycleTimeout bounds the start of a broker on a busy machine.
const lifecycleTimeout = 2 * time.Minute

// Stop shuts the broker (of several: each one) down in order; the log stays.
func (k *Kafka) Stop() {
	if k.real == nil {
		k.Close()
		return
	}
	k.mine()
	for i := range k.Brokers {
		k.real.StopBroker(i)
	}
}

// Kill ends the broker (of several: each one) as a crash would.
func (k *Kafka) Kill() {
	if k.real == nil {
		k.Close()
		return
	}
	for i := range k.Brokers {
		k.KillBroker(i)
	}
}

// KillBroker ends one broker of a real Kafka as a crash would. They count from 0;
// the ID of broker 0 is 1.
func (k *Kafka) KillBroker(i int) {
	k.mine()
	k.real.KillBroker(i)
}

// SuspendBroker lets one broker of a real Kafka stand still, connections and all:
// every partition that it leads hangs until ResumeBroker, or until another broker
// leads it.
func (k *Kafka) SuspendBroker(i int) {
	k.mine()
	k.real.SuspendBroker(i)
}

// ResumeBroker lets a suspended broker go on.
func (k *Kafka) ResumeBroker(i int) {
	k.mine()
	k.real.ResumeBroker(i)
}

// Restart starts a stopped or killed broker (of several: each one) at its old
// address with its old log.
func (k *Kafka) Restart(t testing.TB) {
	t.Helper()
	if k.real == nil {
		k.run(t, k.port(t))
		return
	}
	started := make(chan error, len(k.Brokers))
	for i := range k.Brokers {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), lifecycleTimeout)
			defer cancel()
			started <- k.real.StartBroker(ctx, i)
		}()
	}
	for range k.Brokers {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
}

// RestartBroker starts one stopped or killed broker of a real Kafka.
func (k *Kafka) RestartBroker(t testing.TB, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lifecycleTimeout)
	defer cancel()
	if err := k.real.StartBroker(ctx, i); err != nil {
		t.Fatal(err)
	}
}

// Replace starts another cluster, without any topic, at the address of a stopped
// broker, and returns what brings the first one back once the other is stopped. It is
// kfake's.
func (k *Kafka) Replace(t testing.TB) (back func()) {
	t.Helper()
	if k.real != nil {
		t.Fatal("only kfake can be replaced")
	}
	first := k.dir
	k.dir = t.TempDir()
	k.Restart(t)
	return func() {
		t.Helper()
		k.dir = first
		k.Restart(t)
	}
}

// mine panics where other tests use the broker too: that is a mistake in the test.
func (k *Kafka) mine() {
	if k.shared {
		panic("kafkatest: a broker that is shared with other tests may not be stopped; take EachOwn or Own")
	}
}

func (k *Kafka) port(t testing.TB) int {
	t.Helper()
	_, port, err := net.SplitHostPort(k.Brokers[0])
	if err != nil {
		t.Fatalf("read port: %v", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatalf("read port: %v", err)
	}
	return n
}
