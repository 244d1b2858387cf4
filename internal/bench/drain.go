package bench

import "context"

// drainRow: how fast a full topic is settled.
func drainRow() Row {
	return Row{
		Name: "drain",
		What: "charges settled a second from a full topic (8 partitions, 1,000 wallets, one processor), against COPY of the very same rows, " +
			"already encoded, into the same table with the same indexes, in the same transactions, over as many connections",
		Unit: "charges/s",
		Goal: ratioAtLeast(0.80),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.settle(ctx, r.baseSpec())
			if err != nil {
				return Figures{}, err
			}
			return l.figures(func(d drained) float64 { return d.rate }, func(c copied) float64 { return c.rate }), nil
		},
	}
}
