package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/loadgen"
)

const (
	// endWallets are charged by each load, which opens them itself.
	endWallets = 100
	// endFollow is the share of charges that wait for their outcome on the POST; the
	// others tell when they were accepted.
	endFollow = 0.5
	// endInFlight bounds the requests of a load.
	endInFlight = 4_000
	// firstRate is tried first, and mostRate is the highest that is tried, charges a
	// second.
	firstRate = 1_000
	mostRate  = 100_000
	// leastAchieved is the share of a rate that must be sent for it to count as that
	// rate.
	leastAchieved = 0.95
	// warmLoad is how long a load comes before anything is measured.
	warmLoad = time.Second
)

// endToEnd is how long charges take from POST to outcome, in milliseconds by round,
// and what is the least that they could.
type endToEnd struct {
	p50, p99, least series
	notes           []string
	mark            string
}

func endToEndRow() Row {
	return endRow("end_to_end_p50", "median of the time", 2, func(e *endToEnd) Figures {
		return Figures{Ours: e.p50, Limit: e.least, Mark: e.mark, Notes: e.notes}
	})
}

func endToEndTailRow() Row {
	return endRow("end_to_end_p99", "99th percentile of the time", 8, func(e *endToEnd) Figures {
		return Figures{Ours: e.p99, Limit: e.least, Mark: e.mark}
	})
}

func endRow(name, what string, most float64, figures func(*endToEnd) Figures) Row {
	return Row{
		Name: name,
		What: what + " from POST to outcome visible (Prefer: wait), charges arriving at half of the highest constant rate at which the lag does not grow, " +
			"against the sum of the medians of one produce, one fetch and one commit alone",
		Unit:    "ms",
		Goal:    ratioAtMost(most),
		measure: figuresOf((*run).endToEnd, figures),
	}
}

// endToEnd finds the rate and measures at half of it, once in a run.
func (r *run) endToEnd(ctx context.Context) (*endToEnd, error) {
	if r.through != nil {
		return r.through, nil
	}
	e, err := onCopy(ctx, r, scale{partitions: 8, wallets: 8}, func(w *world, d *database) (*endToEnd, error) {
		return r.endToEndOn(ctx, w, d)
	})
	if err != nil {
		return nil, err
	}
	r.through = e
	return e, nil
}

func (r *run) endToEndOn(ctx context.Context, w *world, d *database) (_ *endToEnd, err error) {
	s, err := r.startSystem(ctx, w, d)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return nil, err
	}
	alone, err := r.steps(ctx, w, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, alone.close(ctx)) }()

	lasts, limit := r.loadFor(), r.rateLimit(mostRate)
	if _, err := s.load(ctx, min(firstRate, limit), warmLoad); err != nil {
		return nil, err
	}
	var tried []string
	highest, err := highestRate(min(firstRate, limit), limit, r.bisections(), func(rate int) (bool, error) {
		_, why, err := s.probe(ctx, rate, lasts)
		if err != nil {
			return false, err
		}
		r.options.Log.Info("rate tried", "rate", rate, "holds", why == "", "why", why)
		if why != "" {
			tried = append(tried, fmt.Sprintf("%d/s: %s", rate, why))
		}
		return why == "", nil
	})
	if err != nil {
		return nil, err
	}
	r.highest = highest
	rate := max(1, highest/2)
	e := &endToEnd{notes: rateNotes(highest, limit, rate, lasts, tried)}
	if lasts < fullLoad {
		e.mark = fmt.Sprintf("(%s)", lasts)
	}
	return e, s.measure(ctx, r, e, alone, rate, lasts)
}

// fullLoad is how long a load of the full form lasts.
const fullLoad = 30 * time.Second

func (r *run) loadFor() time.Duration {
	return time.Duration(r.choose(0, 4, int(fullLoad.Seconds()))) * time.Second
}

// rateLimit is the rate, or a lower one where that comes to more charges in a load than the
// options allow.
func (r *run) rateLimit(rate int) int {
	if r.options.Charges > 0 {
		return min(rate, max(1, int(float64(r.options.Charges)/r.loadFor().Seconds())))
	}
	return rate
}

// liveRate is the highest rate, which endToEnd finds; it is known too where the rest of that
// cannot be measured.
func (r *run) liveRate(ctx context.Context) (int, error) {
	if r.highest > 0 {
		return r.highest, nil
	}
	if _, err := r.endToEnd(ctx); r.highest == 0 || errors.Is(err, loadgen.ErrViolations) {
		return 0, fmt.Errorf("find the highest rate: %w", err)
	}
	return r.highest, nil
}

// bisections is how often the span between the highest rate that held and the
// lowest that did not is cut in two: from 2 to 1.19, or to 1.09.
func (r *run) bisections() int { return r.choose(0, 2, 3) }

