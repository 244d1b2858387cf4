package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed queries/changes.sql
	changesSQL string
	//go:embed queries/register_deployment_change.sql
	registerDeploymentChangeSQL string
)

// Change is something of the deployment, or the progress of a partition, that a person
// changed. It is never changed itself.
type Change struct {
	At       time.Time
	What     string
	From, To string
	By       string // who ran the command, and where
	Login    string // as whom the command logged in to the database
	Reason   string
}

// Changes are the newest changes that people made, the newest first.
func (s *Store) Changes(ctx context.Context, limit int) ([]Change, error) {
	rows, err := s.pool.Query(ctx, changesSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Change])
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	return list, nil
}

// recordDeploymentChange writes down what is changed of the deployment, in the
// transaction that changes it.
func recordDeploymentChange(ctx context.Context, tx pgx.Tx, what string, from, to any, by, reason string) error {
	if _, err := tx.Exec(ctx, registerDeploymentChangeSQL, what, fmt.Sprint(from), fmt.Sprint(to), by, reason); err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	return nil
}
