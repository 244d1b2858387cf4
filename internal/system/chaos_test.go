package system

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/proxytest"
)

var (
	chaosFor     = flag.Duration("chaos.for", 0, "how long TestChaos causes faults; 0: for a few seconds, and only short ones")
	chaosApart   = flag.Bool("chaos.apart", false, "let TestChaos wait after each fault until every partition has moved on")
	chaosOnly    = flag.String("chaos.only", "", "part of the names of the faults that TestChaos causes; empty: all of them")
	chaosBrokers = flag.Int("chaos.brokers", 1, "on how many brokers TestChaos runs, 1 or 3; 3 need java")
	chaosReport  = flag.String("chaos.report", "", "file that TestChaos writes its table to")
)

const (
	chaosShort      = 8 * time.Second
	chaosPartitions = 8
	chaosWallets    = 100
	chaosProcessors = 3
	chaosPause      = 500 * time.Millisecond // between two faults, and up to three times as long
	chaosKills      = 30                     // in each round: more than a hundred in ten minutes
	brokenFor       = 2 * time.Second        // of what is taken away for a while
	pastSession     = sessionTimeout + 2*time.Second
)

// chaos is a system whose parts come and go: several of each service, a Postgres
// of its own, and a proxy before it for each processor.
type chaos struct {
	*stack
	r          *rand.Rand
	server     *server
	processors []seat
	gates      []*process
	operators  []*api
	motion     *motion
	load       *load
}

// seat is a processor, which may be replaced, and its way to Postgres.
type seat struct {
	*process
	proxy   *proxytest.Proxy
	through string // what makes a processor use the proxy
}

// chaosFault is one way to break the system. When it returns the fault is over;
// the system may still be about to recover.
type chaosFault struct {
	name  string
	long  bool // not in the short form
	real  bool // only on a real Kafka
	times int  // in each round; 0: once
	do    func(*chaos)
}

// chaosFaults are all faults that TestChaos mixes.
func chaosFaults() []chaosFault {
	return append(infrastructureFaults(), []chaosFault{
		{name: "SIGKILL of a processor", long: true, times: chaosKills, do: func(c *chaos) { c.restart((*process).kill) }},
		{name: "SIGTERM of a processor", do: func(c *chaos) { c.restart((*process).terminate) }},
		{name: "a processor joins, another leaves", do: (*chaos).replaceProcessor},
		{name: "SIGSTOP of a processor past its session", long: true, do: func(c *chaos) { c.suspend(pastSession) }},
		{name: "SIGSTOP of a processor for a moment", do: func(c *chaos) { c.suspend(time.Second) }},
		{name: "a processor stopped in the middle of COPY", long: true, do: func(c *chaos) { c.suspendAt(proxytest.Within("PGCOPY\n")) }},
		{name: "a processor stopped between statements", long: true, do: func(c *chaos) { c.suspendAt(proxytest.Before("PGCOPY\n")) }},
		{name: "answer to COMMIT lost", do: func(c *chaos) {
			awaitTrap(c.t, c.seat().proxy.CutAt(proxytest.ToClient, proxytest.Before("COMMIT\x00")))
		}},
		{name: "connections to Postgres cut", do: func(c *chaos) { c.seat().proxy.Cut() }},
		{name: "Postgres slow", do: func(c *chaos) {
			c.ail(func(p *proxytest.Proxy) { p.Delay(proxytest.ToClient, 50*time.Millisecond) })
		}},
		{name: "Postgres deaf", do: func(c *chaos) {
			c.ail(func(p *proxytest.Proxy) { p.Lose(proxytest.ToServer) })
		}},
		{name: "SIGKILL of an ingest", do: func(c *chaos) { c.restartGate((*process).kill) }},
		{name: "SIGTERM of an ingest", do: func(c *chaos) { c.restartGate((*process).terminate) }},
		{name: "broker stopped and started", long: true, do: func(c *chaos) { c.restartBroker(c.kafka.Stop) }},
		{name: "SIGKILL of the broker", long: true, do: func(c *chaos) { c.restartBroker(c.kafka.Kill) }},
		{name: "the topic set to compact, and back", long: true, do: (*chaos).compact},
		{name: "a broker stands still", long: true, real: true, do: (*chaos).suspendBroker},
		{name: "Postgres stopped and started", long: true, do: (*chaos).restartPostgres},
	}...)
}

