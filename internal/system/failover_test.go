package system

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
	"github.com/monedero/monedero/internal/proxytest"
)

// staleFor is how long a name leads to the old primary after a failover.
const staleFor = 15 * time.Second

// cluster is a Postgres in a folder of its own, with a port that stays.
type cluster struct {
	t       *testing.T
	options devstack.PostgresOptions
	server  *devstack.Postgres
}

func (c *cluster) start() {
	c.t.Helper()
	server, err := devstack.StartPostgres(c.t.Context(), c.options)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = server.Stop() }) // it may be stopped already
	c.server = server
}

// data is the folder with the server's data.
func (c *cluster) data() string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(c.options.Dir, "*", "PG_VERSION"))
	if err != nil || len(found) != 1 {
		c.t.Fatalf("find the data of %s: %v, %v", c.options.Dir, found, err)
	}
	return filepath.Dir(found[0])
}

// follow makes the stopped cluster a standby of the primary.
func (c *cluster) follow(primary *cluster) {
	c.t.Helper()
	u, err := url.Parse(primary.server.URL())
	if err != nil {
		c.t.Fatal(err)
	}
	password, _ := u.User.Password()
	settings, err := os.OpenFile(filepath.Join(c.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = fmt.Fprintf(settings, "primary_conninfo = 'host=%s port=%s user=%s password=%s'\nsynchronous_standby_names = ''\n",
		u.Hostname(), u.Port(), u.User.Username(), password)
	if err == nil {
		err = settings.Close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.data(), "standby.signal"), nil, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// standbyOf copies a running primary and follows it.
func standbyOf(primary *cluster) *cluster {
	t := primary.t
	t.Helper()
	c := &cluster{t: t, options: devstack.PostgresOptions{Dir: devstacktest.Folder(t), Port: freePort(t)}}
	program, err := exec.LookPath("pg_basebackup")
	if err != nil {
		places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_basebackup")
		if len(places) == 0 {
			t.Fatal(err)
		}
		program = places[len(places)-1]
	}
	data := filepath.Join(c.options.Dir, filepath.Base(primary.data()))
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "--checkpoint=fast", "--pgdata="+data, "--dbname="+primary.server.URL())
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, said.String())
	}
	files, err := os.ReadDir(primary.options.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files { // the superuser's password
		if !file.Type().IsRegular() || filepath.Ext(file.Name()) == ".log" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(primary.options.Dir, file.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.options.Dir, file.Name()), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.follow(primary)
	return c
}

// TestFailover promotes a synchronous standby, while the name of the database leads for
// some time yet to the old primary, which follows the new one and can be read. Nothing
// is restarted, and nothing is lost.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries and two servers of its own for half a minute")
	}
	// Not in parallel: two servers, each with a copy of everything, and what came while neither
	// could be written to are as much as a small machine carries.
	one := &cluster{t: t, options: devstack.PostgresOptions{Dir: devstacktest.Folder(t), Port: freePort(t)}}
	one.start()
	if _, err := built.run(t, append(os.Environ(), "DATABASE_URL="+one.server.URL()), "monedero", "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	two := standbyOf(one)
	two.start()
	primary := newDBA(t, one.server.URL())
	primary.awaitSQL("select count(*) = 1 from pg_stat_replication where state = 'streaming'")
	primary.exec("alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
	primary.awaitSQL("select count(*) = 1 from pg_stat_replication where sync_state = 'sync'")
	primary.close()

	name, through := proxytest.StartURL(t, one.server.URL())
	s := newStackOn(t, through, 4)
	_, operator := s.ingest()
	p := s.processor()
	l := startLoad(t, newRand(t), []*api{operator}, 16)
	l.await(200)

	if err := one.server.Stop(); err != nil {
		t.Fatal(err)
	}
	standby := newDBA(t, two.server.URL())
	standby.exec("select pg_promote()")
	one.follow(two)
	one.start()
	p.awaitOutput("settle failed")
	time.Sleep(staleFor)
	name.SetServer(fmt.Sprintf("127.0.0.1:%d", two.options.Port))
	began := time.Now()
	standby.awaitAllMove()
	if took := time.Since(began); took > recoverLimit+busy {
		t.Errorf("all partitions move after %v, the goal is %v", took, recoverLimit)
	}
	standby.close()
	l.await(200)
	s.check(l)
}
