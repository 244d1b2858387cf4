package system

import (
	"time"

	"github.com/monedero/monedero/internal/devstack"
)

// infrastructureFaults are the faults of Postgres that TestChaos mixes with those
// of processes and networks.
func infrastructureFaults() []chaosFault {
	faults := []chaosFault{
		{name: "SIGKILL of Postgres", long: true, do: (*chaos).killPostgres},
		{name: "migration", long: true, do: func(c *chaos) { c.withDBA((*dba).migrate) }},
	}
	for _, f := range databaseFaults() {
		faults = append(faults, chaosFault{name: "Postgres: " + f.name, long: true, do: func(c *chaos) {
			c.withDBA(func(d *dba) {
				f.inflict(d)
				time.Sleep(brokenFor)
				f.mend(d)
			})
		}})
	}
	return faults
}

func (c *chaos) withDBA(do func(*dba)) {
	c.t.Helper()
	d := newDBA(c.t, c.database)
	do(d)
	d.close()
}

func (c *chaos) killPostgres() {
	c.t.Helper()
	killPostgres(c.t, c.options.Dir)
	time.Sleep(brokenFor)
	_ = c.postgres.Stop() // it says that it was killed
	var err error
	if c.postgres, err = devstack.StartPostgres(c.t.Context(), c.options); err != nil {
		c.t.Fatal(err)
	}
}
