package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/repair"
)

var (
	//go:embed queries/raise_history.sql
	raiseHistorySQL string
	//go:embed queries/release_progress.sql
	releaseProgressSQL string
)

// Recover lets the partitions go on from where their progress stands, and begins
// another history, in one transaction; it returns the number of the history. It fails
// with [repair.ErrNotAsShown] where a progress was claimed or moved since it was looked
// at, and changes nothing then. Where the answer to the commit is lost, a second look
// tells. It is run by the owner of the schema.
func Recover(ctx context.Context, url string, r repair.Recovery) (history int32, err error) {
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
		slices.SortFunc(r.Partitions, func(a, b repair.Restored) int { return a.Partition - b.Partition })
		for _, p := range r.Partitions {
			if err := release(ctx, tx, p, ledger.Person(r.By, r.Reason)); err != nil {
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

// release lets one partition go on from where it stands.
func release(ctx context.Context, tx pgx.Tx, r repair.Restored, by ledger.Author) error {
	at, epoch := r.Found, r.Epoch()
	goal := pgtype.Int8{}
	err := tx.QueryRow(ctx, releaseProgressSQL, r.Partition, epoch, at.Log, at.Epoch, at.MovedEpoch, at.NextOffset).Scan(&goal)
	if errors.Is(err, pgx.ErrNoRows) {
		return repair.ErrNotAsShown
	}
	if err != nil {
		return fmt.Errorf("release progress: %w", err)
	}
	if !goal.Valid {
		goal.Int64 = at.NextOffset
	}
	stays := ledger.Place{Log: at.Log, Offset: at.NextOffset}
	return recordProgressSet(ctx, tx, r.Partition, repair.Moved{From: stays, To: stays, Epoch: epoch}, goal.Int64, by)
}
