package bench

import "context"

// walRow: what settling writes besides the rows themselves.
func walRow() Row {
	return Row{
		Name: "wal",
		What: "bytes of WAL for each charge settled in the rounds of drain, against COPY's for each row",
		Unit: "bytes",
		Goal: ratioAtMost(1.15),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.settle(ctx, r.baseSpec())
			if err != nil {
				return Figures{}, err
			}
			f := l.figures(func(d drained) float64 { return d.wal }, func(c copied) float64 { return c.wal })
			f.OursCPU, f.LimitCPU = CPU{}, CPU{} // as in drain
			return f, nil
		},
	}
}