// injection is one fault that was caused.
type injection struct {
	name string
	from time.Time
	to   time.Time // when the next one began
}

// TestChaos mixes all faults at random under load: for as long as -chaos.for says,
// else for a few seconds and only those that take no longer. With -chaos.apart each
// fault comes alone: what it costs is not added to what the one before it did.
func TestChaos(t *testing.T) {
	t.Parallel()
	long := *chaosFor > 0
	duration := *chaosFor
	if !long {
		duration = chaosShort
	}
	c := newChaos(t)
	round := newRound(long, c.kafka.Real())
	c.load.await(100)
	var injected []injection
	defer func() { // also where a fault could not be caused, which ends the test
		c.load.await(200) // it has recovered
		injected[len(injected)-1].to = time.Now()
		c.report(injected, c.check(c.load))
	}()
	for end := time.Now().Add(duration); time.Now().Before(end); {
		f := round(c.r)
		now := time.Now()
		if n := len(injected); n > 0 {
			injected[n-1].to = now
		}
		injected = append(injected, injection{name: f.name, from: now})
		if long {
			fmt.Printf("%s %s\n", now.Format(time.TimeOnly), f.name)
		}
		f.do(c)
		if *chaosApart {
			c.recover()
		}
		time.Sleep(chaosPause + time.Duration(c.r.Int64N(int64(2*chaosPause))))
	}
}

// newRound returns what draws one fault after the other: all that can be caused, in a
// random order, before any comes again.
func newRound(long, real bool) func(*rand.Rand) chaosFault {
	var all, left []chaosFault
	for _, f := range chaosFaults() {
		if (long || !f.long) && (real || !f.real) && strings.Contains(f.name, *chaosOnly) {
			all = append(all, slices.Repeat([]chaosFault{f}, max(f.times, 1))...)
		}
	}
	return func(r *rand.Rand) chaosFault {
		if len(left) == 0 {
			left = slices.Clone(all)
			r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		f := left[0]
		left = left[1:]
		return f
	}
}

func newChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{r: newRand(t), server: newServer(t)}
	c.stack = newStackWith(t, c.server.running.URL(), chaosKafka(t), chaosPartitions)
	for range 2 {
		p, operator := c.ingest()
		c.gates, c.operators = append(c.gates, p), append(c.operators, operator)
	}
	for range chaosProcessors {
		proxy, through := c.behind()
		c.processors = append(c.processors, seat{process: c.processor(through), proxy: proxy, through: through})
	}
	c.motion = watchMotion(t, c.database)
	c.load = startLoad(t, c.r, c.operators, chaosWallets)
	c.load.resent = true
	return c
}

func chaosKafka(t *testing.T) *kafkatest.Kafka {
	t.Helper()
	if *chaosBrokers > 1 {
		return kafkatest.Own(t, *chaosBrokers)
	}
	return kafkatest.Open(t)
}

// recover waits until every partition has moved on, and every service is ready.
func (c *chaos) recover() {
	c.t.Helper()
	c.withDBA((*dba).awaitAllMove)
	for _, p := range c.services() {
		p.waitReady()
	}
}

// services are all that run now.
func (c *chaos) services() []*process {
	all := slices.Clone(c.gates)
	for _, s := range c.processors {
		all = append(all, s.process)
	}
	return all
}

// seat draws a processor.
func (c *chaos) seat() *seat { return &c.processors[c.r.IntN(len(c.processors))] }

// restart ends a processor and starts another one.
func (c *chaos) restart(end func(*process)) {
	s := c.seat()
	end(s.process)
	s.process = c.processor(s.through)
}

func (c *chaos) replaceProcessor() {
	s := c.seat()
	old := s.process
	s.process = c.processor(s.through)
	old.terminate()
}

