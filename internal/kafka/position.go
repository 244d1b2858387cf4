package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/processor"
)

// commitEvery is how often positions are copied to Kafka.
const commitEvery = time.Second

// committed is the position of a partition that lives in Kafka, as a claimer: the
// offset committed to the group when the partition was assigned, and from then on
// what was acknowledged. Nothing fences it.
type committed struct {
	cluster *Cluster
	offset  int64 // negative: none was committed; the log's start
}

// Claim is the position. It knows nothing of cluster, size and records, and so
// only the bounds of the log are checked.
func (p *committed) Claim(ctx context.Context, topic string, partition int) (processor.Claim, error) {
	if p.offset < 0 {
		start, _, err := p.cluster.Offsets(ctx, topic, partition)
		if err != nil {
			return processor.Claim{}, err
		}
		p.offset = start
	}
	return processor.Claim{Topic: topic, Partition: partition, NextOffset: p.offset}, nil
}

// commits copies the positions of one generation to Kafka, all of them in one
// request, at most once a second and once at the end. A failure is only logged:
// after a lost connection every commit of the generation fails.
type commits struct {
	generation *kafkago.Generation
	topic      string
	log        *slog.Logger

	mu      sync.Mutex
	offsets map[int]int64 // acknowledged and not yet copied
}

func (c *commits) note(partition int, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offsets[partition] = offset
}

// run returns when ctx has ended and the partitions are done.
func (c *commits) run(ctx context.Context, partitions *sync.WaitGroup) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.flush()
		case <-ctx.Done():
			partitions.Wait()
			c.flush()
			return
		}
	}
}

func (c *commits) flush() {
	c.mu.Lock()
	offsets := c.offsets
	c.offsets = map[int]int64{}
	c.mu.Unlock()
	if len(offsets) == 0 {
		return
	}
	if err := c.generation.CommitOffsets(map[string]map[int]int64{c.topic: offsets}); err != nil {
		c.log.Debug("copy positions to Kafka", "err", err)
	}
}
