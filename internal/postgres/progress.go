package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

//go:embed queries/progress.sql
var progressSQL string

// Progress is how far a partition is settled, and what became of its offsets from
// FirstOffset on.
type Progress struct {
	Claim      processor.Claim // the last one, as if it were made now
	Owner      string          // who made it; empty: nobody since the progress was made or set
	Settled    int64
	Duplicates int64
	Conflicts  int64
	Dead       int64
	Gaps       int64
	UpdatedAt  time.Time
	HaltedAt   time.Time // when its owner noted a halt, whose cause is Claim.Halt; zero: none
}

// Progress lists the progress of every partition that has one, in order. It
// claims nothing.
func (s *Store) Progress(ctx context.Context) ([]Progress, error) {
	rows, err := s.pool.Query(ctx, progressSQL)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Progress, err error) {
		c := &p.Claim
		c.Partitions, c.ClusterID = s.deployment.Partitions, s.deployment.ClusterID
		var hash []byte
		var halted pgtype.Timestamptz
		err = row.Scan(&c.Partition, &c.Topic, &c.Log, &c.FirstOffset, &c.NextOffset, &c.Epoch, &c.MovedEpoch, &p.Owner, &p.Settled,
			&p.Duplicates, &p.Conflicts, &p.Dead, &p.Gaps, &p.UpdatedAt, &hash, &halted, &c.Halt)
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
