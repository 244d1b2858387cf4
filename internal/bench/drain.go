package bench

// drainRow: how fast a full topic is settled.
func drainRow() Row {
	return Row{
		Name: "drain",
		What: "charges settled a second from a full topic (8 partitions, 1,000 wallets, one processor), against COPY of the very same rows, " +
			"already encoded, into the same table with the same indexes, in the same transactions, over as many connections",
		Unit: "charges/s",
		Goal: ratioAtLeast(0.80),
		measure: figuresOf((*run).base, func(l *legs) Figures {
			return l.figures(func(d drained) float64 { return d.rate }, func(c copied) float64 { return c.rate })
		}),
	}
}
