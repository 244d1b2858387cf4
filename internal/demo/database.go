package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// dropTimeout bounds the removal of a database of our own.
const dropTimeout = 10 * time.Second

// createDatabase makes an empty database of a new name on the server that the
// URL leads to, and returns the URL of it and how to remove it. A database
// remembers its Kafka, so that one that is to outlive the demo is not lent to it.
func createDatabase(ctx context.Context, server string) (string, func() error, error) {
	target, err := url.Parse(server)
	if err != nil || target.Host == "" {
		return "", nil, errors.New("create a database of our own: DATABASE_URL must be a URL (postgres://...)")
	}
	name := "monedero_demo_" + strings.ToLower(rand.Text())
	if err := execOn(ctx, server, "create database "+name); err != nil {
		return "", nil, fmt.Errorf("create a database of our own: %w", err)
	}
	target.Path = "/" + name
	drop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		if err := execOn(ctx, server, "drop database "+name+" with (force)"); err != nil {
			return fmt.Errorf("remove database %s: %w", name, err)
		}
		return nil
	}
	return target.String(), drop, nil
}

func execOn(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// deadLetters is how many records were set aside so far, in all partitions.
func (s *stage) deadLetters(ctx context.Context) (n int64, err error) {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	// In dead_letters are also the payloads of refused operations; those have an
	// operation beside them.
	err = conn.QueryRow(ctx, "select count(*) from dead_letters where operation_id is null").Scan(&n)
	if err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}
