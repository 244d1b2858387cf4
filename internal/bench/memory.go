package bench

import (
	"context"
	"errors"
)

// maxMemory is what a processor may take, in MB.
const maxMemory = 100

// memoryRow: how large a processor grows.
func memoryRow() Row {
	return Row{
		Name: "memory",
		What: "largest resident size of the processor in the rounds of drain, the worst round",
		Unit: "MB",
		Goal: oursAtMost(maxMemory, "MB"),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			l, err := r.base(ctx)
			if err != nil {
				return Figures{}, err
			}
			f := l.figures(func(d drained) float64 { return d.peak }, func(copied) float64 { return maxMemory })
			f.Worst, f.OursCPU, f.LimitCPU = true, CPU{}, CPU{}
			if series(f.Ours).smallest() == 0 {
				return Figures{}, errors.New("this system has no /proc to read it from")
			}
			return f, nil
		},
	}
}
