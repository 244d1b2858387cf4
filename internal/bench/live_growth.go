package bench

import (
	"context"
	"errors"
)

// liveGrowthRow: whether charges wait longer as the history grows.
func liveGrowthRow() Row {
	return Row{
		Name: "live_growth",
		What: "median of the time from POST until the outcome is seen at half of the highest rate where 10 million operations are stored already, " +
			"against where none are",
		Unit: "ms",
		Goal: ratioAtMost(1.2),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			highest, err := r.liveRate(ctx)
			if err != nil {
				return Figures{}, err
			}
			grown, empty, err := r.liveGrown(ctx, max(1, highest/2))
			if err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(grown, empty, outcomeP50)
			f.Notes = []string{"with the history: " + describe(grown), "without: " + describe(empty)}
			return r.shortly(r.grown(f)), nil
		},
	}
}

func outcomeP50(s sent) float64 { return float64(s.Outcome.P50) }

// liveGrown sends the same traffic where operations are stored and where none are, by turns. The world is that of
// growth. Its topic is settled before, and what was sent to the other side, which is in it too.
func (r *run) liveGrown(ctx context.Context, rate int) (grown, empty []sent, err error) {
	spec := r.grownSpec()
	w, err := r.world(ctx, spec.scale)
	if err != nil {
		return nil, nil, err
	}
	stored, err := r.history(ctx, w, spec.stored)
	if err != nil {
		return nil, nil, err
	}
	// Its topic is written to from here on: it is no world for others.
	delete(r.worlds, spec.scale)
	delete(r.histories, historyOf{spec.scale, spec.stored})
	var legs []*leg
	var databases []*database
	defer func() {
		for _, d := range databases {
			err = errors.Join(err, d.drop())
		}
	}()
	for _, side := range []struct {
		template *database
		into     *[]sent
	}{{stored, &grown}, {w.database, &empty}} {
		d, err := r.copyOf(ctx, side.template.name)
		if err != nil {
			return nil, nil, err
		}
		t, err := r.traffic(ctx, w, d, rate)
		if err != nil {
			return nil, nil, err
		}
		t.Follow = true
		legs, databases = append(legs, &leg{traffic: t, into: side.into}), append(databases, d)
	}
	return grown, empty, r.withGenerator(ctx, func(generator *part) error {
		for range r.longRounds() {
			for i, x := range legs {
				if err := r.sendAlone(ctx, generator, x, w, databases[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// sendAlone measures one round of a leg on a line of ours that is started for it.
func (r *run) sendAlone(ctx context.Context, generator *part, x *leg, w *world, d *database) error {
	return r.withOurs(ctx, w, d, func(ours *line) error {
		x.line = ours
		if err := x.warm(ctx, generator); err != nil {
			return err
		}
		return r.send(ctx, generator, x)
	})
}
