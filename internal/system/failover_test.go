package system

import (
	"net/url"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/proxytest"
)

// staleFor is how long a name leads to the old primary after a failover.
const staleFor = 15 * time.Second

// TestFailover promotes a synchronous standby, while the name of the database leads for
// some time yet to the old primary, which follows the new one and can be read. Nothing
// is restarted, and nothing is lost.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries and two servers of its own for half a minute")
	}
	t.Parallel()
	one := newServer(t)
	two := one.standby()
	primary := newDBA(t, one.running.URL())
	primary.exec("alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
	primary.awaitSQL("select count(*) = 1 from pg_stat_replication where sync_state = 'sync'")
	primary.close()

	name, through := proxytest.StartURL(t, one.running.URL())
	s := newStackOn(t, through, 4)
	_, operator := s.ingest()
	p := s.processor()
	l := startLoad(t, newRand(t), []*api{operator}, 16)
	l.await(200)

	one.must(one.running.Stop())
	two.promote()
	one.follow(two.running.URL())
	p.awaitOutput("settle failed")
	time.Sleep(staleFor)
	now, err := url.Parse(two.running.URL())
	one.must(err)
	name.SetServer(now.Host)
	standby := newDBA(t, two.running.URL())
	began := time.Now()
	standby.awaitAllMove()
	if took := time.Since(began); took > recoverLimit+busy {
		t.Errorf("all partitions move after %v, the goal is %v", took, recoverLimit)
	}
	standby.close()
	l.await(200)
	s.check(l)
}
