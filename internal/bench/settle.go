package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

const (
	// The progress is read often to see the first charges settled and the last, and
	// seldom between: to read it takes CPU that is measured too.
	pollLeast = 5 * time.Millisecond
	pollMost  = 100 * time.Millisecond
	megabyte  = 1 << 20
	// Settles of one processor that run at once, and so the connections that it
	// writes through, are as many as its partitions, and no more than these.
	maxSettles = 16
)

// settleSpec is one way to settle a topic from its first charge to its last.
type settleSpec struct {
	scale
	stored     int // operations that are stored already when it begins
	processors int
	batch      int  // BATCH_SIZE; 0: the default
	empty      bool // COPY is also measured where nothing is stored
	// The first half is settled, or copied, before the clock starts. Each round begins
	// right after a checkpoint, when every page of the indexes that is touched first is
	// written to the WAL whole: a stored history has so many pages that this would be
	// measured instead of what lasts.
	warm bool
}

// legs are the rounds of a spec: settled by processors, and the very same rows by
// COPY.
type legs struct {
	drains []drained
	copies []copied
	empty  []copied // into a table without the stored operations
}

// drained is what one round of settling came to.
type drained struct {
	rate float64 // charges a second
	wal  float64 // bytes a charge
	peak float64 // of the largest processor, in MB; 0: the system does not say
	cpu  CPU
}

// copied is what one round of COPY came to.
type copied struct {
	rate float64 // rows a second
	wal  float64 // bytes a row
	cpu  CPU
}

// baseSpec is what the rows have in common: one processor, as it is by default.
func (r *run) baseSpec() settleSpec {
	return settleSpec{scale: scale{partitions: 8, wallets: 1_000, charges: r.charges()}, processors: 1}
}

// base are the rounds of that spec.
func (r *run) base(ctx context.Context) (*legs, error) { return r.settle(ctx, r.baseSpec()) }

// settle measures the rounds of a spec, or returns what was measured of it before:
// several rows read the same rounds.
func (r *run) settle(ctx context.Context, s settleSpec) (*legs, error) {
	if l := r.settled[s]; l != nil {
		return l, nil
	}
	found, err := r.settleInTurn(ctx, []settleSpec{s})
	if err != nil {
		return nil, err
	}
	r.settled[s] = found[0]
	return found[0], nil
}

