package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/raise_history.sql
	raiseHistorySQL string
	//go:embed queries/release_progress.sql
	releaseProgressSQL string
)

// ErrNotAsShown says that a progress is not where it was when a person decided about
// it. Nothing was changed.
var ErrNotAsShown = errors.New("the progress is not as it was shown: look again")

// Restored is a partition whose progress stands behind what is known of it outside of
// the database.
type Restored struct {
	Partition int
	Known     processor.Memory
	Found     processor.Memory
	UpdatedAt time.Time // when the progress was settled or claimed last
}

// Again is how many offsets are settled again; negative where nobody knows, because
// the log or the progress was set anew since.
func (r Restored) Again() int64 {
	if r.Known.Log != r.Found.Log || r.Known.NextOffset < r.Found.NextOffset {
		return -1
	}
	return r.Known.NextOffset - r.Found.NextOffset
}

// Recovery is what a person decides to recover, and why.
type Recovery struct {
	Partitions []Restored
	History    int32 // the highest that is known outside of the database
	By, Reason string
}

// Restored compares every progress with what is known of it, by partition. It claims
// and locks nothing.
func (s *Store) Restored(ctx context.Context, known map[int]processor.Memory) (Recovery, error) {
	progress, err := s.Progress(ctx)
	if err != nil {
		return Recovery{}, err
	}
	var r Recovery
	for _, p := range progress {
		k, now := known[p.Claim.Partition], p.Claim.Memory()
		r.History = max(r.History, k.History)
		if now.Behind(k) {
			r.Partitions = append(r.Partitions, Restored{Partition: p.Claim.Partition, Known: k, Found: now, UpdatedAt: p.UpdatedAt})
		}
	}
	return r, nil
}

// Recover lets the partitions go on from where their progress stands, and begins
// another history, in one transaction; it returns the number of the history. It fails
// with [ErrNotAsShown] where a progress was claimed or moved since it was looked at, and
// changes nothing then. Where the answer to the commit is lost, a second look tells. It
// is run by the owner of the schema.
func Recover(ctx context.Context, url string, r Recovery) (history int32, err error) {
	conn, err := connectOwner(ctx, url, "recover")
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local lock_timeout = '30s'"); err != nil {
			return err
		}
		var before int32
		if err := tx.QueryRow(ctx, raiseHistorySQL, r.History).Scan(&before, &history); err != nil {
			return fmt.Errorf("raise history: %w", err)
		}
		if err := recordDeploymentChange(ctx, tx, "history", before, history, r.By, r.Reason); err != nil {
			return err
		}
		// In the order in which everybody locks them.
		slices.SortFunc(r.Partitions, func(a, b Restored) int { return a.Partition - b.Partition })
		for _, p := range r.Partitions {
			if err := p.release(ctx, tx, r); err != nil {
				return fmt.Errorf("partition %d: %w", p.Partition, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("recover: %w", err)
	}
	return history, nil
}

func (r Restored) release(ctx context.Context, tx pgx.Tx, by Recovery) error {
	at, epoch := r.Found, nextEpoch(max(r.Found.Epoch, r.Known.Epoch))
	released, err := tx.Exec(ctx, releaseProgressSQL, r.Partition, epoch, at.Log, at.Epoch, at.MovedEpoch, at.NextOffset)
	if err != nil {
		return fmt.Errorf("release progress: %w", err)
	}
	if released.RowsAffected() == 0 {
		return ErrNotAsShown
	}
	stays := ledger.Place{Log: at.Log, Offset: at.NextOffset}
	return recordProgressSet(ctx, tx, r.Partition, Moved{From: stays, To: stays, Epoch: epoch}, ledger.Person(by.By, by.Reason))
}
