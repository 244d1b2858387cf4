package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// liveRows are of the whole line, from POST to outcome.
func liveRows() []Row {
	return []Row{
		liveRateRow(), liveP50Row(), liveP99Row(), liveCPURow(), partitionsRow(), pollStormRow(), pollDrainRow(), overloadRow(), liveGrowthRow(),
	}
}

const bareLineIs = "a bare line (chi handler, produce in batches, fetch and one COPY, read by ID)"

func liveRateRow() Row {
	return Row{
		Name: "live_rate",
		What: "highest constant rate at which the lag does not grow, found as for end_to_end with all on this machine, against the rate of submit, which decides nothing",
		Unit: "charges/s",
		Goal: ratioAtLeast(0.50),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			submitted, err := r.submit(ctx, submitCallers)
			if err != nil {
				return Figures{}, err
			}
			highest, err := r.liveRate(ctx)
			if err != nil {
				return Figures{}, err
			}
			f := Figures{Ours: series{float64(highest)}, Limit: series{series(submitted.figures().Ours).median()}}
			return r.shortly(f), nil
		},
	}
}

func liveP50Row() Row {
	return liveRow("live_p50", "median of the time", 1.5, func(p passed) float64 { return float64(p.Outcome.P50) })
}

func liveP99Row() Row {
	return liveRow("live_p99", "99th percentile of the time", 2, func(p passed) float64 { return float64(p.Outcome.P99) })
}

func liveRow(name, what string, most float64, of func(passed) float64) Row {
	return Row{
		Name: name,
		What: fmt.Sprintf("%s from POST until the outcome is seen, polled for every %s, at half of the highest rate, against %s under the same requests",
			what, followEvery, bareLineIs),
		Unit: "ms",
		Goal: ratioAtMost(most),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.live(ctx)
			if err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(l.ours, l.bare, func(s sent) float64 { return of(s.passed) })
			f.Notes = []string{
				fmt.Sprintf("at %d/s; ours: %s", l.rate, describe(l.ours)),
				"bare: " + describe(l.bare),
			}
			return r.shortly(f), nil
		},
	}
}

func liveCPURow() Row {
	return Row{
		Name: "live_cpu",
		What: "CPU time of a charge in the rounds of live_p50, polls included, of all processes but the generator, against the bare line's",
		Unit: "µs",
		Goal: ratioAtMost(2),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.live(ctx)
			if err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(l.ours, l.bare, func(s sent) float64 { return s.cpu.Micros() })
			for i := range l.ours {
				f.OursCPU, f.LimitCPU = f.OursCPU.plus(l.ours[i].cpu), f.LimitCPU.plus(l.bare[i].cpu)
			}
			if series(f.Ours).smallest() == 0 || series(f.Limit).smallest() == 0 {
				return Figures{}, errors.New("this system has no /proc to read CPU time from")
			}
			f.Notes = []string{"ours: " + f.OursCPU.split(), "bare: " + f.LimitCPU.split()}
			return r.shortly(f), nil
		},
	}
}

// split is the time for one operation, by process.
func (c CPU) split() string {
	var each []string
	for _, u := range c.Uses {
		each = append(each, fmt.Sprintf("%s %s µs", u.Process, figure(u.Seconds*1e6/float64(max(1, c.Operations)))))
	}
	return strings.Join(each, ", ")
}

// shortly marks figures of loads that are shorter than those of the full form.
func (r *run) shortly(f Figures) Figures {
	if lasts := r.loadFor(); lasts < fullLoad {
		f.Mark = strings.TrimSpace(f.Mark + fmt.Sprintf(" (%s)", lasts))
	}
	return f
}

// figuresOfLegs are of rounds that were sent by turns.
func figuresOfLegs(ours, limit []sent, of func(sent) float64) Figures {
	var f Figures
	for i := range ours {
		f.Ours, f.Limit = append(f.Ours, of(ours[i])), append(f.Limit, of(limit[i]))
	}
	return f
}

