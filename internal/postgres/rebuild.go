package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/rebuild_lock.sql
	rebuildLockSQL string
	//go:embed queries/rebuild_wallets.sql
	rebuildWalletsSQL string
	//go:embed queries/rebuild_holds.sql
	rebuildHoldsText string
	//go:embed queries/rebuild_mandates.sql
	rebuildMandatesText string
	//go:embed queries/rebuild_balances.sql
	rebuildBalancesSQL string
	//go:embed queries/remake_position.sql
	remakePositionSQL string
)

// rebuildSettings allow for long statements, and keep the one for wallets, which
// goes by an index, from what the planner believes about the size of tables.
const rebuildSettings = "set local statement_timeout = 0; set local enable_seqscan = off; set local jit = off"

// Rebuilt counts what [Rebuild] made of one partition: all of it, and how much
// of that was not as the history has it.
type Rebuilt struct {
	Partition                 int
	Wallets, WalletsChanged   int64
	Balances, BalancesChanged int64
	Holds, HoldsChanged       int64 // open ones
	Mandates, MandatesChanged int64
}

// Rebuild makes the projections of the partitions anew from the history, in
// place, one transaction for each, and calls done after it. Meanwhile settles of
// that partition wait, and direct operations wait up to three seconds and then fail;
// readers see the old rows until the new ones are there. What was right already
// is not written. No partitions means all of them; it fails with
// [ErrNoPartition]. It is run by the owner of the schema.
func Rebuild(ctx context.Context, url string, partitions []int, done func(Rebuilt)) error {
	conn, err := connectOwner(ctx, url, "rebuild")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	d, err := scanDeployment(conn.QueryRow(ctx, deploymentSQL))
	if err != nil {
		return err
	}
	if err := d.Check(partitions...); err != nil {
		return err
	}
	if len(partitions) == 0 {
		for p := range d.Partitions {
			partitions = append(partitions, p)
		}
	}
	for _, p := range partitions {
		r := Rebuilt{Partition: p}
		if err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			return r.rebuild(ctx, tx)
		}); err != nil {
			return fmt.Errorf("rebuild partition %d: %w", p, err)
		}
		done(r)
	}
	return nil
}

// rebuild locks first: the statements after it see all that was committed before.
func (r *Rebuilt) rebuild(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Conn().PgConn().Exec(ctx, rebuildSettings).ReadAll(); err != nil {
		return fmt.Errorf("prepare to rebuild: %w", err)
	}
	var next int64
	if err := tx.QueryRow(ctx, rebuildLockSQL, r.Partition).Scan(&next); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return processor.ErrNoProgress
		}
		return fmt.Errorf("lock progress: %w", err)
	}
	if err := tx.QueryRow(ctx, rebuildHoldsSQL, r.Partition).Scan(&r.Holds, &r.HoldsChanged); err != nil {
		return fmt.Errorf("rebuild holds: %w", err)
	}
	if err := tx.QueryRow(ctx, rebuildWalletsSQL, r.Partition).Scan(&r.Wallets, &r.WalletsChanged); err != nil {
		return fmt.Errorf("rebuild wallets: %w", err)
	}
	if _, err := tx.Exec(ctx, "set local enable_seqscan = on"); err != nil {
		return fmt.Errorf("prepare to rebuild: %w", err)
	}
	if err := tx.QueryRow(ctx, rebuildMandatesSQL, r.Partition).Scan(&r.Mandates, &r.MandatesChanged); err != nil {
		return fmt.Errorf("rebuild mandates: %w", err)
	}
	if err := tx.QueryRow(ctx, rebuildBalancesSQL, r.Partition).Scan(&r.Balances, &r.BalancesChanged); err != nil {
		return fmt.Errorf("rebuild balances: %w", err)
	}
	if _, err := tx.Exec(ctx, remakePositionSQL, r.Partition); err != nil {
		return fmt.Errorf("rebuild the last position: %w", err)
	}
	return nil
}
