package system

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/record"
)

// TestPartitionsHaltWhoseStateCannotBeRight breaks what a processor relies on
// while it is away. When it is back, partition 0 must halt, say why, and settle
// nothing; and where only partition 0 was broken, partition 1 must go on.
func TestPartitionsHaltWhoseStateCannotBeRight(t *testing.T) {
	t.Parallel()
	another := record.Record{Value: []byte("another record")}
	for name, c := range map[string]struct {
		breakIt   func(*pair)
		why       string // in the log
		otherGoes bool
	}{
		"the topic was made anew": {
			breakIt: func(p *pair) { p.recreateTopic() },
			why:     "the log ends at 0, before the next offset 1",
		},
		"the log was written over, and its length looks right": {
			breakIt: func(p *pair) {
				p.recreateTopic()
				p.produce(0, another)
				p.produce(1, another)
			},
			why: "the log holds another record at offset 0 than was settled",
		},
		"retention passed the progress": {
			breakIt: func(p *pair) {
				p.produce(0, another)
				p.kafka.DeleteRecords(p.t, topicName, 0, 2)
			},
			why: "the log starts at 2, after the next offset 1", otherGoes: true,
		},
		"the progress is beyond the end": {
			breakIt: func(p *pair) {
				p.sql("update partition_progress set next_offset = next_offset + 5, gaps = gaps + 5 where partition = 0")
			},
			why: "the log ends at 1, before the next offset 6", otherGoes: true,
		},
		"the progress row is missing": {
			breakIt: func(p *pair) { p.sql("delete from partition_progress where partition = 0") },
			why:     "the partition has no progress row", otherGoes: true,
		},
		"partitions were added": {
			breakIt: func(p *pair) { p.kafka.AddPartitions(p.t, topicName, 4) },
			why:     "4 partitions instead of 2",
		},
		"a record in a newer version": {
			breakIt: func(p *pair) {
				newer := p.record(p.charge(p.wallets[0], "newer"))
				newer.Value = inVersion(newer.Value, record.Version+1)
				p.produce(0, newer)
			},
			why: fmt.Sprintf("the record at offset 1 is in version %d of the wire format", record.Version+1), otherGoes: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			c.breakIt(p)
			processor := p.processor()
			processor.await(`monedero_kafka_partition_halted{partition="0"} 1`)
			if log := processor.output(); !strings.Contains(log, c.why) {
				t.Errorf("the log does not say %q", c.why)
			}
			if !c.otherGoes {
				return
			}
			id, err := p.shop.till.charge(t.Context(), p.wallets[1].String(), "beside", 1)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
				t.Errorf("a charge in the other partition is %s, %v", o.Status, err)
			}
		})
	}
}

// TestAnotherClusterIsRefused points the services at a broker that has a topic of
// the same name and size.
func TestAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	other := kafkatest.Start(t)
	other.Create(t, topicName, 2)
	env, till := p.env, p.shop.till
	p.env = append(env[:len(env):len(env)], "KAFKA_BROKERS="+strings.Join(other.Brokers, ","))
	wrong := p.processor()
	wrong.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	ingest, operator := p.startIngest() // which will not be ready
	p.shop.till = operator.as(till.key)
	p.awaitUnavailable()
	ingest.terminate()
	wrong.terminate()
	p.env, p.shop.till = env, till
	p.processor()
	for i := range p.wallets {
		p.goesOn(i)
	}
	p.monedero("verify")
}

// TestTheRightClusterIsBack has another cluster answer at the address of the right
// one for a while. Nothing is to be done about it but to bring the right one back.
func TestTheRightClusterIsBack(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	settler := p.processor()
	p.goesOn(0)
	p.kafka.Kill()
	back := p.kafka.Replace(t)
	p.kafka.Create(t, topicName, 2)
	settler.await(`monedero_kafka_partition_halted{partition="0"} 1`)
	settler.awaitOutput("Kafka is not what the database knows: cluster")
	p.awaitUnavailable()
	if list, _ := p.partitions(); strings.Count(list, "Kafka is not what the database knows: cluster") != 2 {
		t.Errorf("monedero partitions does not say so:\n%s", list)
	}
	p.refusesToSet("--offset", "0", "--new-log")
	p.kafka.Kill()
	back()
	settler.await(`monedero_kafka_partition_halted{partition="0"} 0`)
	p.goesOn(1)
	p.nothingPending()
	p.monedero("verify")
}

// TestPartitionsAddedStopIngest: a wallet's records must not go elsewhere.
func TestPartitionsAddedStopIngest(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.kafka.AddPartitions(t, topicName, 4)
	p.awaitUnavailable()
}

// awaitUnavailable submits charges until they are answered 503.
func (p *pair) awaitUnavailable() {
	p.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for {
		status, o, err := p.shop.till.submit(p.t.Context(), p.wallets[0].String(), "k", 1)
		if err == nil && status == http.StatusServiceUnavailable && o.RetryAfter != "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("a charge: %d %s, %v", status, o.Code, err)
		}
		p.must(pause(p.t.Context()))
	}
}
