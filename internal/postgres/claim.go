package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/processor"
)

//go:embed queries/claim.sql
var claimSQL string

// Claim raises the partition's epoch: from then on no settle under an earlier
// one commits. It waits for a settle that is committing, and ends the session
// of one whose process has stopped.
func (s *Store) Claim(ctx context.Context, topic string, partition int) (processor.Claim, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return processor.Claim{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.watch(ctx, conn.Conn())()

	c := processor.Claim{Topic: topic, Partition: partition}
	var hash []byte
	err = conn.QueryRow(ctx, claimSQL, partition, topic, s.owner).
		Scan(&c.Log, &c.Epoch, &c.NextOffset, &hash, &c.Partitions, &c.ClusterID)
	if errors.Is(err, pgx.ErrNoRows) {
		return processor.Claim{}, fmt.Errorf("claim partition %d of %q: %w", partition, topic, processor.ErrNoProgress)
	}
	if err != nil {
		return processor.Claim{}, fmt.Errorf("claim partition: %w", err)
	}
	if hash != nil {
		c.LastRecord = (*processor.RecordHash)(hash)
	}
	return c, nil
}
