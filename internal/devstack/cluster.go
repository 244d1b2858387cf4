package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of one start.
const (
	// retryPause is between two attempts to start the server.
	retryPause = 250 * time.Millisecond
	// strangerGrace is for a server whose port is taken, to end.
	strangerGrace = 2 * time.Second
	// maxLog is the size in bytes from which a start empties Postgres's log.
	maxLog = 10 << 20
	// maxTail is how much of Postgres's log an error shows, in bytes.
	maxTail = 2000
)

// cluster is a database cluster in a folder: the data, the superuser's password
// and the server's log.
type cluster struct {
	dir       string
	user      *unprivileged
	bin       binaries
	temporary bool
	port      int // 0: any
	settings  map[string]string
	log       *slog.Logger
}

func (c *cluster) data() string         { return filepath.Join(c.dir, "data") }
func (c *cluster) passwordFile() string { return filepath.Join(c.dir, "password") }
func (c *cluster) logFile() string      { return filepath.Join(c.dir, "postgres.log") }

// chooseBinaries finds programs that suit the data, if there is any.
func (c *cluster) chooseBinaries(ctx context.Context) (binaries, error) {
	want := 0
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	switch {
	case err == nil:
		if want, err = strconv.Atoi(strings.TrimSpace(string(version))); err != nil {
			return binaries{}, fmt.Errorf("read version of the data in %s: %w", c.dir, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return binaries{}, fmt.Errorf("read version of the data: %w", err)
	}
	if b, ok := findBinaries(ctx, c.user, want, inPath(), existing(usualPlaces())); ok {
		return b, nil
	}
	c.log.Info("no suitable postgres is installed, taking the download")
	b, err := downloadBinaries(ctx, c.user, want)
	if err != nil {
		suitable := fmt.Sprintf("%d or newer", oldestPostgres)
		if want != 0 {
			suitable = strconv.Itoa(want) + ", which made the data,"
		}
		return binaries{}, fmt.Errorf("no postgres %s is installed, and the download failed: %w; install it, or set DATABASE_URL", suitable, err)
	}
	return b, nil
}

// initialize makes the data unless it is there. The data gets its name last, so
// that there is either all of it or none.
func (c *cluster) initialize(ctx context.Context) error {
	if _, err := os.Stat(c.data()); err == nil {
		if _, err := os.Stat(c.passwordFile()); err != nil {
			return fmt.Errorf("find password of the data: %w", err)
		}
		return nil
	}
	if _, err := keptSecret(c.passwordFile()); err != nil {
		return err
	}
	unfinished := c.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove unfinished data: %w", err)
	}
	if err := c.user.own(c.dir); err != nil { // the password file, above all
		return fmt.Errorf("give folder to user %s: %w", c.user.name, err)
	}
	args := []string{
		"--pgdata", unfinished, "--username", superuser, "--pwfile", c.passwordFile(),
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
	}
	if c.temporary {
		args = append(args, "--no-sync") // of the empty database only
	}
	if out, err := command(ctx, c.user, c.dir, c.bin.path("initdb"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("run initdb: %w: %s", err, tail(out))
	}
	if err := os.Rename(unfinished, c.data()); err != nil {
		return fmt.Errorf("finish data: %w", err)
	}
	return syncDir(c.dir)
}

// serve starts the server and waits until it answers. It tries again as long as
// ctx allows when the port was taken meanwhile, or when the server of a run that
// was killed still holds the data.
func (c *cluster) serve(ctx context.Context) (*process, string, error) {
	password, err := keptSecret(c.passwordFile())
	if err != nil {
		return nil, "", err
	}
	if info, err := os.Stat(c.logFile()); err == nil && info.Size() > maxLog {
		if err := os.Truncate(c.logFile(), 0); err != nil {
			return nil, "", fmt.Errorf("empty log of postgres: %w", err)
		}
	}
	for told := false; ; told = true {
		p, url, err := c.attempt(ctx, password)
		var busy *busyError
		if !errors.As(err, &busy) {
			return p, url, err
		}
		if !told {
			c.log.Info("postgres cannot start yet", "err", err)
		}
		if busy.what == dataHeld {
			c.endOrphan(ctx, password)
		}
		if busy.what == portTaken && c.port != 0 {
			return nil, "", err
		}
		if pause(ctx, retryPause) != nil {
			return nil, "", err
		}
	}
}

func (c *cluster) attempt(ctx context.Context, password string) (*process, string, error) {
	port := c.port
	if port == 0 {
		var err error
		if port, err = freePort(ctx); err != nil {
			return nil, "", err
		}
	}
	output, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("open log of postgres: %w", err)
	}
	defer output.Close() //nolint:errcheck // the server has its own handle
	before, err := output.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, "", fmt.Errorf("open log of postgres: %w", err)
	}
	args := append([]string{"-D", c.data(), "-p", strconv.Itoa(port)}, flags(settings(c.walCompression(ctx), c.settings))...)
	// The server outlives ctx, which is for the start.
	cmd := command(context.WithoutCancel(ctx), c.user, c.dir, c.bin.path("postgres"), args...)
	cmd.Stdout, cmd.Stderr = output, output
	p, err := startProcess(cmd)
	if err != nil {
		return nil, "", fmt.Errorf("start postgres: %w", err)
	}
	url := loopbackURL(password, port)
	if err := awaitReady(ctx, p, url); err != nil {
		_ = p.shutDown()
		said := c.logSince(before)
		return nil, "", describe(fmt.Errorf("start postgres: %w; its log %s ends: %s", err, c.logFile(), tail(said)), said)
	}
	return p, url, nil
}

