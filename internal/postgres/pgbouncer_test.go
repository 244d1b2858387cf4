package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// bouncer starts pgbouncer before the world's server, and returns the URL through it.
func (w *world) bouncer(mode string) (through string) {
	w.t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) {
			w.t.Skip("pgbouncer is not installed (Debian: apt-get install pgbouncer): nothing is tried through it")
		}
	}
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)
	// It refuses to run as root, so somebody else has to reach its files.
	dir, err := os.MkdirTemp("", "monedero-pgbouncer-") // t.TempDir is closed to others
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	password, _ := u.User.Password()
	for name, text := range map[string]string{
		"users": fmt.Sprintf("%q %q\n", u.User.Username(), password),
		"pgbouncer.ini": fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = %s
default_pool_size = 40
max_client_conn = 200
`, u.Hostname(), u.Port(), port, filepath.Join(dir, "users"), mode),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), program, "-q", filepath.Join(dir, "pgbouncer.ini"))
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Stdout, cmd.Stderr = w.t.Output(), w.t.Output()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Since(began) > 20*time.Second {
			w.t.Fatal(err)
		}
	}
	u.Host = address
	return u.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Through pgbouncer that pools sessions everything works: a session has its role and
// its timeouts, and one that stopped and holds a lock is found and ended.
func TestThroughPgbouncer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.url = w.bouncer("session")
	w.store = w.connect("test")
	var role, timeout, interval string
	if err := w.store.Pool().QueryRow(t.Context(), "select current_user, current_setting('statement_timeout'), current_setting('client_connection_check_interval')").
		Scan(&role, &timeout, &interval); err != nil || role != "monedero_service" || timeout != "30s" || interval != "1s" {
		t.Errorf("a session has %q, %q, %q: %v", role, timeout, interval, err)
	}
	w.wallet(0)
	w.settle(1, request(w.topUp(w.wallet(1), 5)))
	stopped := w.hold("stopped", lockProgress)
	if _, err := w.store.Claim(within(t, 20*time.Second), topic, 0, processor.Memory{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stopped.Exec(t.Context(), "commit"); err == nil {
		t.Error("the stopped session goes on")
	}
	w.verified()
}

// One that gives a backend to another client after each transaction is refused: what
// is set for a session would be anybody's.
func TestThroughPgbouncerThatPoolsTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := postgres.Connect(within(t, 20*time.Second), w.bouncer("transaction"), postgres.Options{}); !errors.Is(err, postgres.ErrUnsafe) ||
		!strings.Contains(err.Error(), "pool_mode = session") {
		t.Errorf("err: %v", err)
	}
}
