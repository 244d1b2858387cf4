package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/gather"
	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/processor"
)

// serviceRole is what services run as: it may append to the history, and not
// change it.
const serviceRole = "monedero_service"

// applicationPrefix begins the application_name of every service of ours.
const applicationPrefix = "monedero-"

const (
	defaultMaxConns   = 12
	directMaxConns    = 4                      // for direct operations alone
	connectRetry      = 200 * time.Millisecond // between attempts to reach the server
	saidEvery         = 30 * time.Second       // that it is still waited for
	unblockMaxConns   = 2                      // for looking after blocked statements
	unblockIdle       = 30 * time.Second
	directLockTimeout = 3 * time.Second
)

// Store is the database as the services use it. It is safe for concurrent use.
type Store struct {
	pool       *pgxpool.Pool
	direct     *pgxpool.Pool // for direct operations: no read may delay them; connects when needed
	lanes      sync.Map      // lane to a chan struct{} that holds the token of the one direct operation in it
	joints     joints
	unblockers *pgxpool.Pool // logged in without the service's role; connects when needed
	deployment Deployment
	owner      string
	now        func() time.Time
	log        *slog.Logger
	lists      turns
	reads      turns // besides lists
}

var (
	_ processor.Store   = (*Store)(nil)
	_ processor.Claimer = (*Store)(nil)
	_ processor.Holder  = (*Store)(nil)
	_ processor.Halts   = (*Store)(nil)
	_ ingest.History    = (*Store)(nil)
	_ ingest.Accounts   = (*Store)(nil)
	_ ingest.Registry   = (*Store)(nil)
	_ ingest.Direct     = (*Store)(nil)
	_ ingest.DryRuns    = (*Store)(nil)
)

// Options are the parts of a store that have defaults.
type Options struct {
	Application string           // the service's name; "service" by default
	Owner       string           // who claims partitions; host and process by default
	MaxConns    int              // 12 by default; besides these, direct operations have 4 and the looks at what blocks 2
	Now         func() time.Time // the time of decisions, for tests; that of the database by default
	Log         *slog.Logger     // nothing is logged by default
}