// settleInTurn measures the rounds of several specs: one of each, then the next one
// of each, so that what else the machine does meanwhile falls on all of them.
func (r *run) settleInTurn(ctx context.Context, specs []settleSpec) ([]*legs, error) {
	worlds, templates, found := make([]*world, len(specs)), make([]*database, len(specs)), make([]*legs, len(specs))
	for i, s := range specs {
		w, err := r.world(ctx, s.scale)
		if err != nil {
			return nil, err
		}
		worlds[i], templates[i], found[i] = w, w.database, &legs{}
		if s.stored > 0 {
			if templates[i], err = r.history(ctx, w, s.stored); err != nil {
				return nil, err
			}
		}
	}
	for round := range r.rounds() {
		for i, s := range specs {
			if err := r.settleRound(ctx, worlds[i], s, templates[i], found[i], round == r.rounds()-1); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// settleRound settles and copies once. In the last round the checker looks at what
// was settled.
func (r *run) settleRound(ctx context.Context, w *world, s settleSpec, template *database, l *legs, last bool) (err error) {
	d, err := r.copyOf(ctx, template.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.drop()) }()
	began := time.Now()
	ours, err := r.drain(ctx, w, s, d, last && s.stored == 0)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	copies := []*[]copied{&l.copies}
	templates := []*database{template}
	if s.empty {
		copies, templates = append(copies, &l.empty), append(templates, w.database)
	}
	for i := range copies {
		into, err := r.copyOf(ctx, templates[i].name)
		if err != nil {
			return err
		}
		c, err := r.copyRows(ctx, w, s, d, into, began)
		if err := errors.Join(err, into.drop()); err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		*copies[i] = append(*copies[i], c)
	}
	l.drains = append(l.drains, ours)
	r.options.Log.Info("round measured", "stored", s.stored, "partitions", s.partitions, "wallets", s.wallets,
		"processors", s.processors, "batch", s.batch,
		"settled_per_second", figure(ours.rate), "copied_per_second", figure(l.copies[len(l.copies)-1].rate))
	return nil
}

// drainCopy settles once on a database of its own.
func (r *run) drainCopy(ctx context.Context, s settleSpec, verify bool) (drained, error) {
	return onCopy(ctx, r, s.scale, func(w *world, d *database) (drained, error) {
		return r.drain(ctx, w, s, d, verify)
	})
}

// stand is how far a database is, at one moment.
type stand struct {
	at      time.Time
	offsets int64 // settled, of all partitions
	wal     int64 // bytes, since the server was made
	owners  []string
	used    map[string]time.Duration
}

func readStand(ctx context.Context, conn *pgx.Conn) (s stand, err error) {
	err = conn.QueryRow(ctx, `select sum(next_offset)::bigint, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
		array_agg(distinct coalesce(owner, '')) from partition_progress`).Scan(&s.offsets, &s.wal, &s.owners)
	s.at = time.Now()
	return s, err
}

// shared reports whether each of the processes has a partition.
func (s stand) shared(pids []int) bool {
	for _, pid := range pids {
		if !slices.ContainsFunc(s.owners, func(owner string) bool { return owns(owner, pid) }) {
			return false
		}
	}
	return true
}

// drain starts processors on a database and measures them from the first charges
// that are settled (where the spec is warm, from half of them on), once each processor has partitions, to the last. Rate
// and CPU time are of that time; the WAL is of all charges, from before the processors start.
func (r *run) drain(ctx context.Context, w *world, s settleSpec, d *database, verify bool) (found drained, err error) {
	err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		began := time.Now()
		before, err := readBooks(ctx, conn, began)
		if err != nil {
			return err
		}
		found, err = r.drainOn(ctx, w, s, d, conn)
		if err != nil {
			return err
		}
		after, err := readBooks(ctx, conn, began)
		if err != nil {
			return err
		}
		return after.follow(before, w.tally)
	})
	if err == nil && verify {
		err = verified(ctx, d.url)
	}
	return found, err
}

func (r *run) drainOn(ctx context.Context, w *world, s settleSpec, d *database, conn *pgx.Conn) (found drained, err error) {
	start, err := readStand(ctx, conn)
	if err != nil {
		return found, err
	}
	group, err := r.newGroup(ctx, d)
	if err != nil {
		return found, err
	}
	environ := r.serviceEnviron(w, d.url, group)
	if s.batch > 0 {
		environ = append(environ, "BATCH_SIZE="+strconv.Itoa(s.batch))
	}
	c := &crew{run: r, environ: environ}
	defer func() { err = errors.Join(err, c.stop()) }()
	for range s.processors {
		if err := c.join(ctx); err != nil {
			return found, err
		}
	}
	processes := r.metered("processor", c.parts...)
	pids := processes[0].pids
	// What was used is read before the progress at the start and after it at the
	// end, so that no time of the charges between is left out.
	var first, now stand
	from, total := start.offsets, start.offsets+w.tally.charges
	if s.warm {
		from += w.tally.charges / 2
	}
	deadline := time.Now().Add(settleTimeout)
	for {
		var used map[string]time.Duration
		if first.at.IsZero() {
			used = read(processes)
		}
		if now, err = readStand(ctx, conn); err != nil {
			return found, err
		}
		if first.at.IsZero() && now.offsets > from && now.shared(pids) {
			first, first.used = now, used
		}
		if now.offsets >= total {
			break
		}
		if now.at.After(deadline) {
			return found, fmt.Errorf("after %s only %d of %d charges are settled", settleTimeout, now.offsets-start.offsets, w.scale.charges)
		}
		for _, p := range c.parts {
			err = errors.Join(err, p.check())
		}
		if err := errors.Join(err, pause(ctx, nextPoll(first, now, total))); err != nil {
			return found, err
		}
	}
	now.used = read(processes)
	settled := now.offsets - first.offsets
	if first.at.IsZero() || settled <= 0 {
		return found, fmt.Errorf("%d charges are settled too fast to be measured", w.scale.charges)
	}
	found = drained{
		rate: float64(settled) / now.at.Sub(first.at).Seconds(),
		wal:  float64(now.wal-start.wal) / float64(w.tally.charges),
		cpu:  between(processes, first.used, now.used, settled),
	}
	for _, p := range c.parts {
		if peak, ok := peakMemory(p.pid()); ok {
			found.peak = max(found.peak, float64(peak)/megabyte)
		}
	}
	return found, nil
}

