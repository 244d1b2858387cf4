package system

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/postgres/pgtest"
)

// TestLeaderLostAmongThree kills, under load, the broker that leads the most
// partitions of three brokers', and after its return another one that leads.
func TestLeaderLostAmongThree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three brokers and the real binaries for a minute")
	}
	t.Parallel()
	kafkatest.NeedReal(t)
	const partitions = 8
	broker := kafkatest.Own(t, 3)
	s := newStackWith(t, pgtest.New(t), broker, partitions)
	settings := broker.Settings(t, topicName)
	want := map[string]string{
		"cleanup.policy": "delete", "max.message.bytes": "1048576", "message.timestamp.type": "LogAppendTime", "min.insync.replicas": "2",
		"retention.bytes": "-1", "retention.ms": "-1", "unclean.leader.election.enable": "false",
	}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Errorf("settings of the topic: %s", diff)
	}
	inSync := func() bool {
		for _, p := range broker.Replicas(t, topicName) {
			if p.Leader < 0 || p.All != 3 || p.InSync != 3 {
				return false
			}
		}
		return true
	}
	awaitThat(t, "three replicas are in sync", inSync)

	r := newRand(t)
	_, operator := s.ingest()
	s.processor()
	s.processor()
	d := newDBA(t, s.database)
	t.Cleanup(d.close)
	l := startLoad(t, r, []*api{operator}, 100)
	l.resent = true
	before := -1
	for range 2 {
		d.awaitAllMove()
		victim, led := mostLeading(broker.Replicas(t, topicName), before)
		failed := l.repeated.Load()
		killed := time.Now()
		broker.KillBroker(victim)
		awaitThat(t, "another broker leads", func() bool {
			for _, p := range broker.Replicas(t, topicName) {
				if p.Leader < 0 || p.Leader == victim {
					return false
				}
			}
			return true
		})
		elected := time.Now()
		d.awaitAllMove()
		took := time.Since(elected)
		t.Logf("broker %d led %d of %d partitions: others lead after %v, all move on %v later; %d answers failed or repeated",
			victim, led, partitions, elected.Sub(killed).Round(time.Millisecond), took.Round(time.Millisecond), l.repeated.Load()-failed)
		if took > busyFactor*kafkaLimit {
			t.Errorf("partitions moved on %v after they had leaders again, the goal is %v", took, kafkaLimit)
		}
		d.awaitAllMove()
		broker.RestartBroker(t, victim)
		awaitThat(t, "the broker that came back is in sync", inSync)
		before = victim
	}
	s.check(l)
}

// mostLeading is the broker that leads the most partitions, but for one, and how
// many it leads.
func mostLeading(of map[int]kafkatest.Replicas, but int) (broker, led int) {
	leads := map[int]int{}
	for _, p := range of {
		leads[p.Leader]++
	}
	delete(leads, but)
	for b, n := range leads {
		if n > led {
			broker, led = b, n
		}
	}
	return broker, led
}
