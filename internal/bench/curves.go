package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// CurvesFile is the name of the file that holds the measured curves. Beside it lies
// one SVG for each, named after the curve.
const CurvesFile = "curves.json"

// What is measured where the options say nothing.
const (
	curveRounds  = 2
	curveCharges = 60_000
)

// CurveOptions say which curves are measured, and where to.
type CurveOptions struct {
	To   string   // the folder; it is made where it is missing
	Only []string // names of curves; none: all of them

	// Rounds and Charges are how often each point is measured and how many charges a
	// round of it settles; 0: 2 and 60,000.
	Rounds, Charges int
	// Stored are the points of the curve stored; none: 0, 1 and 3 million.
	Stored []int

	DatabaseURL string       // as in [Options]
	Executable  string       // as in [Options]
	Log         *slog.Logger // what is being measured; nil: nothing
}

// curve is a way to change one thing and to measure others.
type curve struct {
	name  string
	title string
	x, y  string // the axes
	// logX and logY make an axis logarithmic.
	logX, logY bool
	rising     bool     // from the lower left to the upper right
	lines      []string // what is measured
	measure    func(context.Context, *run, CurveOptions) ([]Point, error)
}

// The lines of curves that settle.
const (
	lineSettled = "settled"
	lineCopied  = "COPY of the same rows"
)

// settling makes a curve of what is settled a second.
func settling(c curve, points func(base settleSpec, o CurveOptions) []curveSpec) curve {
	c.y, c.lines = "charges (rows) a second", []string{lineSettled, lineCopied}
	c.measure = func(ctx context.Context, r *run, o CurveOptions) ([]Point, error) {
		return r.settlePoints(ctx, points(r.baseSpec(), o))
	}
	return c
}

// curveSpec is one point before it is measured.
type curveSpec struct {
	x    float64
	spec settleSpec
}

// curves lists what can be measured, in the order in which it is.
func curves() []curve {
	return []curve{
		settling(curve{
			name: "stored", title: "Operations stored already (8 partitions, 1,000 wallets, one processor)", x: "operations stored, millions",
		}, func(base settleSpec, o CurveOptions) []curveSpec {
			stored := o.Stored
			if len(stored) == 0 {
				stored = []int{0, 1_000_000, 3_000_000}
			}
			return vary(base, stored, func(s *settleSpec, n int) float64 {
				s.stored, s.warm = n, true
				return float64(n) / 1e6
			})
		}),
		settling(curve{
			name: "batch", title: "Batch size (8 partitions, 1,000 wallets, one processor)", x: "charges that one settle takes at most",
			logX: true, logY: true,
		}, func(base settleSpec, _ CurveOptions) []curveSpec {
			return vary(base, []int{1, 3, 10, 30, 100, 300, ledger.MaxBatch}, func(s *settleSpec, n int) float64 {
				s.batch = n
				if n < 10 {
					s.charges = max(s.charges/10, 1) // they take long
				}
				return float64(n)
			})
		}),
		settling(curve{
			name: "partitions", title: "Partitions (1,000 wallets, one processor)", x: "partitions", logX: true,
		}, func(base settleSpec, _ CurveOptions) []curveSpec {
			return vary(base, []int{1, 2, 4, 8}, func(s *settleSpec, n int) float64 {
				s.partitions = n
				return float64(n)
			})
		}),
		settling(curve{
			name: "processors", title: "Processors (8 partitions, 1,000 wallets), once each of them has partitions", x: "processors", logX: true,
		}, func(base settleSpec, _ CurveOptions) []curveSpec {
			base.charges *= 4 // some are settled before all processors have joined
			return vary(base, []int{1, 2, 4, 8}, func(s *settleSpec, n int) float64 {
				s.processors = n
				return float64(n)
			})
		}),
		settling(curve{
			name: "wallets", title: "Wallets (one partition, one processor)", x: "wallets", logX: true,
		}, func(base settleSpec, _ CurveOptions) []curveSpec {
			base.partitions = 1 // one wallet is always one partition's
			return vary(base, []int{1, 10, 100, 1_000, 10_000, 100_000}, func(s *settleSpec, n int) float64 {
				s.wallets = n
				return float64(n)
			})
		}),
		loadCurve(),
		submitCurve("submit", "requests a second", called.rate),
		submitCurve("submit_p99", "p99 from POST to 202, ms", func(c called) float64 { return milliseconds(c.P99) }),
	}
}

// vary makes a point of each value.
func vary(base settleSpec, values []int, set func(*settleSpec, int) float64) []curveSpec {
	points := make([]curveSpec, len(values))
	for i, n := range values {
		points[i].spec = base
		points[i].x = set(&points[i].spec, n)
	}
	return points
}