// nextPoll is how long to wait until the progress is read again: a quarter of the
// time that the rest will take at the rate until now, within bounds.
func nextPoll(first, now stand, total int64) time.Duration {
	settled := now.offsets - first.offsets
	if first.at.IsZero() || settled <= 0 {
		return pollLeast
	}
	rest := time.Duration(float64(now.at.Sub(first.at)) * float64(total-now.offsets) / float64(settled))
	return min(max(rest/4, pollLeast), pollMost)
}

// books are sums over a database.
type books struct {
	accepted, failed, other      int64 // charges, refunds, holds and captures; operations that failed; records that became no operation
	duplicates                   int64 // records that came again
	charged, inWallets, anywhere int64 // minor units; what refunds gave back is not charged
}

// readBooks counts the operations that were decided since then.
func readBooks(ctx context.Context, conn *pgx.Conn, since time.Time) (b books, err error) {
	err = conn.QueryRow(ctx, `
		select count(*) filter (where kind in ('charge', 'refund', 'hold', 'capture') and reason is null), count(*) filter (where reason is not null),
			coalesce(sum(case kind when 'charge' then amount when 'refund' then -moved when 'capture' then moved end) filter (where reason is null), 0)::bigint,
			(select sum(conflicts + dead + gaps) from partition_progress)::bigint,
			(select sum(duplicates) from partition_progress)::bigint,
			(select sum(balance) from wallets)::bigint,
			(select sum(balance) from account_balances)::bigint + (select sum(balance) from wallets)::bigint
		from operations where decided_at >= $1`, since).
		Scan(&b.accepted, &b.failed, &b.charged, &b.other, &b.duplicates, &b.inWallets, &b.anywhere)
	if err != nil {
		return b, fmt.Errorf("read the books: %w", err)
	}
	return b, nil
}

// tally is how many requests came, and what they take in minor units.
type tally struct{ charges, amount int64 }

func (t *tally) add(q ledger.Request) {
	t.charges++
	switch q.Kind {
	case ledger.KindRefund:
		t.amount -= q.Amount
	case ledger.KindHold: // it stays in the wallet
	default:
		t.amount += q.Amount
	}
}

// follow fails unless these charges, and nothing else, came between.
func (b books) follow(before books, came tally) error {
	want := before
	want.accepted += came.charges
	want.charged += came.amount
	want.inWallets -= came.amount
	if b != want {
		return fmt.Errorf("money came out wrong: the books say %+v, and must say %+v", b, want)
	}
	return nil
}

// verified lets the checker look at every row.
func verified(ctx context.Context, address string) error {
	store, err := postgres.Connect(ctx, address, postgres.Options{Application: "bench"})
	if err != nil {
		return err
	}
	defer store.Close()
	report, err := store.Verify(ctx)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !report.OK() {
		return fmt.Errorf("money came out wrong: %s; first: %s", report, report.Violations[0])
	}
	return nil
}

// figures put a figure of our rounds beside one of COPY's.
func (l *legs) figures(ours func(drained) float64, limit func(copied) float64) Figures {
	var f Figures
	for i := range l.drains {
		f.Ours = append(f.Ours, ours(l.drains[i]))
		f.Limit = append(f.Limit, limit(l.copies[i]))
		f.OursCPU = f.OursCPU.plus(l.drains[i].cpu)
		f.LimitCPU = f.LimitCPU.plus(l.copies[i].cpu)
	}
	return f
}
