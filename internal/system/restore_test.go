package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
	"github.com/monedero/monedero/internal/proxytest"
)

// server is a Postgres of the test's own, which archives its log. Whatever happens to
// it, it answers at one port, under one password.
type server struct {
	t       *testing.T
	running *devstack.Postgres
	options devstack.PostgresOptions
	archive string
}

// newServer starts one that is migrated. It ends with the test.
func newServer(t *testing.T) *server {
	t.Helper()
	dir := devstacktest.Folder(t)
	s := &server{t: t, archive: filepath.Join(dir, "archive")}
	s.must(os.Mkdir(s.archive, 0o700))
	s.options = devstack.PostgresOptions{Dir: dir, Port: freePort(t), Settings: map[string]string{
		"archive_mode": "on", "archive_command": fmt.Sprintf("cp %%p '%[1]s/%%f.part' && mv '%[1]s/%%f.part' '%[1]s/%%f'", s.archive),
	}}
	s.start(nil)
	t.Cleanup(func() { _ = s.running.Stop() }) // one that was killed says so
	if _, err := built.run(t, append(os.Environ(), "DATABASE_URL="+s.running.URL()), "monedero", "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts the server, with more settings for this time.
func (s *server) start(more map[string]string) {
	s.t.Helper()
	o := s.options
	o.Settings = maps.Clone(o.Settings)
	maps.Copy(o.Settings, more)
	running, err := devstack.StartPostgres(s.t.Context(), o)
	s.must(err)
	s.running = running
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// with runs do on a connection to a server.
func (s *server) with(server *devstack.Postgres, do func(context.Context, *pgx.Conn) error) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), server.URL())
	s.must(err)
	s.must(errors.Join(do(s.t.Context(), conn), conn.Close(s.t.Context())))
}

// backup is a base backup of the running server, as files in a folder that another
// one can be started from. It needs no program but the server.
func (s *server) backup() (folder string) {
	s.t.Helper()
	folder = devstacktest.Folder(s.t)
	s.with(s.running, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "select pg_backup_start('a test', true)"); err != nil {
			return err
		}
		if err := copyServer(folder, s.options.Dir); err != nil {
			return err
		}
		var label, spaces string
		if err := conn.QueryRow(ctx, "select labelfile, spcmapfile from pg_backup_stop()").Scan(&label, &spaces); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, "data", "backup_label"), []byte(label), 0o600)
	})
	return folder
}

// copyServer copies the data of a server that may run, and its password.
func copyServer(to, from string) error {
	password, err := os.ReadFile(filepath.Join(from, "password"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "password"), password, 0o600); err != nil {
		return err
	}
	root := filepath.Join(from, "data")
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removed it meanwhile
		}
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, "data", inside)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case filepath.Dir(inside) == "pg_wal", entry.Name() == "postmaster.pid", entry.Name() == "postmaster.opts", !entry.Type().IsRegular():
			return nil
		}
		return copyFile(target, path)
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// point marks this moment under a name, to restore the database to, and waits until
// the archive has it.
func (s *server) point(name string) {
	s.t.Helper()
	s.with(s.running, func(ctx context.Context, conn *pgx.Conn) error {
		var file string
		if err := conn.QueryRow(ctx, "select pg_walfile_name(pg_create_restore_point($1))", name).Scan(&file); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "select pg_switch_wal()"); err != nil {
			return err
		}
		awaitThat(s.t, "the log up to "+name+" is archived", func() bool {
			_, err := os.Stat(filepath.Join(s.archive, file))
			return err == nil
		})
		return nil
	})
}

// restore puts the database back to a moment behind a backup, by point in time
// recovery, at the same address. What came later is gone.
func (s *server) restore(backup, point string) {
	s.t.Helper()
	s.must(s.running.Stop())
	data := filepath.Join(s.options.Dir, "data")
	s.must(os.RemoveAll(data))
	s.must(copyServer(s.options.Dir, backup))
	s.must(os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600))
	s.start(map[string]string{
		"restore_command": fmt.Sprintf("cp '%s/%%f' %%p", s.archive), "hot_standby": "off",
		"recovery_target_name": point, "recovery_target_timeline": "current", "recovery_target_action": "promote",
	})
}

// standby is a second server that follows the first one, asynchronously.
type standby struct {
	*server
	link *proxytest.Proxy // from it to the first one
}

// standby starts one, and waits until it follows.
func (s *server) standby() *standby {
	s.t.Helper()
	link, through := proxytest.StartURL(s.t, s.running.URL())
	second := &standby{link: link, server: &server{t: s.t, archive: s.archive}}
	second.options = devstack.PostgresOptions{Dir: s.backup(), Settings: maps.Clone(s.options.Settings)}
	second.follow(through)
	s.t.Cleanup(func() { _ = second.running.Stop() })
	s.caughtUp()
	return second
}

// follow starts the server, which was stopped, as a standby of the one at the URL.
func (s *server) follow(primary string) {
	s.t.Helper()
	u, err := url.Parse(primary)
	s.must(err)
	password, _ := u.User.Password()
	s.must(os.WriteFile(filepath.Join(s.options.Dir, "data", "standby.signal"), nil, 0o600))
	s.start(map[string]string{"primary_conninfo": fmt.Sprintf("host=%s port=%s user=%s password='%s' sslmode=disable",
		u.Hostname(), u.Port(), u.User.Username(), strings.ReplaceAll(password, "'", `\'`))})
}

// promote lets the standby take writes.
func (s *standby) promote() {
	s.t.Helper()
	s.with(s.running, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "select pg_promote()")
		return err
	})
}

// caughtUp waits until the standby has all that the server has committed.
func (s *server) caughtUp() {
	s.t.Helper()
	s.with(s.running, func(ctx context.Context, conn *pgx.Conn) error {
		var now string
		if err := conn.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&now); err != nil {
			return err
		}
		awaitThat(s.t, "the standby has caught up", func() (all bool) {
			s.must(conn.QueryRow(ctx, "select count(*) > 0 from pg_stat_replication where replay_lsn >= $1::text::pg_lsn", now).Scan(&all))
			return all
		})
		return nil
	})
}

// lag keeps from the standby what is committed from now on.
func (s *standby) lag() {
	s.link.Refuse(true)
	s.link.Cut()
}

// failOver kills the server and promotes the standby, which answers in its place.
func (s *server) failOver(to *standby) {
	s.t.Helper()
	killPostgres(s.t, s.options.Dir)
	_ = s.running.Stop() // it says that it was killed
	to.promote()
	s.must(to.running.Stop())
	s.options.Dir = to.options.Dir
	s.start(nil)
}
