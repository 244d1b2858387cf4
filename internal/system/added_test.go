package system

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// TestPartitionsAddedWhileAnIngestRestarts adds partitions to the topic while one
// ingest is away and another one is under load. No ingest takes anything from then
// on; what they took lies where it belongs; and a person can lead the partitions out
// without losing any of it.
func TestPartitionsAddedWhileAnIngestRestarts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	away, operator := p.ingest()
	address := strings.TrimPrefix(operator.base, "http://")
	c := p.startCallers(p.shop.till, operator.as(p.shop.till.key))
	awaitThat(t, "there is something in the log", func() bool { return len(c.all()) >= 20 })
	away.kill()
	p.kafka.AddPartitions(t, topicName, 4)
	back := p.ingestAt(address)
	refused := *p
	refused.shop = &shop{till: operator.as(p.shop.till.key)}
	refused.awaitUnavailable()
	p.awaitUnavailable()
	c.stop()
	if back.ready() {
		t.Error("an ingest that was started with the wrong number of partitions is ready")
	}
	p.logHolds(c.all())

	settler := p.processor()
	for i := range p.wallets {
		settler.await(fmt.Sprintf(`monedero_kafka_partition_halted{partition="%d"} 1`, i))
	}
	const why = "topic charges.requested has 4 partitions instead of 2: some were added, and Kafka takes none away: " +
		"it has to be made anew with 2 (docs/playbooks)"
	settler.awaitOutput(why)
	if list, _ := p.partitions(); strings.Count(list, why) != 2 || strings.Contains(list, "?") {
		t.Errorf("monedero partitions does not say %q:\n%s", why, list)
	}
	// What is pending gets its outcome first: with the topic it would be gone.
	for i := range p.wallets {
		_, _, end := p.logOf(i)
		p.refusesToSet("--partition", fmt.Sprint(i), "--offset", fmt.Sprint(end), "--new-log")
		p.setProgress("--partition", fmt.Sprint(i), "--offset", fmt.Sprint(end))
	}
	p.kafka.DeleteTopic(t, topicName)
	awaitThat(t, "the topic can be made anew", func() bool {
		_, err := built.run(t, p.env, "monedero", "topics", "create", "--partitions", "2")
		return err == nil
	})
	for i := range p.wallets {
		p.setProgress("--partition", fmt.Sprint(i), "--offset", "0", "--new-log")
	}
	for i := range p.wallets {
		settler.await(fmt.Sprintf(`monedero_kafka_partition_halted{partition="%d"} 0`, i))
	}
	back.waitReady()
	for i := range p.wallets {
		p.goesOn(i)
	}
	for _, id := range c.all() {
		o, err := p.shop.till.outcome(t.Context(), id)
		if err != nil || o.Failure.Reason != "processing_error" {
			t.Errorf("the charge %s is %s %s, %v", id, o.Status, o.Failure.Reason, err)
		}
	}
	letter := strings.Fields(strings.Split(p.monedero("dead-letters", "list"), "\n")[1])
	said := p.monedero("dead-letters", "resubmit", "--at", letter[0], "--key", "once more")
	for _, word := range strings.Fields(said) {
		if id, is := strings.CutPrefix(word, "op_"); is {
			if o, err := p.shop.till.outcome(t.Context(), "op_"+strings.Trim(id, ",.")); err != nil || o.Status != "accepted" {
				t.Errorf("the charge that was submitted again is %s, %v", o.Status, err)
			}
		}
	}
	p.monedero("verify")
}

// callers charge both wallets through several ingests, one after the other.
type callers struct {
	stop func()

	mu  sync.Mutex
	ids []string // answered 202
}

// most is how many charges of a caller its wallet has money for.
const most = 20

func (p *pair) startCallers(tills ...*api) *callers {
	c, over := &callers{}, make(chan struct{})
	var group sync.WaitGroup
	for i, till := range tills {
		for w, wallet := range p.wallets {
			group.Go(func() {
				for n := 0; n < most; {
					status, o, err := till.submit(p.t.Context(), wallet.String(), fmt.Sprint("caller ", i, w, n), 1)
					if err == nil && status == 202 {
						c.took(o.ID)
						n++
					}
					select {
					case <-over:
						return
					default:
						_ = pause(p.t.Context())
					}
				}
			})
		}
	}
	c.stop = sync.OnceFunc(func() {
		close(over)
		group.Wait()
	})
	p.t.Cleanup(c.stop)
	return c
}

func (c *callers) took(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, id)
}

func (c *callers) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ids)
}

// logHolds wants the operations in the log, each record in its wallet's partition,
// and nothing in the partitions that were added.
func (p *pair) logHolds(ids []string) {
	p.t.Helper()
	found := map[string]bool{}
	for i := range p.wallets {
		for _, item := range p.items(i) {
			if item.Refusal == nil {
				p.t.Errorf("partition %d, offset %d: %s", i, item.Record.Offset, item.Fault)
				continue
			}
			found[item.Refusal.ID.String()] = true
		}
	}
	for _, id := range ids {
		if !found[id] {
			p.t.Errorf("the charge %s was answered 202 and is not in the log", id)
		}
	}
	for i := len(p.wallets); i < 4; i++ {
		if _, end, err := p.kafka.Client(p.t).Offsets(p.t.Context(), topicName, i); err != nil || end != 0 {
			p.t.Errorf("partition %d, which was added, ends at %d, %v", i, end, err)
		}
	}
}

// logOf is the log of a partition in Kafka, and its bounds.
func (p *pair) logOf(partition int) (log *kafka.PartitionLog, start, end int64) {
	p.t.Helper()
	topic, err := p.kafka.Client(p.t).Describe(p.t.Context(), topicName)
	p.must(err)
	log = kafka.NewPartitionLog(p.kafka.Client(p.t), topic, partition, processor.NewSkipper(record.Decode, p.minter))
	start, end, err = log.Bounds(p.t.Context())
	p.must(err)
	return log, start, end
}

// items are the records that are in the log of a partition, as they would be passed
// over.
func (p *pair) items(partition int) (items []processor.Item) {
	p.t.Helper()
	log, from, end := p.logOf(partition)
	for from < end {
		slice, _, err := log.Skip(p.t.Context(), processor.Claim{Partition: partition, Partitions: 2}, from, end)
		p.must(err)
		items, from = append(items, slice.Items...), slice.To
	}
	return items
}
