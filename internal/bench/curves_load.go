package bench

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/monedero/monedero/internal/loadgen"
)

// curveLoad is how long charges arrive at each rate.
const curveLoad = 5 * time.Second

// loadRates are the rates, charges a second, until one does not hold.
func loadRates() []int {
	return []int{100, 200, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 15_000, 20_000, 30_000, 50_000, mostRate}
}

// The lines of the curve load.
const (
	lineAccepted50 = "accepted, median"
	lineAccepted99 = "accepted, p99"
	lineOutcome50  = "outcome, median"
	lineOutcome99  = "outcome, p99"
)

// loadCurve is latency against load, up to the first rate that does not hold, which is its
// last point.
func loadCurve() curve {
	return curve{
		name: "load", title: "Load (8 partitions, 100 wallets, one ingest, one processor, all on one machine)",
		x: "charges a second that arrive", y: "ms from POST", logX: true, logY: true, rising: true,
		lines: []string{lineOutcome99, lineOutcome50, lineAccepted99, lineAccepted50},
		measure: func(ctx context.Context, r *run, _ CurveOptions) ([]Point, error) {
			return onCopy(ctx, r, scale{partitions: 8, wallets: 8}, func(w *world, d *database) ([]Point, error) {
				return r.loadPoints(ctx, w, d)
			})
		},
	}
}

func (r *run) loadPoints(ctx context.Context, w *world, d *database) (points []Point, err error) {
	s, err := r.startSystem(ctx, w, d)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return nil, err
	}
	if _, err := s.load(ctx, firstRate, warmLoad); err != nil {
		return nil, err
	}
	rates := loadRates()
	for round := range r.rounds() {
		for i := 0; i < len(rates); i++ {
			report, why, err := s.probe(ctx, rates[i], curveLoad)
			if err != nil {
				return nil, err
			}
			r.options.Log.Info("rate measured", "rate", rates[i], "p50_ms", figure(float64(report.Outcome.P50)), "holds", why == "", "why", why)
			if round == 0 {
				points = append(points, Point{X: float64(rates[i]), Lines: map[string]series{}})
				if why != "" {
					rates = rates[:i+1] // the later rounds end there too
				}
			}
			points[i].addLatency(report)
		}
	}
	return points, nil
}

func (p *Point) addLatency(report loadgen.Report) {
	for name, ms := range map[string]loadgen.Millis{
		lineAccepted50: report.Accept.P50, lineAccepted99: report.Accept.P99, lineOutcome50: report.Outcome.P50, lineOutcome99: report.Outcome.P99,
	} {
		p.Lines[name] = append(p.Lines[name], float64(ms))
	}
}

// The lines of the curves of submissions.
const (
	lineIngest = "ingest"
	lineBare   = "bare handler that produces the same bytes"
)

// submitCurve is one figure of submissions by more and more callers. All of these
// curves are of the same rounds.
func submitCurve(name, y string, of func(called) float64) curve {
	return curve{
		name: name, title: "Callers that submit (8 partitions, 1,000 wallets, one ingest)", x: "callers, each with one request at a time",
		y: y, logX: true, rising: true, lines: []string{lineIngest, lineBare},
		measure: func(ctx context.Context, r *run, _ CurveOptions) ([]Point, error) {
			var points []Point
			for _, callers := range []int{1, 16, submitCallers, 256} {
				a, err := r.submit(ctx, callers)
				if err != nil {
					return nil, err
				}
				p := Point{X: float64(callers), Lines: map[string]series{}, CPU: map[string]*jsonCPU{
					lineIngest: newJSONCPU(a.oursCPU), lineBare: newJSONCPU(a.limitCPU),
				}}
				for i := range a.ours {
					p.Lines[lineIngest] = append(p.Lines[lineIngest], rounded(of(a.ours[i])))
					p.Lines[lineBare] = append(p.Lines[lineBare], rounded(of(a.limit[i])))
				}
				points = append(points, p)
			}
			return points, nil
		},
	}
}

// rounded leaves two digits behind the point.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }
