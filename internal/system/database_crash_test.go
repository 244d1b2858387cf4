package system

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

// TestDatabaseKilled kills Postgres under load, as a machine does that loses its
// power but keeps its disk, and starts it again.
func TestDatabaseKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries and a server of its own")
	}
	t.Parallel()
	const kills = 3
	o := devstack.PostgresOptions{Dir: devstacktest.Folder(t), Port: freePort(t)}
	start := func() *devstack.Postgres {
		t.Helper()
		server, err := devstack.StartPostgres(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Stop() }) // one that was killed says so
		return server
	}
	server := start()
	if _, err := built.run(t, append(os.Environ(), "DATABASE_URL="+server.URL()), "monedero", "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	s := newStackOn(t, server.URL(), 4)
	_, operator := s.ingest()
	s.processor()
	l := startLoad(t, newRand(t), []*api{operator}, 16)
	for range kills {
		l.await(200)
		killPostgres(t, o.Dir)
		l.await(50) // charges are taken all the same
		_ = server.Stop()
		server = start()
	}
	l.await(200)
	s.check(l)
}

// killPostgres ends the server that has its data in the folder with SIGKILL; its
// other processes end with it.
func killPostgres(t *testing.T, folder string) {
	t.Helper()
	var pid int
	if err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "postmaster.pid" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err = strconv.Atoi(first)
		return err
	}); err != nil || pid == 0 {
		t.Fatalf("find the server's process: %v", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