// CurveNames are the names of all curves.
func CurveNames() []string {
	var names []string
	for _, c := range curves() {
		names = append(names, c.name)
	}
	return names
}

// Check says what is wrong with the options; nil: nothing.
func (o CurveOptions) Check() error {
	var faults []error
	if o.To == "" {
		faults = append(faults, errors.New("there must be a folder to write to"))
	}
	faults = append(faults, unknown("curve", o.Only, CurveNames())...)
	return errors.Join(append(faults, notNegative(o.Rounds, o.Charges, o.Stored...))...)
}

// Curve is what was measured of one curve.
type Curve struct {
	Name   string  `json:"name"`
	Head   Head    `json:"head"`
	Points []Point `json:"points"`
}

// Point is what was measured of one value.
type Point struct {
	X       float64             `json:"x"`                 // in the unit of the axis
	Charges int                 `json:"charges,omitempty"` // that a round settled
	Lines   map[string]series   `json:"lines"`             // by the name of the line, and by round, in the unit of the axis
	CPU     map[string]*jsonCPU `json:"cpu,omitempty"`     // by the name of the line; of all rounds
}

// RunCurves measures each curve. As soon
// as one is measured, its figures are in the folder, and its picture; the curves
// that were in there and are not measured stay. Else it is as [Run].
// All points of a curve are measured once, then all of them again.
func RunCurves(ctx context.Context, o CurveOptions) (err error) {
	if err := o.Check(); err != nil {
		return err
	}
	known, err := readCurves(o.To)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(o.To, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	options := Options{Rounds: o.Rounds, Charges: o.Charges, DatabaseURL: o.DatabaseURL, Executable: o.Executable, Log: o.Log}
	if options.Rounds == 0 {
		options.Rounds = curveRounds
	}
	if options.Charges == 0 {
		options.Charges = curveCharges
	}
	r, err := makeRun(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return stopped(ctx, err)
	}
	r.head.Form = ""
	for _, c := range curves() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, c.name) {
			continue
		}
		measured, err := r.measureCurve(ctx, c, o)
		if err != nil {
			return stopped(ctx, fmt.Errorf("measure %s: %w", c.name, err))
		}
		known = slices.DeleteFunc(known, func(k Curve) bool { return k.Name == c.name })
		known = append(known, measured)
		if err := errors.Join(writeCurves(o.To, known), measured.draw(o.To)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) measureCurve(ctx context.Context, c curve, o CurveOptions) (Curve, error) {
	began := time.Now()
	points, err := c.measure(ctx, r, o)
	if err != nil {
		return Curve{}, err
	}
	r.options.Log.Info("curve measured", "curve", c.name, "took", time.Since(began).Round(time.Millisecond))
	return Curve{Name: c.name, Head: r.head, Points: points}, nil
}

// settlePoints measures points beside COPY of the rows that were settled.
func (r *run) settlePoints(ctx context.Context, list []curveSpec) ([]Point, error) {
	specs := make([]settleSpec, len(list))
	for i, p := range list {
		specs[i] = p.spec
	}
	found, err := r.settleInTurn(ctx, specs)
	if err != nil {
		return nil, err
	}
	points := make([]Point, len(list))
	for i, p := range list {
		f := found[i].figures(func(d drained) float64 { return math.Round(d.rate) }, func(c copied) float64 { return math.Round(c.rate) })
		points[i] = Point{
			X: p.x, Charges: p.spec.charges, Lines: map[string]series{lineSettled: f.Ours, lineCopied: f.Limit},
			CPU: map[string]*jsonCPU{lineSettled: newJSONCPU(f.OursCPU), lineCopied: newJSONCPU(f.LimitCPU)},
		}
	}
	return points, nil
}

// DrawCurves draws all curves of a folder anew, from the figures in it.
func DrawCurves(dir string) error {
	known, err := readCurves(dir)
	if err != nil {
		return err
	}
	var faults []error
	for _, c := range known {
		faults = append(faults, c.draw(dir))
	}
	return errors.Join(faults...)
}

// curvesDocument is the file of the curves.
type curvesDocument struct {
	Curves []Curve `json:"curves"`
}

func readCurves(dir string) ([]Curve, error) {
	text, err := os.ReadFile(filepath.Join(dir, CurvesFile))
	if err != nil {
		return nil, fmt.Errorf("read curves: %w", err)
	}
	var d curvesDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read curves: %w", err)
	}
	return d.Curves, nil
}

// writeCurves writes them in the order of [CurveNames].
func writeCurves(dir string, known []Curve) error {
	names := CurveNames()
	slices.SortStableFunc(known, func(a, b Curve) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
	text, err := json.MarshalIndent(curvesDocument{known}, "", "  ")
	if err != nil {
		return fmt.Errorf("write curves: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, CurvesFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write curves: %w", err)
	}
	return nil
}
