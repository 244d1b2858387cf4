package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed queries/count_services.sql
	countServicesSQL string
	//go:embed queries/register_cluster.sql
	registerClusterSQL string
)

// ErrServed says that services are connected to the database.
var ErrServed = errors.New("services are connected to the database: stop every ingest and processor first; nothing was changed")

// ReadDeployment reads what the database belongs to, as its owner. It fails with
// [ErrNoDeployment] where that is nothing yet, and with [ErrNotMigrated] where there is no
// schema.
func ReadDeployment(ctx context.Context, url string) (d Deployment, err error) {
	err = asOwner(ctx, url, "topics", func(conn *pgx.Conn) error {
		d, err = scanDeployment(conn.QueryRow(ctx, deploymentSQL))
		return err
	})
	return d, err
}

// CheckNobodyServes fails with [ErrServed] while an ingest or a processor is connected.
func CheckNobodyServes(ctx context.Context, url string) error {
	return asOwner(ctx, url, "topics", func(conn *pgx.Conn) error { return nobodyServes(ctx, conn) })
}

// BindCluster lets the database belong to another cluster than before, and records who
// did so and why, in one transaction. It fails with [ErrServed] while an ingest or a
// processor is connected. It is run by the schema's owner.
func BindCluster(ctx context.Context, url, before, after, by, reason string) error {
	return asOwner(ctx, url, "topics", func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			changed, err := tx.Exec(ctx, registerClusterSQL, before, after)
			switch {
			case err != nil:
				return fmt.Errorf("bind the cluster: %w", err)
			case changed.RowsAffected() == 0:
				return errors.New("the database belongs to another cluster since a moment ago; nothing was changed")
			}
			if err := recordDeploymentChange(ctx, tx, "cluster_id", before, after, by, reason); err != nil {
				return err
			}
			return nobodyServes(ctx, tx)
		})
	})
}

func nobodyServes(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) error {
	var n int
	if err := q.QueryRow(ctx, countServicesSQL).Scan(&n); err != nil {
		return fmt.Errorf("look for services: %w", err)
	}
	if n > 0 {
		return ErrServed
	}
	return nil
}

// asOwner runs do on a connection as the owner.
func asOwner(ctx context.Context, url, application string, do func(*pgx.Conn) error) error {
	conn, err := connectOwner(ctx, url, application)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}
