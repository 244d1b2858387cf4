package bench

import (
	"context"
	"fmt"
)

const (
	// partitionsRate is how many charges a second arrive, and manyPartitions over how many
	// partitions they are spread.
	partitionsRate = 1_000
	manyPartitions = 64
)

// partitionsRow: what it costs to spread charges over many partitions.
func partitionsRow() Row {
	return Row{
		Name: "partitions",
		What: fmt.Sprintf("median of the time from POST until the outcome is seen at %d charges a second over %d partitions, against 1 partition",
			partitionsRate, manyPartitions),
		Unit: "ms",
		Goal: ratioAtMost(1.5),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			var many, one []sent
			rate := r.rateLimit(partitionsRate)
			err := r.onOurs(ctx, manyPartitions, rate, func(of64 *line, t64 traffic, _ *world) error {
				return r.onOurs(ctx, 1, rate, func(of1 *line, t1 traffic, _ *world) error {
					t64.Follow, t1.Follow = true, true
					return r.sendByTurns(ctx, &leg{t64, of64, &many}, &leg{t1, of1, &one})
				})
			})
			if err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(many, one, outcomeP50)
			f.Notes = []string{fmt.Sprintf("%d partitions: %s", manyPartitions, describe(many)), "1 partition: " + describe(one)}
			if rate < partitionsRate {
				f.Mark = fmt.Sprintf("(at %d/s)", rate)
			}
			return r.shortly(f), nil
		},
	}
}
