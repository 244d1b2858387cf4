package system

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedero/monedero/internal/devstack"
)

// TestPartitionsHaltWhoseStateCannotBeRight breaks what a processor relies on
// while it is away. When it is back, partition 0 must halt, say why, and settle
// nothing; and where only partition 0 was broken, partition 1 must go on.
func TestPartitionsHaltWhoseStateCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt   func(*pair)
		why       string // in the log
		otherGoes bool
	}{
		"the topic was made anew": {
			breakIt: func(h *pair) { h.recreateTopic() },
			why:     "the log ends at 0, before the next offset 1",
		},
		"the log was written over, and its length looks right": {
			breakIt: func(h *pair) {
				h.recreateTopic()
				for p := range int32(2) {
					h.produce(&kgo.Record{Partition: p, Value: []byte("another record")})
				}
			},
			why: "the log holds another record at offset 0 than was settled",
		},
		"retention passed the progress": {
			breakIt: func(h *pair) {
				h.produce(&kgo.Record{Partition: 0, Value: []byte("never settled")})
				h.deleteRecords(0, 2)
			},
			why: "the log starts at 2, after the next offset 1", otherGoes: true,
		},
		"the progress is beyond the end": {
			breakIt: func(h *pair) {
				h.sql("update partition_progress set next_offset = next_offset + 5, gaps = gaps + 5 where partition = 0")
			},
			why: "the log ends at 1, before the next offset 6", otherGoes: true,
		},
		"the progress row is missing": {
			breakIt: func(h *pair) { h.sql("delete from partition_progress where partition = 0") },
			why:     "the partition has no progress row", otherGoes: true,
		},
		"partitions were added": {
			breakIt: func(h *pair) { h.addPartitions(4) },
			why:     "4 partitions instead of 2",
		},
		"a record in a newer version": {
			breakIt: func(h *pair) {
				id, err := h.shop.till.charge(h.t.Context(), h.wallets[0], "newer", 1)
				if err != nil {
					h.t.Fatal(err)
				}
				newer := h.lastRecord(0)
				newer.Value = bytes.Replace(newer.Value, []byte(`"version":1`), []byte(`"version":2`), 1)
				h.produce(&kgo.Record{Partition: 0, Key: newer.Key, Value: newer.Value, Headers: newer.Headers})
				h.t.Logf("the same as %s, but newer", id)
			},
			why: "is in version 2 of the wire format", otherGoes: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newPair(t)
			c.breakIt(h)
			p := h.processor()
			p.await(`monedero_kafka_partition_halted{partition="0"} 1`)
			if log := p.output(); !strings.Contains(log, c.why) {
				t.Errorf("the log does not say %q", c.why)
			}
			if !c.otherGoes {
				return
			}
			id, err := h.shop.till.charge(t.Context(), h.wallets[1], "beside", 1)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := h.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
				t.Errorf("a charge in the other partition is %s, %v", o.Status, err)
			}
		})
	}
}

// TestAnotherClusterIsRefused points the services at a broker that has a topic of
// the same name and size.
func TestAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	h := newPair(t)
	other := startKafka(t, devstack.KafkaOptions{Dir: t.TempDir()})
	h.env = append(h.env, "KAFKA_BROKERS="+strings.Join(other.Brokers(), ","))
	h.admin = connect(t, other.Brokers())
	h.createTopic()
	h.processor().await(`monedero_kafka_partition_halted{partition="0"} 1`)
	_, operator := h.startIngest() // which will not be ready
	h.shop.till = operator.as(h.shop.till.key)
	h.awaitUnavailable()
}

// TestPartitionsAddedStopIngest: a wallet's records must not go elsewhere.
func TestPartitionsAddedStopIngest(t *testing.T) {
	t.Parallel()
	h := newPair(t)
	h.addPartitions(4)
	h.awaitUnavailable()
}

// awaitUnavailable submits charges until they are answered 503.
func (h *pair) awaitUnavailable() {
	h.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for {
		status, o, err := h.shop.till.submit(h.t.Context(), h.wallets[0], "k", 1)
		if err == nil && status == http.StatusServiceUnavailable && o.RetryAfter != "" {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("a charge: %d %s, %v", status, o.Code, err)
		}
		h.must(pause(h.t.Context()))
	}
}
