package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Limits of starting and stopping a Postgres.
const (
	// startTimeout covers recovery after a crash with a full max_wal_size.
	startTimeout = 2 * time.Minute
	// fastStopTimeout covers the checkpoint of an orderly shutdown.
	fastStopTimeout = 30 * time.Second
	// quickStopTimeout covers a shutdown without a checkpoint.
	quickStopTimeout = 10 * time.Second
	// connectTimeout is for one attempt to connect.
	connectTimeout = 5 * time.Second
	// connectPause is between two attempts.
	connectPause = 20 * time.Millisecond
)

const superuser = "postgres"

// PostgresOptions say which Postgres StartPostgres is to start. The zero value is
// one in a temporary folder.
type PostgresOptions struct {
	// URL of a Postgres that runs already, usually what the environment calls
	// DATABASE_URL. If it is not empty, nothing is started and nothing stopped.
	URL string
	// Dir keeps the data, the superuser's password and Postgres's own log
	// (postgres.log) from run to run. If it is empty, a temporary folder is used
	// and removed by Stop. When we are root, Postgres runs as the owner of the
	// data that is there, else as the user postgres or nobody, and is given the
	// folder; it is an error if that user cannot reach it.
	Dir string
	// Port on 127.0.0.1; 0: a free one, another one at each start.
	Port int
	// Settings of the server, as in postgresql.conf, instead of our defaults.
	Settings map[string]string
	// Log gets a few lines; nil: none.
	Log *slog.Logger
}

// Postgres is a running Postgres, ours or somebody else's.
type Postgres struct {
	url    string
	source string
	server *process // nil: not ours
	lock   *lock
	remove string // folder to remove at the end
	stop   func() error
}

// StartPostgres starts a Postgres, or connects to the one at o.URL, and returns
// when it answers. Programs are taken from PATH, else from where packages put
// them, else downloaded; data that is kept is opened only by programs of its own
// major version. What was committed survives kill -9 of this process, of Postgres
// and of the machine. On Linux the server ends with this process, however that
// ends. ctx is for the start only; Stop ends the server.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if o.URL != "" {
		if err := tryConnect(ctx, o.URL); err != nil {
			return nil, fmt.Errorf("connect to the given postgres: %w", err)
		}
		return &Postgres{url: o.URL, source: "DATABASE_URL", stop: func() error { return nil }}, nil
	}
	return startOwn(ctx, o)
}

// URL connects as the superuser to the database postgres (for a given one: as it
// was given). It holds the password: do not print it.
func (p *Postgres) URL() string { return p.url }

// Source says for people which Postgres this is.
func (p *Postgres) Source() string { return p.source }

// Stop shuts the server down in order and waits until it has ended; if that takes
// too long, it ends it without a checkpoint and says so; it also says so if the
// server had failed before. A temporary folder is removed. A second call does
// nothing and returns the same. A Postgres that is not ours is left alone.
func (p *Postgres) Stop() error { return p.stop() }

func startOwn(ctx context.Context, o PostgresOptions) (_ *Postgres, err error) {
	p := &Postgres{}
	p.stop = sync.OnceValue(p.stopOwn)
	defer func() {
		if err != nil {
			_ = p.Stop() // the first error is the one to tell
		}
	}()
	dir, user, err := p.takeFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, user: user, temporary: o.Dir == "", port: o.Port, settings: o.Settings, log: o.Log}
	if c.bin, err = c.chooseBinaries(ctx); err != nil {
		return nil, err
	}
	if err := c.initialize(ctx); err != nil {
		return nil, err
	}
	if p.server, p.url, err = c.serve(ctx); err != nil {
		return nil, err
	}
	p.source = c.bin.source
	o.Log.Info("postgres started", "source", p.source, "dir", dir)
	return p, nil
}

// takeFolder makes the folder, or a temporary one, locks it, and gives it to the
// user that Postgres is to run as.
func (p *Postgres) takeFolder(given string) (dir string, user *unprivileged, err error) {
	if given == "" {
		if dir, user, err = temporaryFolder(); err != nil {
			return "", nil, err
		}
		p.remove = dir
	} else {
		if dir, err = filepath.Abs(given); err != nil {
			return "", nil, fmt.Errorf("find folder: %w", err)
		}
		if err := makeFolder(dir, 0o700); err != nil {
			return "", nil, err
		}
		if user, err = unprivilegedFor(dir); err != nil {
			return "", nil, err
		}
		if err := user.reach(dir); err != nil {
			return "", nil, err
		}
	}
	if p.lock, err = lockDir(dir); err != nil {
		return "", nil, err
	}
	if err := user.own(dir); err != nil {
		return "", nil, fmt.Errorf("give folder to user %s: %w", user.name, err)
	}
	return dir, user, nil
}

// temporaryFolder is made where the system wants it, or, if the user that
// Postgres runs as cannot reach that, in one of the places open to all.
func temporaryFolder() (string, *unprivileged, error) {
	user, err := unprivilegedFor("")
	if err != nil {
		return "", nil, err
	}
	var faults []error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		dir, err := os.MkdirTemp(parent, "monedero-postgres-*")
		if err == nil {
			if dir, err = filepath.Abs(dir); err == nil {
				err = user.reach(dir)
			}
			if err == nil {
				return dir, user, nil
			}
			_ = os.Remove(dir)
		}
		faults = append(faults, err)
	}
	return "", nil, fmt.Errorf("make temporary folder: %w", errors.Join(faults...))
}

// wait blocks until ctx ends, or until a server of ours ends by itself.
func (p *Postgres) wait(ctx context.Context) error {
	var ended chan struct{} // of a server that is not ours: never
	if p.server != nil {
		ended = p.server.done
	}
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return fmt.Errorf("postgres ended by itself: %w", cmp.Or(p.server.err, errEnded))
	}
}

var errEnded = errors.New("in order, as if asked to")

func (p *Postgres) stopOwn() error {
	var faults []error
	if p.server != nil {
		faults = append(faults, p.server.shutDown())
	}
	if p.remove != "" {
		faults = append(faults, os.RemoveAll(p.remove))
	}
	if p.lock != nil {
		faults = append(faults, p.lock.release())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// shutDown ends the server: in order, else without a checkpoint, else by force.
func (p *process) shutDown() error {
	var late error
	for _, step := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{
		{syscall.SIGINT, fastStopTimeout},
		{syscall.SIGQUIT, quickStopTimeout},
	} {
		p.signal(step.signal)
		select {
		case <-p.done:
			return errors.Join(late, p.err)
		case <-time.After(step.timeout):
			late = fmt.Errorf("not ended %s after %s", step.timeout, step.signal)
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	return errors.Join(late, p.err)
}

// tryConnect connects once.
func tryConnect(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func loopbackURL(password string, port int) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// freePort is one that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
