package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

//go:embed history.sql
var historySQL string

const (
	// perWallet is how many operations of each wallet are stored.
	perWallet = 50
	// historyConns is how many connections store them.
	historyConns = 4
)

// historyOf is how many operations are stored before those of a world.
type historyOf struct {
	scale
	operations int
}

// history is a copy of the world's database with a history, a template, made when it is
// first asked for.
func (r *run) history(ctx context.Context, w *world, operations int) (*database, error) {
	of := historyOf{w.scale, operations}
	if d := r.histories[of]; d != nil {
		return d, nil
	}
	d, err := r.makeHistory(ctx, w, operations)
	if err != nil {
		return nil, fmt.Errorf("store %d operations: %w", operations, errors.Join(err, d.drop()))
	}
	r.histories[of] = d
	return d, nil
}

// makeHistory makes a copy of the world's database in which so many operations are stored
// before: charges with invoices, of the world's wallets and of many others, written
// in the order in which they would have come, through all indexes. Their digests
// are none: the checker would find that.
func (r *run) makeHistory(ctx context.Context, w *world, operations int) (d *database, err error) {
	began := time.Now()
	if d, err = r.copyOf(ctx, w.database.name); err != nil {
		return nil, err
	}
	wallets := max(operations/perWallet, w.scale.wallets)
	if err := r.withConn(ctx, d.url, func(conn *pgx.Conn) error { return w.register(ctx, conn, wallets) }); err != nil {
		return d, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for share := range historyConns {
		group.Go(func() error {
			return r.withConn(groupCtx, d.url, func(conn *pgx.Conn) error {
				for n := range operations / wallets {
					if _, err := conn.Exec(groupCtx, historySQL, n, historyConns, share, wallets, w.merchants); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return d, err
	}
	err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		for _, sql := range []string{
			`update wallets w set last_sequence = b.first_sequence + ` + fmt.Sprint(operations/wallets) + ` - 1
				from bench_wallets b where w.partition = b.partition and w.id = b.id`,
			"update partition_progress p set last_position = (select max(o.position) from operations o where o.partition = p.partition)",
			"drop table bench_wallets",
			"vacuum (analyze) operations",
			"checkpoint",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	r.options.Log.Info("history stored", "operations", operations, "took", time.Since(began).Round(time.Millisecond))
	return d, err
}

// register notes the world's wallets and others, which it opens, for history.sql.
func (w *world) register(ctx context.Context, conn *pgx.Conn, wallets int) error {
	if _, err := conn.Exec(ctx, `create unlogged table bench_wallets
		(n bigint, first_sequence bigint, partition int, bucket text, id uuid)`); err != nil {
		return err
	}
	var rows [][]any
	add := func(id ledger.WalletID, first int) {
		rows = append(rows, []any{
			int64(len(rows)), int64(first), int32(id.Partition(w.partitions)), fmt.Sprintf("%04x", id.Bucket()), [16]byte(id),
		})
	}
	for _, list := range w.wallets {
		for _, id := range list {
			add(id, 3) // after its opening and its first money
		}
	}
	own := len(rows)
	for len(rows) < wallets {
		add(newID(), 1)
	}
	columns := []string{"n", "first_sequence", "partition", "bucket", "id"}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"bench_wallets"}, columns, pgx.CopyFromRows(rows)); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, `insert into wallets
		(balance, last_sequence, opened_at, partition, id, client_id, currency, status, last_digest)
		select 0, 1, now(), partition, id, (select id from clients limit 1), 'EUR', 'active', sha256('')
		from bench_wallets where n >= $1`, own)
	return err
}
