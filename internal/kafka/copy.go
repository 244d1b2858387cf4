package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/processor"
)

const (
	// copyEvery is how often what is known of the progress is copied to Kafka.
	copyEvery = time.Second
	// copyTimeout bounds the writing of a copy: a stop waits for the last one.
	copyTimeout = 2 * time.Second
	// copyRetry is between two attempts to read copies.
	copyRetry = 100 * time.Millisecond
)

// copies are the next offsets that the members of a group keep in Kafka, as its
// committed offsets, for one generation. Lag tools read the offset; beside it, as
// metadata, stands all that is known of the progress, so that whoever claims the
// partition next finds out whether the database was restored meanwhile.
type copies struct {
	cluster    *Cluster
	generation *kafkago.Generation
	topic      string
	log        *slog.Logger

	mu      sync.Mutex
	pending map[int]processor.Memory // not yet written

	writing sync.Mutex // one at a time, so that none overtakes another

	reading sync.Mutex
	found   map[int]processor.Memory // what was there when the generation began; nil: not yet read
}

func newCopies(c *Cluster, generation *kafkago.Generation, topic string, log *slog.Logger) *copies {
	return &copies{cluster: c, generation: generation, topic: topic, log: log, pending: map[int]processor.Memory{}}
}

// note has the memory written within copyEvery.
func (c *copies) note(partition int, m processor.Memory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[partition] = m
}

// run writes until ctx has ended and the partitions are done, all of them in one
// request, and once more at the end.
func (c *copies) run(ctx context.Context, partitions *sync.WaitGroup) {
	tick := time.NewTicker(copyEvery)
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

// flush writes what was noted. What Kafka does not take is kept for the next time.
func (c *copies) flush() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	pending := c.pending
	c.pending = map[int]processor.Memory{}
	c.mu.Unlock()
	if len(pending) == 0 {
		return
	}
	err := c.write(pending)
	if err == nil {
		return
	}
	c.log.Debug("copy positions to Kafka", "err", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for partition, m := range pending {
		if _, newer := c.pending[partition]; !newer {
			c.pending[partition] = m
		}
	}
}

func (c *copies) write(pending map[int]processor.Memory) error {
	ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
	defer cancel()
	commits := make([]kafkago.OffsetCommit, 0, len(pending))
	for partition, m := range pending {
		commits = append(commits, kafkago.OffsetCommit{Partition: partition, Offset: m.NextOffset, Metadata: encodeCopy(m)})
	}
	answer, err := c.cluster.client.OffsetCommit(ctx, &kafkago.OffsetCommitRequest{
		GroupID: c.generation.GroupID, GenerationID: int(c.generation.ID), MemberID: c.generation.MemberID,
		Topics: map[string][]kafkago.OffsetCommit{c.topic: commits},
	})
	if err != nil {
		return err
	}
	for _, p := range answer.Topics[c.topic] {
		if p.Error != nil {
			return fmt.Errorf("partition %d: %w", p.Partition, p.Error)
		}
	}
	return nil
}

// known is what the copy of a partition says; nothing where there is none. All are
// read at once: within a generation nobody else writes them.
func (c *copies) known(ctx context.Context, partition int) (processor.Memory, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.found == nil {
		var all []int
		for _, a := range c.generation.Assignments[c.topic] {
			all = append(all, a.ID)
		}
		found, err := c.cluster.Copies(ctx, c.generation.GroupID, c.topic, all)
		if err != nil {
			return processor.Memory{}, err
		}
		c.found = found
	}
	return c.found[partition], nil
}

// Copies are what a group's members left in Kafka of what they know of the progress
// of partitions: of those that have such a copy. It waits a little for a coordinator
// that is about to come.
func (c *Cluster) Copies(ctx context.Context, group, topic string, partitions []int) (map[int]processor.Memory, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	for {
		found, err := c.copies(ctx, group, topic, partitions)
		coming := errors.Is(err, kafkago.NotCoordinatorForGroup) || errors.Is(err, kafkago.GroupCoordinatorNotAvailable) ||
			errors.Is(err, kafkago.GroupLoadInProgress)
		if !coming || !sleep(ctx, copyRetry) {
			return found, err
		}
	}
}

func (c *Cluster) copies(ctx context.Context, group, topic string, partitions []int) (map[int]processor.Memory, error) {
	answer, err := c.client.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: partitions}})
	if err == nil {
		err = answer.Error
	}
	if errors.Is(err, kafkago.GroupIdNotFound) {
		return map[int]processor.Memory{}, nil // Apache's answer is that nothing is committed
	}
	if err != nil {
		return nil, fmt.Errorf("read the copies of the progress: %w", err)
	}
	found := map[int]processor.Memory{}
	for _, p := range answer.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("read the copy of the progress of partition %d: %w", p.Partition, p.Error)
		}
		if m, is := decodeCopy(p.CommittedOffset, p.Metadata); is {
			found[p.Partition] = m
		}
	}
	return found, nil
}

// copyText is a copy's metadata.
type copyText struct {
	History    int32 `json:"history"`
	Log        int32 `json:"log"`
	Epoch      int64 `json:"epoch"`
	MovedEpoch int64 `json:"moved_epoch"`
}

// encodeCopy is the metadata of a copy.
func encodeCopy(m processor.Memory) string {
	text, err := json.Marshal(copyText{History: m.History, Log: m.Log, Epoch: m.Epoch, MovedEpoch: m.MovedEpoch})
	if err != nil {
		panic("four numbers did not encode: " + err.Error()) // cannot happen
	}
	return string(text)
}

// decodeCopy reads a committed offset. One without metadata of ours was written by a
// lag tool, and says nothing of the progress.
func decodeCopy(offset int64, metadata string) (processor.Memory, bool) {
	var t copyText
	if err := json.Unmarshal([]byte(metadata), &t); err != nil || offset < 0 || t.Epoch <= 0 {
		return processor.Memory{}, false
	}
	return processor.Memory{History: t.History, Log: t.Log, Epoch: t.Epoch, MovedEpoch: t.MovedEpoch, NextOffset: offset}, true
}
