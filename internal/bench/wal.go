package bench

// walRow: what settling writes besides the rows themselves.
func walRow() Row {
	return Row{
		Name: "wal",
		What: "bytes of WAL for each charge settled in the rounds of drain, against COPY's for each row",
		Unit: "bytes",
		Goal: ratioAtMost(1.15),
		measure: figuresOf((*run).base, func(l *legs) Figures {
			f := l.figures(func(d drained) float64 { return d.wal }, func(c copied) float64 { return c.wal })
			f.OursCPU, f.LimitCPU = CPU{}, CPU{} // as in drain
			return f
		}),
	}
}