// rateNotes say what was found, and how.
func rateNotes(highest, limit, rate int, lasts time.Duration, tried []string) []string {
	found := fmt.Sprintf("highest rate at which the lag does not grow for %s: %d/s", lasts, highest)
	if highest == limit {
		found += " at least (none higher was tried)"
	}
	notes := []string{found + fmt.Sprintf("; measured at %d/s", rate)}
	if lasts < fullLoad {
		notes[0] += fmt.Sprintf("; the full form tries each rate for %s", fullLoad)
	}
	if len(tried) > 0 {
		notes = append(notes, "did not hold: "+strings.Join(tried, "; "))
	}
	return notes
}

// highestRate looks for the highest rate that holds: it doubles, or halves, the
// first one until one holds and twice that does not, and then cuts the span in two.
// It is limit where that holds.
func highestRate(first, limit, bisections int, holds func(rate int) (bool, error)) (int, error) {
	best, bad := 0, 0
	for rate := first; best == 0 || bad == 0; {
		ok, err := holds(rate)
		switch {
		case err != nil:
			return 0, err
		case ok && rate == limit:
			return rate, nil
		case ok:
			best, rate = rate, min(2*rate, limit)
		case rate == 1:
			return 0, errors.New("not even one charge a second is settled as it comes")
		default:
			bad, rate = rate, rate/2
		}
	}
	for range bisections {
		middle := int(math.Round(math.Sqrt(float64(best) * float64(bad))))
		if middle <= best || middle >= bad {
			break
		}
		ok, err := holds(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			best = middle
		} else {
			bad = middle
		}
	}
	return best, nil
}

// unheld says why a rate did not hold; empty: it did.
func unheld(report loadgen.Report, seen lags, lasts time.Duration) string {
	var taken int64
	for answer, n := range report.Answers {
		if answer == "200" || answer == "202" {
			taken += n
		}
	}
	switch refused := int64(report.Submissions) - report.NotSent - report.LeftOut - taken; {
	case report.NotSent > 0:
		return fmt.Sprintf("%d were in flight and %d more could not be sent", report.InFlight, report.NotSent)
	case refused > 0:
		return fmt.Sprintf("%d of %d were refused", refused, report.Submissions)
	case report.Achieved < leastAchieved*float64(report.Rate):
		return fmt.Sprintf("only %.0f/s could be sent", report.Achieved)
	}
	middle, end, err := seen.growth(report.Began, lasts)
	if err != nil {
		return err.Error() // under a rate that holds there is time to look
	}
	if end > middle+lagSlack.Seconds()*float64(report.Rate) {
		return fmt.Sprintf("the lag was %.0f in the middle and %.0f at the end", middle, end)
	}
	return ""
}

// system is all that a charge goes through, and who sends it.
type system struct {
	run                         *run
	w                           *world
	d                           *database
	ingest, processor, loader   *part
	ingestAdmin, processorAdmin string
	options                     loadgen.Options
}

// startSystem starts an ingest, a processor and a load generator. What it returns is
// to be stopped even where it failed.
func (r *run) startSystem(ctx context.Context, w *world, d *database) (*system, error) {
	s, at, err := r.startServices(ctx, w, d)
	if err != nil {
		return s, err
	}
	if s.loader, err = r.start(ctx, partLoad, partEnviron()...); err != nil {
		return s, err
	}
	key, err := r.operatorKey(ctx, d)
	s.options = loadgen.Options{
		API: "http://" + at, Operator: key, Wallets: endWallets, Follow: endFollow, InFlight: endInFlight, Seed: 1,
	}
	return s, err
}

// startServices starts an ingest, whose address it returns, and a processor. What it returns
// is to be stopped even where it failed.
func (r *run) startServices(ctx context.Context, w *world, d *database) (s *system, at string, err error) {
	s = &system{run: r, w: w, d: d}
	if s.ingestAdmin, err = freeAddress(ctx); err != nil {
		return s, "", err
	}
	if s.processorAdmin, err = freeAddress(ctx); err != nil {
		return s, "", err
	}
	group, err := r.newGroup(ctx, d)
	if err != nil {
		return s, "", err
	}
	if s.processor, err = r.start(ctx, partProcessor,
		r.serviceEnviron(w, d.url, group, "ADMIN_ADDR="+s.processorAdmin)...); err != nil {
		return s, "", err
	}
	s.ingest, at, err = r.startIngest(ctx, w, d, "ADMIN_ADDR="+s.ingestAdmin)
	return s, at, err
}

func (s *system) stop() error {
	var faults []error
	for _, p := range []*part{s.loader, s.ingest, s.processor} {
		if p != nil {
			faults = append(faults, p.stop())
		}
	}
	return errors.Join(faults...)
}