func (c *chaos) suspend(d time.Duration) {
	s := c.seat()
	s.suspend()
	time.Sleep(d)
	s.resume()
}

// suspendAt stops a processor at a point of a settle, past its session.
func (c *chaos) suspendAt(at func([]byte) int) {
	s := c.seat()
	trap := s.proxy.HoldAt(proxytest.ToServer, at)
	awaitTrap(c.t, trap)
	s.suspend()
	time.Sleep(pastSession)
	s.resume()
	trap.Release()
}

// ail does something to a processor's way to Postgres, for a while.
func (c *chaos) ail(f func(*proxytest.Proxy)) {
	p := c.seat().proxy
	f(p)
	time.Sleep(brokenFor)
	p.Heal()
}

func (c *chaos) restartGate(end func(*process)) {
	i := c.r.IntN(len(c.gates))
	end(c.gates[i])
	c.gates[i] = c.ingestAt(strings.TrimPrefix(c.operators[i].base, "http://"))
	c.gates[i].waitReady()
}

func (c *chaos) restartBroker(end func()) {
	end()
	time.Sleep(brokenFor)
	c.kafka.Restart(c.t)
}

// compact lets somebody turn compaction on. Ingests refuse charges, and whoever claims
// a partition halts it, until that person turns it off again.
func (c *chaos) compact() {
	c.kafka.AlterTopic(c.t, topicName, map[string]string{"cleanup.policy": "compact"})
	s := c.seat()
	s.kill()
	s.process = built.start(c.t, slices.Concat(c.env, []string{s.through}), "processor") // it need not be ready
	time.Sleep(brokenFor)
	c.kafka.AlterTopic(c.t, topicName, map[string]string{"cleanup.policy": "delete"})
	s.waitReady()
}

// suspendBroker lets every partition that one broker leads hang for a while.
func (c *chaos) suspendBroker() {
	i := c.r.IntN(len(c.kafka.Brokers))
	c.kafka.SuspendBroker(i)
	time.Sleep(brokenFor)
	c.kafka.ResumeBroker(i)
}

func (c *chaos) restartPostgres() {
	c.t.Helper()
	c.server.must(c.server.running.Stop())
	time.Sleep(brokenFor)
	c.server.start(nil)
}

// report prints the table, and the line that says all of it.
func (c *chaos) report(injected []injection, v verdict) {
	type row struct {
		times, requests, lost, twice, disordered int
		stall                                    time.Duration
	}
	rows, names, total := map[string]*row{}, []string{}, row{}
	for _, x := range injected {
		if rows[x.name] == nil {
			rows[x.name] = &row{}
			names = append(names, x.name)
		}
		r := rows[x.name]
		within := func(all []*taken) (n int) {
			for _, o := range all {
				if !o.at.Before(x.from) && o.at.Before(x.to) {
					n++
				}
			}
			return n
		}
		r.times++
		r.requests += within(c.load.all)
		r.lost += within(v.lost)
		r.twice += within(v.twice)
		r.disordered += within(v.disordered)
		r.stall = max(r.stall, c.motion.stallEnded(x.from, x.to))
		total.stall = max(total.stall, r.stall)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\ttimes\trequests\tlost\ttwice\tout of order\tlongest stall")
	for _, name := range names {
		r := rows[name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%v\n", name, r.times, r.requests, r.lost, r.twice, r.disordered, r.stall.Round(time.Millisecond))
	}
	_ = w.Flush()
	fmt.Fprintf(&text, "chaos: %d faults, %d requests, %d lost, %d twice, %d out of order, longest stall %v\n",
		len(injected), v.requests, len(v.lost), len(v.twice), len(v.disordered), total.stall.Round(time.Millisecond))
	c.t.Logf("what became of it:\n%s", text.String())
	if *chaosReport == "" {
		return
	}
	if err := os.WriteFile(*chaosReport, []byte(text.String()), 0o600); err != nil {
		c.t.Error(err)
	}
}
