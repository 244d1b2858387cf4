package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/processor"
)

// TestPartitionsTellTheTruth: who owns a partition, that he is gone, what he halted for
// before he went, and who else is in the group.
func TestPartitionsTellTheTruth(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	list, ok := p.partitions()
	if ok || strings.Count(list, " (gone) ") != 2 || strings.Count(list, "no processor has it") != 2 {
		t.Errorf("without a processor:\n%s", list)
	}
	settler := p.processor()
	if list := p.awaitPartitions(""); strings.Count(list, "  ok") != 2 || strings.Contains(list, "gone") {
		t.Errorf("with a processor:\n%s", list)
	}
	settler.awaitOutput(`"partitions":[0,1]`)
	for i := range processor.FloodLimit + 1 {
		refused := p.record(p.charge(p.wallets[0], fmt.Sprint("refused ", i)))
		refused.Value = []byte(strings.Replace(string(refused.Value), `"amount":7`, `"amount":"7"`, 1))
		p.produce(0, refused)
	}
	const flood = "more than 10 processing errors"
	if list := p.awaitPartitions(flood); !strings.Contains(list, flood) || strings.Count(list, "  ok") != 1 {
		t.Errorf("after a flood:\n%s", list)
	}
	settler.awaitOutput("record set aside as a dead letter")
	settler.kill()
	list = p.awaitPartitions("(gone)")
	if !strings.Contains(list, "halted since") || !strings.Contains(list, flood+" within 1m0s, up to offset 12; no processor has it") {
		t.Errorf("with the owner gone:\n%s", list)
	}
	text, ok := p.partitions("-o", "json")
	var look struct {
		OK         bool
		Partitions []struct {
			Owned     bool
			OwnerGone bool `json:"owner_gone"`
			Halt      string
			Lag       int
			Wrong     []string
		}
	}
	if err := json.Unmarshal([]byte(text), &look); err != nil || ok || look.OK || len(look.Partitions) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	if first := look.Partitions[0]; first.Owned || !first.OwnerGone || !strings.Contains(first.Halt, flood) || len(first.Wrong) != 2 {
		t.Errorf("as JSON: %+v", first)
	}

	if out, err := built.run(t, p.env, "monedero", "partitions", "-o", "yaml"); err == nil {
		t.Error(out)
	}
}

// TestAForeignMemberIsSeen: somebody else in the processors' group takes partitions
// that nobody settles then.
func TestAForeignMemberIsSeen(t *testing.T) {
	t.Parallel()
	p := newPairOn(newStackWith(t, pgtest.New(t), kafkatest.Start(t), 2))
	foreign, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: "monedero-processor", Brokers: p.kafka.Brokers, Topics: []string{topicName},
	})
	p.must(err)
	t.Cleanup(func() { p.must(foreign.Close()) })
	go func() {
		for {
			if _, err := foreign.Next(t.Context()); errors.Is(err, kafkago.ErrGroupClosed) || t.Context().Err() != nil {
				return
			}
		}
	}()
	const why = "that is no processor of ours"
	if list := p.awaitPartitions(why); strings.Count(list, "the group gives it to a member "+why) != 2 ||
		!strings.Contains(list, "the group monedero-processor has a member "+why) {
		t.Errorf("with a foreign member:\n%s", list)
	}
}
