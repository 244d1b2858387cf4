package bench

import (
	"context"
	"fmt"
)

const (
	// overloadTimes of the highest rate are sent, and floodTimes of it where nearly all is to be refused.
	overloadTimes = 1.5
	floodTimes    = 8
)

// overloadRow: whether more is taken when more comes than can be settled, or less.
func overloadRow() Row {
	return Row{
		Name: "overload",
		What: fmt.Sprintf("charges taken (202) a second when %g times the highest rate are sent, against when the highest rate is", overloadTimes),
		Unit: "charges/s",
		Goal: ratioAtLeast(0.80),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			highest, err := r.liveRate(ctx)
			if err != nil {
				return Figures{}, err
			}
			submitted, err := r.submit(ctx, submitCallers)
			if err != nil {
				return Figures{}, err
			}
			var held, over, flood []sent
			if err := r.onOurs(ctx, linePartitions, highest, func(ours *line, t traffic, _ *world) error {
				more, most := t, t
				more.Rate, most.Rate = int(overloadTimes*float64(highest)), min(floodTimes*highest, mostRate)
				return r.sendByTurns(ctx, &leg{t, ours, &held}, &leg{more, ours, &over}, &leg{most, ours, &flood})
			}); err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(over, held, func(s sent) float64 { return s.rate(r.loadFor()) })
			f.Notes = []string{
				fmt.Sprintf("at the highest rate, %d/s: %s", highest, describe(held)),
				fmt.Sprintf("at %g times of it: %s (the goal for accepted is twice the above)", overloadTimes, describe(over)),
				refusals(submitted.oursCPU, flood),
			}
			return r.shortly(f), nil
		},
	}
}

// refusals says what a refusal costs ingest, beside a charge that is taken. What the charges that were taken in the flood cost
// is left out: each as much as one of submit, which travel in batches as large.
func refusals(submitted CPU, flood []sent) string {
	var all CPU
	var refused, came int64
	for _, s := range flood {
		all = all.plus(s.cpu)
		refused, came = refused+s.refused(), came+s.Answers.Sum()
	}
	text := fmt.Sprintf("at %d times of it %d of the %d that could be sent were refused", floodTimes, refused, came)
	if refused == 0 || len(all.Uses) == 0 || submitted.Operations == 0 {
		return text
	}
	charge := submitted.of("ingest") * 1e6 / float64(submitted.Operations)
	refusal := (all.of("ingest")*1e6 - charge*float64(all.Operations)) / float64(refused)
	return text + fmt.Sprintf("; a refusal takes ingest %s µs of CPU, and a charge of submit %s (the goal is a fifth)", figure(refusal), figure(charge))
}

// of is the time of one process, in seconds.
func (c CPU) of(process string) float64 {
	for _, u := range c.Uses {
		if u.Process == process {
			return u.Seconds
		}
	}
	return 0
}