// Connect opens the store. It waits for the server until ctx ends, and fails at
// once where waiting would not help: wrong credentials, no such database,
// [ErrNotMigrated], [ErrSchema], [ErrUnsafe] or [ErrNoDeployment]. Afterwards the
// store gets along with a server that comes and goes.
func Connect(ctx context.Context, url string, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{joints: joints{queue: gather.Queue[*joining]{Every: jointEvery}}, owner: o.Owner, now: o.Now, log: o.Log, lists: make(turns, maxLists), reads: make(turns, maxReads)}
	var err error
	if s.pool, err = serviceSessions(o).pool(ctx, url, func(c *pgxpool.Config) { c.MaxConns = int32(o.MaxConns) }); err != nil {
		return nil, err
	}
	if s.direct, err = serviceSessions(o).pool(ctx, url, func(c *pgxpool.Config) {
		c.MinConns, c.MinIdleConns, c.MaxConns = 0, 0, directMaxConns
	}); err != nil {
		s.pool.Close()
		return nil, err
	}
	if s.unblockers, err = unblockSessions(o).pool(ctx, url, func(c *pgxpool.Config) {
		c.MinConns, c.MinIdleConns, c.MaxConns = 0, 0, unblockMaxConns
		c.MaxConnIdleTime = unblockIdle
	}); err != nil {
		s.pool.Close()
		s.direct.Close()
		return nil, err
	}
	if s.deployment, err = s.awaitDeployment(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close waits for the statements in flight and closes all connections.
func (s *Store) Close() {
	s.pool.Close()
	s.direct.Close()
	s.unblockers.Close()
}

// Stat is what the pool of connections does.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Owner is who claims partitions, as the progress names it.
func (s *Store) Owner() string { return s.owner }

// decisionTime is when what is decided now is decided: by the database's clock, which is
// one for all processors.
func (s *Store) decisionTime(database time.Time) time.Time {
	if s.now != nil {
		return s.now()
	}
	return database
}

// Known is the deployment that Connect read. It asks nobody, and it never changes.
func (s *Store) Known() Deployment { return s.deployment }

// awaitDeployment reads the deployment, as soon as there is a server to ask.
func (s *Store) awaitDeployment(ctx context.Context) (Deployment, error) {
	s.log.InfoContext(ctx, "connecting to postgres", "hosts", hosts(s.pool.Config().ConnConfig))
	var said time.Time
	var before error // why the attempts up to now failed
	for {
		d, err := s.look(ctx)
		switch {
		case err == nil:
			return d, nil
		case ctx.Err() != nil: // the end of the time says nothing of why it was not enough
			return d, errors.Join(err, before)
		case unmigrated(err):
			return d, fmt.Errorf("%w: %w", ErrNotMigrated, err)
		case !unreachable(err):
			return d, err
		}
		if time.Since(said) >= saidEvery {
			said = time.Now()
			s.log.WarnContext(ctx, "postgres does not answer yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return Deployment{}, errors.Join(ctx.Err(), err)
		case <-time.After(connectRetry):
		}
		before = err
	}
}

// look reads the deployment from a database that this program can work on.
func (s *Store) look(ctx context.Context) (Deployment, error) {
	if err := s.refuseSharedBackends(ctx); err != nil {
		return Deployment{}, err
	}
	if err := checkSchema(ctx, s.pool); err != nil {
		return Deployment{}, err
	}
	return s.Deployment(ctx)
}

// refuseSharedBackends fails with ErrUnsafe where a pooler stands before the server
// and gives a backend to another connection between two transactions: what a session
// has set is then anybody's.
func (s *Store) refuseSharedBackends(ctx context.Context) error {
	one, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer one.Release()
	if !pooled(one.Conn().PgConn()) {
		return nil
	}
	other, err := s.pool.Acquire(ctx) // while the first one is idle
	if err != nil {
		return err
	}
	defer other.Release()
	if *backendOf(one.Conn().PgConn()) == *backendOf(other.Conn().PgConn()) {
		return fmt.Errorf("%w: two sessions share one backend: a pooler must pool sessions (pool_mode = session), not transactions", ErrUnsafe)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Application == "" {
		o.Application = "service"
	}
	if o.Owner == "" {
		host, _ := os.Hostname()
		o.Owner = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func serviceSessions(o Options) sessions {
	set := map[string]string{
		// A client that is gone or stopped must not hold locks for long. Some of it
		// the server sees by itself; see unblock.go for the rest.
		"statement_timeout":                   "30s",
		"idle_in_transaction_session_timeout": "10s",
		// Plans are made once, maybe before the first row, so they must not hang on
		// what the planner believes about the size of tables.
		"plan_cache_mode": "force_generic_plan",
		"enable_seqscan":  "off",
		"jit":             "off",
	}
	noticeLostClients(set)
	return sessions{application: o.Application, role: serviceRole, settings: set, log: o.Log}
}

// noticeLostClients lets the server see soon that a client is gone, which keeps
// its locks until then.
func noticeLostClients(set map[string]string) {
	set["client_connection_check_interval"] = "1s"
	set["tcp_keepalives_idle"] = "10"
	set["tcp_keepalives_interval"] = "5"
	set["tcp_keepalives_count"] = "3"
}

// unblockSessions are without the service's role: whether one may end a session is
// asked of the current role, and the sessions to end belong to the user.
func unblockSessions(o Options) sessions {
	return sessions{application: o.Application + "-watch", settings: map[string]string{"statement_timeout": "5s"}, log: o.Log}
}

// withoutPassword keeps a URL that cannot be parsed out of logs.
func withoutPassword(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it is not a PostgreSQL connection string")
	}
	return err
}
