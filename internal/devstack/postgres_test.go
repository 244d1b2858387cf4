package devstack_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

func TestPostgresInATemporaryFolder(t *testing.T) {
	t.Parallel()
	p := start(t, devstack.PostgresOptions{Settings: map[string]string{"shared_buffers": "17MB"}})
	dir := filepath.Dir(query(t, p.URL(), `select current_setting('data_directory')`))
	pid := postmaster(t, dir)
	got := query(t, p.URL(), `select string_agg(name || '=' || setting, ' ' order by name) from pg_settings
		where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories',
			'shared_buffers')`)
	want := "fsync=on full_page_writes=on listen_addresses=127.0.0.1 shared_buffers=2176 synchronous_commit=on unix_socket_directories="
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stop(t, p)
	stop(t, p) // once more does nothing
	awaitGone(t, pid)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder %s is still there: %v", dir, err)
	}
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(devstacktest.Folder(t), "made", "by", "us")
	p := start(t, devstack.PostgresOptions{Dir: dir})
	remember(t, p.URL(), "kept")
	pid := postmaster(t, dir)
	stop(t, p)
	awaitGone(t, pid)

	again := start(t, devstack.PostgresOptions{Dir: dir})
	if got := recall(t, again.URL()); got != "kept" {
		t.Errorf("recalled %q", got)
	}
	stop(t, again)
}

func TestPostgresRecoversFromKill(t *testing.T) {
	t.Parallel()
	dir := devstacktest.Folder(t)
	p := start(t, devstack.PostgresOptions{Dir: dir})
	remember(t, p.URL(), "committed")
	pid := postmaster(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, pid)
	if err := p.Stop(); err == nil {
		t.Error("Stop says nothing about a server that was killed")
	}

	again := start(t, devstack.PostgresOptions{Dir: dir})
	if got := recall(t, again.URL()); got != "committed" {
		t.Errorf("recalled %q", got)
	}
	stop(t, again)
}

// TestPostgresEndsAnOrphan starts on data that a server still holds although
// the process that started it gave it up.
func TestPostgresEndsAnOrphan(t *testing.T) {
	t.Parallel()
	dir := devstacktest.Folder(t)
	p := start(t, devstack.PostgresOptions{Dir: dir})
	remember(t, p.URL(), "kept")
	pid := postmaster(t, dir)
	// The lock is the process's. Without it, the folder looks as after a kill
	// where the kernel does not end children.
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	again := start(t, devstack.PostgresOptions{Dir: dir})
	awaitGone(t, pid)
	if got := recall(t, again.URL()); got != "kept" {
		t.Errorf("recalled %q", got)
	}
	stop(t, again)
	stop(t, p)
}

func TestPostgresThatIsGiven(t *testing.T) {
	t.Parallel()
	owner := start(t, devstack.PostgresOptions{})
	p := start(t, devstack.PostgresOptions{URL: owner.URL()})
	if p.URL() != owner.URL() || p.Source() != "DATABASE_URL" {
		t.Errorf("is %s from %s", p.URL(), p.Source())
	}
	stop(t, p)
	remember(t, owner.URL(), "untouched")
	stop(t, owner)

	if _, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{URL: owner.URL()}); err == nil {
		t.Error("connects to a server that is gone")
	}
}

func TestPostgresFaults(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })

	broken := devstacktest.Folder(t)
	stop(t, start(t, devstack.PostgresOptions{Dir: broken}))
	if err := os.Remove(filepath.Join(broken, "data", "global", "pg_control")); err != nil {
		t.Fatal(err)
	}
	stranger := devstacktest.Folder(t)
	stop(t, start(t, devstack.PostgresOptions{Dir: stranger}))
	if err := os.WriteFile(filepath.Join(stranger, "password"), []byte(strings.Repeat("x", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	nameless := devstacktest.Folder(t)
	stop(t, start(t, devstack.PostgresOptions{Dir: nameless}))
	if err := os.Remove(filepath.Join(nameless, "password")); err != nil {
		t.Fatal(err)
	}
	used := devstacktest.Folder(t)
	start(t, devstack.PostgresOptions{Dir: used})

	for _, tt := range []struct {
		name    string
		options devstack.PostgresOptions
		want    string
	}{
		{"port taken", devstack.PostgresOptions{Port: taken.Addr().(*net.TCPAddr).Port}, "could not bind"},
		{"broken data, the log is shown", devstack.PostgresOptions{Dir: broken}, "global/pg_control\": No such file"},
		{"another password", devstack.PostgresOptions{Dir: stranger}, "password authentication failed"},
		{"no password", devstack.PostgresOptions{Dir: nameless}, "find password"},
		{"folder in use", devstack.PostgresOptions{Dir: used}, "is in use by another run"},
		{"not a folder", devstack.PostgresOptions{Dir: "/dev/null"}, "is not a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := devstack.StartPostgres(t.Context(), tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestPostgresAsRoot: what the user that Postgres runs as cannot reach is an error
// that says so, and what it can reach becomes its own.
func TestPostgresAsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: Postgres runs as we do")
		return
	}
	private := filepath.Join(t.TempDir(), "postgres") // below a folder of mode 0700
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Dir: private})
	if err == nil || !strings.Contains(err.Error(), "cannot reach") {
		t.Errorf("error is %v", err)
	}
	dir := devstacktest.Folder(t)
	p := start(t, devstack.PostgresOptions{Dir: dir})
	for _, path := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "password")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
			t.Errorf("%s still belongs to root", path)
		}
	}
	stop(t, p)
}

// TestAsAnOrdinaryUser runs the tests above, and those of the stack, as one.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: all tests run as an ordinary user")
		return
	}
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		t.Fatal(err)
	}
	nobody := uint32(uid)
	home := devstacktest.Folder(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(home, "devstack.test") // the original lies where only root can go
	// No test may start a process meanwhile: the child would hold the file open
	// for writing, and such a file cannot be run.
	syscall.ForkLock.RLock()
	err = os.WriteFile(copied, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, uid, uid); err != nil {
		t.Fatal(err)
	}
	tests := []string{"TestPostgresKeepsItsData", "TestPostgresInATemporaryFolder", "TestKafkaKeepsItsRecords", "TestStackSurvivesKill"}
	cmd := exec.CommandContext(t.Context(), copied, "-test.v", "-test.run", "^("+strings.Join(tests, "|")+")$")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range tests {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("%s did not pass:\n%s", name, out)
		}
	}
}
