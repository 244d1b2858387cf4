package system

import (
	"fmt"
	"os"
	"time"
)

// chaosForgotten is how many charges are taken at least that a restored database
// knows nothing of.
const chaosForgotten = 100

// infrastructureFaults are the faults of Postgres that TestChaos mixes with those
// of processes and networks.
func infrastructureFaults() []chaosFault {
	faults := []chaosFault{
		{name: "SIGKILL of Postgres", long: true, do: (*chaos).killPostgres},
		{name: "Postgres restored to a moment before", long: true, do: (*chaos).restore},
		{name: "failover to a standby that lagged", long: true, do: (*chaos).failOver},
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
	killPostgres(c.t, c.server.options.Dir)
	time.Sleep(brokenFor)
	_ = c.server.running.Stop() // it says that it was killed
	c.server.start(nil)
}

// restore puts the database back to where it was before the last charges.
func (c *chaos) restore() {
	c.t.Helper()
	backup := c.server.backup()
	c.load.await(chaosForgotten)
	point := fmt.Sprintf("moment %d", c.load.requests())
	c.load.undo(func() {
		c.server.point(point)
		c.load.await(chaosForgotten)
		c.server.restore(backup, point)
	})
	c.server.must(os.RemoveAll(backup))
	c.letGoOn()
}

// failOver lets a standby take over that lacks the last charges.
func (c *chaos) failOver() {
	c.t.Helper()
	second := c.server.standby()
	c.load.await(chaosForgotten)
	c.load.undo(func() {
		c.server.caughtUp() // with all that was answered until now
		second.lag()
		c.load.await(chaosForgotten)
		c.server.failOver(second)
	})
	c.letGoOn()
}

// letGoOn is the person who sees partitions halted as restored, and lets them go on
// once more for as long as one does not: not every owner notices at the same moment.
func (c *chaos) letGoOn() {
	c.t.Helper()
	d := newDBA(c.t, c.database)
	defer d.close()
	d.exec("create temp table before as select partition, next_offset from partition_progress where partition in (select partition from wallets)")
	awaitThat(c.t, "every partition of the restored database moves", func() (all bool) {
		_, _ = built.run(c.t, c.env, "monedero", "recover", "--yes", "--reason", "chaos") // it may come at a bad moment
		const question = "select count(*) = 0 from before b join partition_progress p using (partition) where p.next_offset = b.next_offset"
		c.server.must(d.conn.QueryRow(c.t.Context(), question).Scan(&all))
		return all
	})
}
