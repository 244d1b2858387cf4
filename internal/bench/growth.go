package bench

import (
	"context"
	"fmt"
)

// The operations that are stored before, in each form.
const (
	storedFull  = 10_000_000
	storedQuick = 1_000_000
)

func (r *run) grownSpec() settleSpec {
	s := r.baseSpec()
	s.empty = true
	s.stored = storedFull
	if r.options.Quick {
		s.stored = storedQuick
	}
	return s
}

// grownNotes say what else must be known about a history.
func (r *run) grownNotes() []string {
	notes := []string{"what is stored was written by SQL, as charges of 50 for each wallet; its digests are none"}
	if r.options.Quick {
		notes = append(notes, fmt.Sprintf("QUICK: at %d operations stored; the goal is for %d", storedQuick, storedFull))
	}
	return notes
}

// growthRow: whether settling keeps up with COPY as the history grows.
func growthRow() Row {
	return Row{
		Name: "growth",
		What: "drain where 10 million operations are stored already, against COPY of the same rows into the same table of that size",
		Unit: "charges/s",
		Goal: ratioAtLeast(0.80),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.settle(ctx, r.grownSpec())
			if err != nil {
				return Figures{}, err
			}
			f := l.figures(func(d drained) float64 { return d.rate }, func(c copied) float64 { return c.rate })
			f.Notes = r.grownNotes()
			return f, nil
		},
	}
}

// copyGrowthRow: what the indexes cost as the history grows.
func copyGrowthRow() Row {
	return Row{
		Name: "copy_growth",
		What: "rows copied a second into the table that holds 10 million operations, against the same rows into the empty one",
		Unit: "rows/s",
		Goal: ratioAtLeast(0.70),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.settle(ctx, r.grownSpec())
			if err != nil {
				return Figures{}, err
			}
			f := Figures{Notes: r.grownNotes()}
			for i := range l.copies {
				f.Ours, f.Limit = append(f.Ours, l.copies[i].rate), append(f.Limit, l.empty[i].rate)
				f.OursCPU, f.LimitCPU = f.OursCPU.plus(l.copies[i].cpu), f.LimitCPU.plus(l.empty[i].cpu)
			}
			return f, nil
		},
	}
}