// wrongPassword is the class of SQLSTATE that waiting does not mend.
const wrongPassword = "28"

// awaitReady connects until it succeeds, the server ends or ctx does.
func awaitReady(ctx context.Context, p *process, url string) error {
	// Somebody else may have the port and say nothing: an attempt to connect is
	// given up when the server ends.
	trying, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-trying.Done():
		}
	}()
	for {
		err := tryConnect(trying, url)
		var refused *pgconn.PgError
		if err == nil {
			return nil
		}
		if errors.As(err, &refused) && strings.HasPrefix(refused.Code, wrongPassword) {
			// It may be somebody else's who has the port: then ours ends, and says so.
			select {
			case <-p.done:
			case <-time.After(strangerGrace):
			}
			return err
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w", errors.Join(p.err, ctx.Err()))
		default:
		}
		if pause(ctx, connectPause) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// walCompression is the best that this build of Postgres has.
func (c *cluster) walCompression(ctx context.Context) string {
	const best = "lz4"
	cmd := command(ctx, c.user, c.dir, c.bin.path("postgres"), "-D", c.data(), "-C", "wal_compression", "-c", "wal_compression="+best)
	if cmd.Run() == nil {
		return best
	}
	return "on"
}

// endOrphan ends the server of a run that was killed, where the kernel did not. It
// is ours if it knows our password; a number in a stale file may be anybody's.
func (c *cluster) endOrphan(ctx context.Context, password string) {
	const lineOfPID, lineOfPort = 0, 3
	content, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) <= lineOfPort {
		return
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(lines[lineOfPID]))
	port, err2 := strconv.Atoi(strings.TrimSpace(lines[lineOfPort]))
	if err1 != nil || err2 != nil || pid <= 1 || tryConnect(ctx, loopbackURL(password, port)) != nil {
		return
	}
	c.log.Info("ending the postgres of an earlier run", "pid", pid)
	_ = syscall.Kill(pid, syscall.SIGINT)
}

// busyError says that a later attempt may succeed.
type busyError struct {
	what string
	err  error
}

const (
	portTaken = "port taken"
	dataHeld  = "data held"
)

func (e *busyError) Error() string { return e.what + ": " + e.err.Error() }
func (e *busyError) Unwrap() error { return e.err }

// describe tells a busy port and held data from lasting faults. Postgres says
// which it is in its log only, always in English (LC_ALL=C).
func describe(err error, said []byte) error {
	for text, what := range map[string]string{
		`could not bind IPv4 address`:               portTaken,
		`lock file "postmaster.pid" already exists`: dataHeld,
		`pre-existing shared memory block`:          dataHeld,
	} {
		if bytes.Contains(said, []byte(text)) {
			return &busyError{what: what, err: err}
		}
	}
	return err
}

func (c *cluster) logSince(offset int64) []byte {
	f, err := os.Open(c.logFile())
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // read only
	said, _ := io.ReadAll(io.NewSectionReader(f, offset, 1<<20))
	return said
}

func tail(text []byte) string {
	text = bytes.TrimSpace(text)
	if len(text) > maxTail {
		text = text[len(text)-maxTail:]
	}
	return string(text)
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
