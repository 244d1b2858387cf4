package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// dropTimeout bounds the removal of a database.
	dropTimeout = 30 * time.Second
	// leaveTimeout is for the sessions of a template to end.
	leaveTimeout = 10 * time.Second
	leavePause   = 50 * time.Millisecond
	// objectInUse is the SQLSTATE of a template that somebody is connected to.
	objectInUse = "55006"
)

// database is one that the run has made.
type database struct {
	run  *run
	name string
	url  string
	gone bool
}

// copyOf makes a database that begins as the template is; it is dropped at the end
// of the run at the latest. Files are copied between two checkpoints, so that each
// round begins right after one.
func (r *run) copyOf(ctx context.Context, template string) (*database, error) {
	target, err := url.Parse(r.server)
	if err != nil || target.Host == "" {
		return nil, errors.New("DATABASE_URL must be a URL: postgres://user:password@host:port/database")
	}
	d := &database{run: r, name: r.name()}
	target.Path = "/" + d.name
	d.url = target.String()
	for deadline := time.Now().Add(leaveTimeout); ; {
		err := r.exec(ctx, r.server, fmt.Sprintf("create database %s template %s strategy file_copy", d.name, template))
		if err == nil {
			break
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != objectInUse || time.Now().After(deadline) {
			return nil, fmt.Errorf("make database: %w", err)
		}
		if err := pause(ctx, leavePause); err != nil {
			return nil, err
		}
	}
	r.onClose(d.drop)
	return d, nil
}

// onCopy measures something with the world of that scale and a copy of its database,
// which is dropped afterwards.
func onCopy[T any](ctx context.Context, r *run, s scale, measure func(*world, *database) (T, error)) (found T, err error) {
	w, err := r.world(ctx, s)
	if err != nil {
		return found, err
	}
	d, err := r.copyOf(ctx, w.database.name)
	if err != nil {
		return found, err
	}
	found, err = measure(w, d)
	return found, errors.Join(err, d.drop())
}

// drop removes the database, and whoever is connected to it. A second call does
// nothing.
func (d *database) drop() error {
	if d == nil || d.gone {
		return nil
	}
	d.gone = true
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	if err := d.run.exec(ctx, d.run.server, "drop database "+d.name+" with (force)"); err != nil {
		return fmt.Errorf("remove database %s: %w", d.name, err)
	}
	return nil
}

// exec runs one statement on a connection of its own.
func (r *run) exec(ctx context.Context, address, statement string) error {
	return r.withConn(ctx, address, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

func (r *run) withConn(ctx context.Context, address string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
