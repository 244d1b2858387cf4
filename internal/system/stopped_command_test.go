package system

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/proxytest"
)

// A command of the schema's owner that stands still while it holds a partition is
// ended by the server: the services, which log in as somebody else, may not do so.
func TestCommandStoppedWhileItHoldsAPartition(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Second // less than a command may run at all
	for name, c := range map[string]struct {
		args   []string
		before string // the statement that is never sent
	}{
		"rebuild":      {[]string{"rebuild", "--partition", "0"}, "-- Make every wallet of a partition anew"},
		"set-progress": {setProgressArgs([]string{"--offset", "1"}), "-- Set a progress"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newWayOutPair(t)
			p.processor()
			p.goesOn(0)
			proxy, env := p.behind()
			trap := proxy.HoldAt(proxytest.ToServer, proxytest.Before(c.before))
			ended := make(chan error, 1)
			go func() {
				_, err := built.run(t, append(p.env[:len(p.env):len(p.env)], p.asOwner(env)), "monedero", c.args...)
				ended <- err
			}()
			awaitTrap(t, trap)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			id, err := p.shop.till.charge(ctx, p.wallets[0].String(), "meanwhile", 1)
			p.must(err)
			if o, err := p.shop.till.outcome(ctx, id); err != nil || o.Status != "accepted" {
				t.Errorf("a charge is %s after %s: %v", o.Status, limit, err)
			}
			trap.Release()
			if err := <-ended; err == nil {
				t.Error("the command says that it was done")
			}
			p.monedero("verify")
		})
	}
}

// asOwner is the variable with the URL of another owner of the database.
func (p *pair) asOwner(variable string) string {
	p.t.Helper()
	name, text, _ := strings.Cut(variable, "=")
	u, err := url.Parse(text)
	p.must(err)
	role, password := "owner_"+strings.ToLower(rand.Text()), rand.Text()
	d := newDBA(p.t, p.database)
	d.exec("create role " + role + " login superuser password '" + password + "'")
	p.t.Cleanup(func() {
		if _, err := d.conn.Exec(context.Background(), "drop role "+role); err != nil {
			p.t.Error(err)
		}
		d.close()
	})
	u.User = url.UserPassword(role, password)
	return name + "=" + u.String()
}
