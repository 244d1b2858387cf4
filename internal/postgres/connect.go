package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrUnsafe says that Postgres, or what stands before it, would not keep what it
// confirms, or does not give a session what it asks for. To try again does not help.
var ErrUnsafe = errors.New("postgres is not set up as Monedero needs it")

// schemaName is where the tables are: the statements name none.
const schemaName = "public"

// The defaults of parameters of the URL, or of their variables.
var urlDefaults = []struct{ parameter, variable, value string }{ //nolint:gochecknoglobals // never changed
	{"connect_timeout", "PGCONNECT_TIMEOUT", "3"},                  // seconds, for each address
	{"target_session_attrs", "PGTARGETSESSIONATTRS", "read-write"}, // neither a standby nor a primary that refuses writes
}

// withDefaults adds to the URL what it leaves open.
func withDefaults(text string) string {
	_, query, found := strings.Cut(text, "?")
	given, err := url.ParseQuery(query)
	if err != nil || given.Has("service") {
		return text // it cannot be read, or another file says the rest
	}
	separator := "?"
	if found {
		separator = "&"
	}
	for _, d := range urlDefaults {
		if !given.Has(d.parameter) && os.Getenv(d.variable) == "" {
			text += separator + d.parameter + "=" + d.value
			separator = "&"
		}
	}
	return text
}

// sessions says how connections are to be. What they set is set once they are
// open, in one round trip, and not by parameters of the start: a pooler refuses
// those, or drops them without a word.
type sessions struct {
	application string            // what pg_stat_activity shows, behind applicationPrefix
	role        string            // to work as; empty: as who logged in
	settings    map[string]string // of Postgres
	log         *slog.Logger
}

// pool opens a pool of such sessions. It connects when it is first used.
func (s sessions) pool(ctx context.Context, url string, tune func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(withDefaults(url))
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", withoutPassword(err))
	}
	tune(config)
	s.configure(config.ConnConfig)
	recycler := recycler{log: s.log}
	recycler.watch(config.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	recycler.pool.Store(pool)
	return pool, nil
}

// config is of one such session.
func (s sessions) config(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(withDefaults(url))
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", withoutPassword(err))
	}
	s.configure(config)
	return config, nil
}

func (s sessions) configure(config *pgx.ConnConfig) {
	config.RuntimeParams["application_name"] = applicationPrefix + s.application
	sql := s.establishSQL()
	other := config.ValidateConnect // what target_session_attrs asks for
	// Not in AfterConnect: that would end neither with the connect timeout nor with
	// the next host of the URL.
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if other != nil {
			if err := other(ctx, conn); err != nil {
				return err
			}
		}
		return s.establish(ctx, conn, sql)
	}
}

// hosts are those that connections are tried to, in turn, as host:port.
func hosts(config *pgx.ConnConfig) []string {
	all := []string{net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	for _, f := range config.Fallbacks {
		all = append(all, net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))))
	}
	return slices.Compact(all)
}

//go:embed queries/session.sql
var sessionSQL string

// establishSQL is everything that is sent to a new session, at once.
func (s sessions) establishSQL() string {
	var sql strings.Builder
	for name, value := range s.settings {
		fmt.Fprintf(&sql, "set %s = '%s';", name, value)
	}
	if s.role != "" {
		fmt.Fprintf(&sql, "set role %s;", s.role)
	}
	return sql.String() + sessionSQL
}

// establish sets up a new session and looks whether it is as it must be.
func (s sessions) establish(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	rows := results[len(results)-1].Rows
	if len(rows) != 1 {
		return fmt.Errorf("set up the session: %d rows", len(rows))
	}
	found := make([]string, len(rows[0]))
	for i, value := range rows[0] {
		found[i] = string(value)
	}
	pid, role, schema, settings := found[0], found[1], found[2], found[3:]
	if s.role != "" && role != s.role {
		return fmt.Errorf("%w: the session works as %s, not as %s", ErrUnsafe, role, s.role)
	}
	if schema != schemaName {
		return fmt.Errorf("%w: the search_path leads %s to the schema %q, and the tables belong into %s: "+
			"take search_path out of the URL and of the settings of login and database", ErrUnsafe, role, schema, schemaName)
	}
	for i, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if settings[i] == "off" {
			return fmt.Errorf("%w: %s is off, so an outcome that was shown might not survive a crash: switch it on", ErrUnsafe, name)
		}
	}
	_, err = fmt.Sscan(pid, backendOf(conn))
	return err
}

// backendKey is where a connection keeps which backend serves it.
const backendKey = "backend"

// backendOf is the process ID of the backend that serves the connection, as the
// backend says it. What the start of the connection said is a pooler's own, where
// there is one.
func backendOf(conn *pgconn.PgConn) *int32 {
	pid, ok := conn.CustomData()[backendKey].(*int32)
	if !ok {
		pid = new(int32)
		conn.CustomData()[backendKey] = pid
	}
	return pid
}

// pooled reports whether a pooler stands between the connection and its backend.
func pooled(conn *pgconn.PgConn) bool { return uint32(*backendOf(conn)) != conn.PID() } //nolint:gosec // process IDs are positive

// recycler empties a pool once it turns out that a session of it is no good any
// more: its server refuses writes, or shuts down. The others were opened when it
// was, and would fail one after the other, or never; new ones are looked at before
// they are used.
type recycler struct {
	pool       atomic.Pointer[pgxpool.Pool]
	generation atomic.Int64 // how often it was emptied
	log        *slog.Logger
}

// generationKey is where a connection keeps the generation that it belongs to.
const generationKey = "generation"

// watch lets the recycler see every error that the server answers.
func (r *recycler) watch(config *pgx.ConnConfig) {
	validate, next := config.ValidateConnect, config.OnPgError
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[generationKey] = r.generation.Load()
		return validate(ctx, conn)
	}
	config.OnPgError = func(conn *pgconn.PgConn, e *pgconn.PgError) bool {
		if wrongSession(e.Code) {
			r.recycle(conn, e)
		}
		return next(conn, e)
	}
}

// recycle empties the pool, unless that was done since the connection was made.
func (r *recycler) recycle(conn *pgconn.PgConn, e *pgconn.PgError) {
	pool := r.pool.Load()
	generation, open := conn.CustomData()[generationKey].(int64)
	if pool == nil || !open || !r.generation.CompareAndSwap(generation, generation+1) {
		return
	}
	r.log.Warn("postgres changed: all connections are opened anew", "err", e)
	pool.Reset()
}
