package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// ErrNoDeployment says that the database is not bound to a topic yet.
var ErrNoDeployment = errors.New("the database knows no topic: create it first")

// ErrSecret says that a service has another secret than the one the IDs on
// record were computed under.
var ErrSecret = errors.New("the secret is not the one that this database's operation IDs were computed under")

// ErrGroup says that the partitions belong to the processors of another consumer group.
var ErrGroup = errors.New("the database belongs to another consumer group (KAFKA_GROUP)")

// ErrNoPartition says that the topic has no such partition.
var ErrNoPartition = errors.New("the topic has no such partition")

// Deployment says which topic the database belongs to, and who may settle it. It
// changes by [BindGroup] and [BindCluster] alone.
type Deployment struct {
	Topic       string
	Partitions  int
	ClusterID   string // of the Kafka cluster
	Group       string // the consumer group of the processors
	SecretCheck []byte // see [ledger.Minter.CheckValue]
}

// CheckSecret fails with ErrSecret if the minter has another secret. A service
// must not start then: a retry would be a second charge.
func (d Deployment) CheckSecret(m *ledger.Minter) error {
	if !bytes.Equal(d.SecretCheck, m.CheckValue()) {
		return ErrSecret
	}
	return nil
}

// Check fails with ErrNoPartition if the topic lacks one of the partitions.
func (d Deployment) Check(partitions ...int) error {
	for _, p := range partitions {
		if p < 0 || p >= d.Partitions {
			return fmt.Errorf("partition %d: %w: it has %d", p, ErrNoPartition, d.Partitions)
		}
	}
	return nil
}

var (
	//go:embed queries/deployment.sql
	deploymentSQL string
	//go:embed queries/register_deployment.sql
	registerDeploymentSQL string
	//go:embed queries/bind_group.sql
	bindGroupSQL string
	//go:embed queries/missing_progress.sql
	missingProgressSQL string
	//go:embed queries/register_partitions.sql
	registerPartitionsSQL string
)

// Deployment reads which topic the database belongs to. It fails with
// ErrNoDeployment if there is none.
func (s *Store) Deployment(ctx context.Context) (Deployment, error) {
	return scanDeployment(s.pool.QueryRow(ctx, deploymentSQL))
}

// RegisterTopic binds the database to the topic and makes the progress of every
// partition, at offset 0, in one transaction. Called again with the same values it
// changes nothing and returns nil. It changes nothing either where it fails: with other
// values, with [ErrNotMigrated] where there is no schema, and with
// [processor.ErrNoProgress] where a progress was lost since (see [repair.SetProgress]).
// It is run by the schema's owner.
func RegisterTopic(ctx context.Context, url string, d Deployment) error {
	if !ledger.ValidPartitions(d.Partitions) {
		return fmt.Errorf("register topic: %d partitions: want a power of two up to %d", d.Partitions, ledger.Buckets)
	}
	conn, err := connectOwner(ctx, url, "topics")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		bound, err := tx.Exec(ctx, registerDeploymentSQL, d.Topic, d.Partitions, d.ClusterID, d.SecretCheck, d.Group)
		if err != nil {
			return fmt.Errorf("register topic: %w", err)
		}
		stored, err := scanDeployment(tx.QueryRow(ctx, deploymentSQL))
		if err != nil {
			return err
		}
		if err := stored.Matches(d); err != nil {
			return err
		}
		if bound.RowsAffected() == 0 {
			return complete(ctx, tx, d.Partitions)
		}
		if _, err := tx.Exec(ctx, registerPartitionsSQL, d.Topic, d.Partitions); err != nil {
			return fmt.Errorf("register partitions: %w", err)
		}
		return nil
	})
}

// complete fails with ErrNoProgress where a partition of a topic that was in use
// lacks its progress. To begin it at offset 0 of the first log under epoch 0 might
// be wrong in each of the three.
func complete(ctx context.Context, tx pgx.Tx, partitions int) error {
	rows, err := tx.Query(ctx, missingProgressSQL, partitions)
	if err != nil {
		return fmt.Errorf("look for missing progress: %w", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return fmt.Errorf("look for missing progress: %w", err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %v (it was there once: make it with monedero partitions set-progress)", processor.ErrNoProgress, missing)
	}
	return nil
}

// Matches says what of the deployment on record is not as wanted.
func (d Deployment) Matches(want Deployment) error {
	switch {
	case d.Topic != want.Topic:
		return fmt.Errorf("the database belongs to the topic %q, not to %q", d.Topic, want.Topic)
	case d.Partitions != want.Partitions:
		return fmt.Errorf("the database belongs to a topic of %d partitions, not of %d: their number never changes", d.Partitions, want.Partitions)
	case d.ClusterID != want.ClusterID:
		return fmt.Errorf("the database belongs to the cluster %q, and the brokers are of %q: docs/playbooks/another-cluster.md", d.ClusterID, want.ClusterID)
	case !bytes.Equal(d.SecretCheck, want.SecretCheck):
		return ErrSecret
	}
	return d.CheckGroup(want.Group)
}

// CheckGroup fails with ErrGroup if the processors' consumer group is another one. A
// processor must not start then: two groups would take every partition from each
// other for ever.
func (d Deployment) CheckGroup(group string) error {
	if d.Group != group {
		return fmt.Errorf("%w: it belongs to %s, not to %s", ErrGroup, d.Group, group)
	}
	return nil
}

// ErrProcessorsRun says that the consumer group stays as it is, since a processor is
// connected to the database.
var ErrProcessorsRun = errors.New("a processor is connected to the database: stop all of them first")

// BindGroup lets the processors share the partitions by another consumer group, and
// records who did so and why, in one transaction. It returns the group before. The
// progress of partitions stays: it does not depend on the group. It fails with
// [ErrProcessorsRun] where a processor is connected. It is run by the schema's owner.
func BindGroup(ctx context.Context, url, group, by, reason string) (before string, err error) {
	err = asOwner(ctx, url, "topics", func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			var running int
			switch err := tx.QueryRow(ctx, bindGroupSQL, group).Scan(&before, &running); {
			case errors.Is(err, pgx.ErrNoRows):
				return ErrNoDeployment
			case err != nil:
				return fmt.Errorf("bind the consumer group: %w", err)
			case running > 0:
				return ErrProcessorsRun
			case before == group:
				return nil
			}
			return recordDeploymentChange(ctx, tx, "consumer_group", before, group, by, reason)
		})
	})
	return before, err
}

func scanDeployment(row pgx.Row) (d Deployment, err error) {
	err = row.Scan(&d.Topic, &d.Partitions, &d.ClusterID, &d.SecretCheck, &d.Group)
	if errors.Is(err, pgx.ErrNoRows) {
		return Deployment{}, ErrNoDeployment
	}
	if err != nil {
		return Deployment{}, fmt.Errorf("read deployment: %w", err)
	}
	return d, nil
}

// connectOwner opens a connection as the user of the URL, without the service's
// role, to a database that this program can work on.
func connectOwner(ctx context.Context, url, application string) (*pgx.Conn, error) {
	// Services may not end a session of the owner that has stopped and holds a
	// partition: the server does. It is longer than Kafka is waited for between two
	// statements of set-progress.
	set := map[string]string{"idle_in_transaction_session_timeout": "30s"}
	noticeLostClients(set)
	config, err := sessions{application: application, settings: set}.config(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := checkSchema(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}