// describe says what came of rounds, in medians.
func describe(rounds []sent) string {
	median := func(of func(passed) float64) string {
		var s series
		for _, x := range rounds {
			s = append(s, of(x.passed))
		}
		return figure(s.median())
	}
	var seen, polls, pollsRefused, refused, lost, unseen, notSent, taken int64
	for _, x := range rounds {
		seen, polls, pollsRefused = seen+x.Outcome.Count, polls+x.Polls, pollsRefused+x.PollsRefused
		refused, lost, unseen = refused+x.refused(), lost+x.Unknown, unseen+x.Unseen
		notSent, taken = notSent+x.NotSent, taken+x.Taken
	}
	text := fmt.Sprintf("accepted (202) p50 %s, p99 %s ms, sent p99 %s ms late",
		median(func(p passed) float64 { return float64(p.Accept.P50) }), median(func(p passed) float64 { return float64(p.Accept.P99) }),
		median(func(p passed) float64 { return float64(p.Late.P99) }))
	if seen > 0 {
		text = fmt.Sprintf("outcome p50 %s, p99 %s ms, ", median(func(p passed) float64 { return float64(p.Outcome.P50) }),
			median(func(p passed) float64 { return float64(p.Outcome.P99) })) + text
	}
	if polls > 0 {
		text += fmt.Sprintf(", %s polls a charge", figure(float64(polls)/float64(max(1, taken))))
	}
	for _, x := range []struct {
		what string
		n    int64
	}{{"refused", refused}, {"without a clear answer", lost}, {"not sent, since too many were in flight", notSent}, {"without an outcome in time", unseen}, {"polls refused", pollsRefused}} {
		if x.n > 0 {
			text += fmt.Sprintf("; %d %s", x.n, x.what)
		}
	}
	return text
}

// lived is what the rows of the whole line share.
type lived struct {
	rate       int
	ours, bare []sent
}

// live sends the same traffic over our line and the bare one, by turns, once in a run.
func (r *run) live(ctx context.Context) (*lived, error) {
	if r.lived != nil {
		return r.lived, nil
	}
	highest, err := r.liveRate(ctx)
	if err != nil {
		return nil, err
	}
	l := &lived{rate: max(1, highest/2)}
	err = r.onOurs(ctx, linePartitions, l.rate, func(ours *line, t traffic, w *world) (err error) {
		bare, err := r.startBareLine(ctx, w)
		defer func() { err = errors.Join(err, bare.stop()) }()
		if err != nil {
			return err
		}
		t.Follow = true
		if err := r.sendByTurns(ctx, &leg{t, ours, &l.ours}, &leg{t, bare, &l.bare}); err != nil {
			return err
		}
		return verified(ctx, w.database.url)
	})
	if err != nil {
		return nil, err
	}
	r.lived = l
	return l, nil
}

// leg is one of the ways that are measured by turns.
type leg struct {
	traffic
	line *line
	into *[]sent // the rounds
}

// traffic is charges of the world's wallets at a rate.
func (r *run) traffic(ctx context.Context, w *world, d *database, rate int) (t traffic, err error) {
	t.Rate, t.For = rate, r.loadFor()
	t.Submissions, t.Polls, err = r.submissions(ctx, w, d)
	return t, err
}

// sendByTurns sends the traffic of each leg for a moment, and then all of it in each round.
func (r *run) sendByTurns(ctx context.Context, legs ...*leg) error {
	return r.withGenerator(ctx, func(generator *part) error {
		for _, x := range legs {
			if err := x.warm(ctx, generator); err != nil {
				return err
			}
		}
		for range r.longRounds() {
			for _, x := range legs {
				if err := r.send(ctx, generator, x); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *run) withGenerator(ctx context.Context, do func(generator *part) error) error {
	generator, err := r.start(ctx, partTraffic, partEnviron()...)
	if err != nil {
		return err
	}
	return errors.Join(do(generator), generator.stop())
}

// warm sends the traffic for a moment, which is not measured.
func (x *leg) warm(ctx context.Context, generator *part) error {
	t := x.traffic
	t.For = warmLoad
	_, err := x.line.send(ctx, generator, t)
	return err
}

// send measures one round of a leg. It fails where there is nothing to measure.
func (r *run) send(ctx context.Context, generator *part, x *leg) error {
	began := time.Now()
	found, err := x.line.send(ctx, generator, x.traffic)
	switch {
	case err != nil:
		return err
	case found.Taken == 0, x.Follow && found.Outcome.Count == 0:
		return fmt.Errorf("nothing to measure on %s at %d/s: %s", x.line.name, x.Rate, describe([]sent{found}))
	}
	*x.into = append(*x.into, found)
	r.options.Log.Info("round measured", "line", x.line.name, "rate", x.Rate, "storm", x.Storm, "came", describe([]sent{found}),
		"cpu_us", figure(found.cpu.Micros()), "took", time.Since(began).Round(time.Millisecond))
	return nil
}
