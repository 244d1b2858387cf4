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
	s.empty, s.warm, s.stored = true, true, r.choose(r.options.Stored, storedQuick, storedFull)
	return s
}

// grown says of figures what must be known about the history that they are of.
func (r *run) grown(f Figures) Figures {
	f.Notes = append(f.Notes, "what is stored was written by SQL, as charges of 50 for each wallet; its digests are none")
	if stored := r.grownSpec().stored; stored != storedFull {
		f.Mark = fmt.Sprintf("(at %g million)", float64(stored)/1e6)
		f.Notes = append(f.Notes, fmt.Sprintf("measured with %d operations stored; the goal is for %d", stored, storedFull))
	}
	return f
}

// grownWarm is grown, of rounds that are measured from their middle on.
func (r *run) grownWarm(f Figures) Figures {
	f.Notes = append(f.Notes, "the first half of each round is not measured: right after a checkpoint every page is written to the WAL whole")
	return r.grown(f)
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
			return r.grownWarm(l.figures(func(d drained) float64 { return d.rate }, func(c copied) float64 { return c.rate })), nil
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
			var f Figures
			for i := range l.copies {
				f.Ours, f.Limit = append(f.Ours, l.copies[i].rate), append(f.Limit, l.empty[i].rate)
				f.OursCPU, f.LimitCPU = f.OursCPU.plus(l.copies[i].cpu), f.LimitCPU.plus(l.empty[i].cpu)
			}
			return r.grownWarm(f), nil
		},
	}
}