// load puts a load on the system, and returns when every charge has its outcome.
func (s *system) load(ctx context.Context, rate int, lasts time.Duration) (loadgen.Report, error) {
	o := s.options
	o.Rate, o.For = rate, lasts
	report, err := s.loader.load(ctx, o)
	return report, errors.Join(err, s.ingest.check(), s.processor.check())
}

// probe is a load that says too why its rate does not hold; empty: it does.
func (s *system) probe(ctx context.Context, rate int, lasts time.Duration) (report loadgen.Report, why string, err error) {
	watch, err := s.run.watchLag(ctx, s.w, s.d)
	if err != nil {
		return report, "", err
	}
	report, err = s.load(ctx, rate, lasts)
	seen, watchErr := watch.end()
	if err := errors.Join(err, watchErr); err != nil {
		return report, "", err
	}
	return report, unheld(report, seen, lasts), nil
}

// measure measures the rounds: what the steps take alone, then what charges take.
func (s *system) measure(ctx context.Context, r *run, e *endToEnd, steps *steps, rate int, lasts time.Duration) error {
	var alones []alone
	var accepted50, accepted99, late99, decided50, decided99 series
	before, err := s.means(ctx)
	if err != nil {
		return err
	}
	for range r.longRounds() {
		least, err := steps.measure(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		report, err := s.load(ctx, rate, lasts)
		if err != nil {
			return err
		}
		if err := report.Err(); err != nil {
			return err
		}
		alones, e.least = append(alones, least), append(e.least, least.sum())
		e.p50, e.p99 = append(e.p50, float64(report.Outcome.P50)), append(e.p99, float64(report.Outcome.P99))
		accepted50, accepted99 = append(accepted50, float64(report.Accept.P50)), append(accepted99, float64(report.Accept.P99))
		late99 = append(late99, float64(report.Late.P99))
		p50, p99, err := s.decided(ctx, began)
		if err != nil {
			return err
		}
		decided50, decided99 = append(decided50, p50), append(decided99, p99)
		r.options.Log.Info("round measured", "rate", rate, "p50_ms", figure(float64(report.Outcome.P50)),
			"p99_ms", figure(float64(report.Outcome.P99)), "least_ms", figure(least.sum()))
	}
	after, err := s.means(ctx)
	if err != nil {
		return err
	}
	typical := typical(alones)
	e.notes = append(e.notes,
		fmt.Sprintf("alone, p50: produce %s ms, fetch %s ms, commit %s ms", figure(typical.produce), figure(typical.fetch), figure(typical.commit)),
		fmt.Sprintf("accepted (202) after p50 %s ms, p99 %s ms; decided, before the commit, p50 %s ms, p99 %s ms after receipt; sent p99 %s ms late",
			figure(accepted50.median()), figure(accepted99.median()), figure(decided50.median()), figure(decided99.median()), figure(late99.median())),
		after.since(before))
	return nil
}

// decided is how long after its receipt a charge was decided, in milliseconds, of
// those since then.
func (s *system) decided(ctx context.Context, since time.Time) (p50, p99 float64, err error) {
	err = s.run.withConn(ctx, s.d.url, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `
			select percentile_cont(0.5) within group (order by took), percentile_cont(0.99) within group (order by took)
			from (select extract(epoch from decided_at - received_at)::float8 * 1000 as took
				from operations where kind = 'charge' and decided_at >= $1) charges`, since).Scan(&p50, &p99)
	})
	return p50, p99, err
}

// means are sums and counts of what the services measure themselves.
type means struct{ produces, produceSeconds, settles, settleSeconds, queries, querySeconds float64 }

func (s *system) means(ctx context.Context) (m means, err error) {
	for _, x := range []struct {
		admin, name string
		into        *float64
	}{
		{s.ingestAdmin, "monedero_kafka_produce_batch_seconds_count", &m.produces},
		{s.ingestAdmin, "monedero_kafka_produce_batch_seconds_sum", &m.produceSeconds},
		{s.processorAdmin, "monedero_settle_seconds_count", &m.settles},
		{s.processorAdmin, "monedero_settle_seconds_sum", &m.settleSeconds},
		{s.ingestAdmin, "monedero_lookup_seconds_count", &m.queries},
		{s.ingestAdmin, "monedero_lookup_seconds_sum", &m.querySeconds},
	} {
		if *x.into, err = readMetric(ctx, x.admin, x.name); err != nil {
			return m, err
		}
	}
	return m, nil
}

// since says what came to pass between, on average.
func (m means) since(before means) string {
	mean := func(seconds, count float64) string { return figure(seconds / max(1, count) * 1000) }
	return fmt.Sprintf("on average a batch is produced in %s ms and settled in %s ms, waiting included, and a query for outcomes takes %s ms",
		mean(m.produceSeconds-before.produceSeconds, m.produces-before.produces),
		mean(m.settleSeconds-before.settleSeconds, m.settles-before.settles),
		mean(m.querySeconds-before.querySeconds, m.queries-before.queries))
}
