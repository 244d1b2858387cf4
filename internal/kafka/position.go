package kafka

import (
	"context"

	"github.com/monedero/monedero/internal/processor"
)

// committed is the position of a partition that lives in Kafka, as a claimer: the
// offset committed to the group when the partition was assigned, and from then on
// what was acknowledged. Nothing fences it.
type committed struct {
	cluster *Cluster
	offset  int64 // negative: none was committed; the log's start
}

// Claim is the position. It knows nothing of cluster, size and records, and so
// only the bounds of the log are checked.
func (p *committed) Claim(ctx context.Context, topic string, partition int, _ processor.Memory) (processor.Claim, error) {
	if p.offset < 0 {
		start, _, err := p.cluster.Offsets(ctx, topic, partition)
		if err != nil {
			return processor.Claim{}, err
		}
		p.offset = start
	}
	return processor.Claim{Topic: topic, Partition: partition, NextOffset: p.offset}, nil
}
