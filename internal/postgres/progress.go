package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

//go:embed queries/progress.sql
var progressSQL string

// Progress lists the progress of every partition that has one, in order. It
// claims nothing.
func (s *Store) Progress(ctx context.Context) ([]processor.Progress, error) {
	rows, err := s.pool.Query(ctx, progressSQL)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p processor.Progress, err error) {
		c := &p.Claim
		c.Partitions, c.ClusterID = s.deployment.Partitions, s.deployment.ClusterID
		var hash []byte
		var halted pgtype.Timestamptz
		err = row.Scan(&c.Partition, &c.Topic, &c.Log, &c.FirstOffset, &c.NextOffset, &c.Epoch, &c.MovedEpoch, &p.Owner, &p.Settled,
			&p.Duplicates, &p.Conflicts, &p.Dead, &p.Gaps, &p.UpdatedAt, &hash, &halted, &c.Halt, &p.Goal)
		p.HaltedAt = utc(halted)
		c.LastRecord = recordHash(hash)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return list, nil
}

// recordHash is the hash on record; nil for null.
func recordHash(b []byte) *record.Hash {
	if b == nil {
		return nil
	}
	return (*record.Hash)(b)
}
