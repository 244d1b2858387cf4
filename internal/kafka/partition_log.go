package kafka

import (
	"context"
	"errors"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// PartitionLog is the log of one partition as a person's tools read it: on demand,
// and belonging to no consumer group.
type PartitionLog struct {
	cluster   *Cluster
	topic     Topic
	partition int
	skipper   processor.Skipper
}

// NewPartitionLog is the log of a partition of the topic. What is passed over in it
// becomes what the skipper says.
func NewPartitionLog(c *Cluster, topic Topic, partition int, skipper processor.Skipper) *PartitionLog {
	return &PartitionLog{cluster: c, topic: topic, partition: partition, skipper: skipper}
}

// Bounds are the first offset of the log and the one that its next record will
// have. They fail with ErrMismatch where Kafka is not what the database knows; but
// not for partitions that were added, nor for settings: the log is what it was, and
// what is pending in it can get an outcome before they are mended.
func (l *PartitionLog) Bounds(ctx context.Context) (start, end int64, err error) {
	if err := l.cluster.Check(ctx, l.topic); err != nil && !errors.Is(err, errAdded) && !errors.Is(err, ErrSettings) {
		return 0, 0, err
	}
	return l.cluster.Offsets(ctx, l.topic.Name, l.partition)
}

// Hash is of the record at an offset that lies in the log; nil where none is there
// that can be read.
func (l *PartitionLog) Hash(ctx context.Context, offset int64) (*record.Hash, error) {
	source := &source{cluster: l.cluster, topic: l.topic.Name, partition: l.partition}
	defer source.close()
	found, err := source.some(ctx, offset)
	if err != nil || len(found.records) == 0 || found.records[0].Offset != offset {
		return nil, err
	}
	hash := found.records[0].Hash()
	return &hash, nil
}

// Skip reads what follows an offset that lies in the log: of one fetch (1 MiB, or
// one record) at most [ledger.MaxBatch] records, and none at or behind the end.
// Missing is how many offsets of the slice hold nothing, and no marker says why. What
// can be read of a broken batch is read: an ID that computes proves itself.
func (l *PartitionLog) Skip(ctx context.Context, c processor.Claim, from, end int64) (slice processor.Slice, missing int64, err error) {
	source := &source{cluster: l.cluster, topic: l.topic.Name, partition: l.partition, salvage: true}
	defer source.close()
	found, err := source.some(ctx, from)
	if err != nil {
		return processor.Slice{}, 0, err
	}
	slice = processor.Slice{From: from, To: min(found.to, end)}
	for _, r := range found.records {
		if r.Offset >= end {
			break
		}
		if len(slice.Items) == ledger.MaxBatch {
			slice.To = r.Offset
			break
		}
		slice.Items = append(slice.Items, l.skipper.Skip(r, c))
	}
	for _, h := range found.holes {
		missing += max(0, min(h.to, slice.To)-h.from)
	}
	return slice, missing, nil
}

// CheckClaim looks whether the partition's log is the one that the claim belongs to,
// and holds what comes next, as a processor does before it settles under it. It
// returns the end of the log, negative where that was not read, and as wrong why the
// processor would halt. An error means that it could not look. Where there is neither,
// the end was read.
func (c *Cluster) CheckClaim(ctx context.Context, claim processor.Claim) (end int64, wrong, err error) {
	l := openLog(c, claim, fetchBytes)
	defer l.close()
	l.end = -1
	if err = l.verify(ctx); err == nil && l.next < l.end {
		_, err = l.read(ctx)
	}
	var halt *haltError
	if errors.As(err, &halt) {
		if errors.Is(err, errAdded) {
			if _, end, err := c.Offsets(ctx, claim.Topic, claim.Partition); err == nil {
				l.end = end
			}
		}
		return l.end, err, nil
	}
	return l.end, nil, err
}
