package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// The formats of a report.
const (
	FormatTable = "table"
	FormatJSON  = "json"
)

// Options say what a run measures. The zero value is all of it, in the full form.
type Options struct {
	Only   []string // names of rows; none: all of them
	Quick  bool     // fewer rounds, fewer charges, a smaller history: it takes some nine minutes
	Format string   // FormatTable or FormatJSON; empty: FormatTable

	// Rounds, Charges and Stored change how often each row is measured, how many
	// charges a round of it settles, and how many operations are stored before
	// growth is measured; 0: as the form has it.
	Rounds, Charges, Stored int

	// DatabaseURL of a Postgres that runs already, as a superuser; empty: one is
	// started. The run makes databases of its own there, and removes them.
	DatabaseURL string
	// Executable runs the parts, each as a process, with the arguments PartCommand
	// and the name of the part; empty: this program.
	Executable string

	Out io.Writer    // the report
	Log *slog.Logger // what is being measured; nil: nothing
}

// Row is something that is measured.
type Row struct {
	Name string
	What string // ours against what, in one sentence
	Unit string
	Goal Goal

	measure func(context.Context, *run) (Figures, error)
}

// Rows lists what can be measured, in the order of the report.
func Rows() []Row {
	return slices.Concat([]Row{drainRow(), hotWalletRow()}, kindRows(), []Row{
		mandatesRow(),
		growthRow(), copyGrowthRow(), walRow(), memoryRow(),
		takeoverRow(), joinRow(), leaveRow(),
		submitRow(), pollRow(), waitRow(), estimateRow(), memoryIngestRow(),
		endToEndRow(), endToEndTailRow(),
	}, liveRows())
}

// Names are the names of all rows.
func Names() []string {
	var names []string
	for _, row := range Rows() {
		names = append(names, row.Name)
	}
	return names
}

// Check says what is wrong with the options; nil: nothing.
func (o Options) Check() error {
	faults := unknown("row", o.Only, Names())
	switch o.Format {
	case "", FormatTable, FormatJSON:
	default:
		faults = append(faults, fmt.Errorf("the format must be %s or %s, not %q", FormatTable, FormatJSON, o.Format))
	}
	return errors.Join(append(faults, notNegative(o.Rounds, o.Charges, o.Stored))...)
}

// unknown says which names of what is to be measured there are not.
func unknown(what string, only, names []string) (faults []error) {
	for _, name := range only {
		if !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("there is no %s %q; there are: %s", what, name, strings.Join(names, ", ")))
		}
	}
	return faults
}

// notNegative checks what is measured, and on how much.
func notNegative(rounds, charges int, stored ...int) error {
	if slices.Min(append([]int{rounds, charges}, stored...)) < 0 {
		return errors.New("rounds, charges and stored cannot be negative")
	}
	return nil
}

// errStopped says that a run was asked to stop before it was through.
var errStopped = errors.New("stopped before all was measured")

// Run measures, and prints the report of what it could measure even where it
// fails. It fails where a row could not be measured and where money came out
// wrong, and not because a goal is missed. Whatever happens, all that it started
// has ended and all that it made is removed when it returns.
func Run(ctx context.Context, o Options) (report Report, err error) {
	if err := o.Check(); err != nil {
		return Report{}, err
	}
	r, err := makeRun(o)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return Report{}, stopped(ctx, err)
	}
	report.Head = r.head
	var faults []error
	for _, row := range Rows() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, row.Name) {
			continue
		}
		began := time.Now()
		figures, err := row.measure(ctx, r)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			r.options.Log.Error("row failed", "row", row.Name, "err", err)
			faults = append(faults, fmt.Errorf("measure %s: %w", row.Name, err))
			continue
		}
		result := Result{Row: row, Figures: figures}
		r.options.Log.Info("row measured", "row", row.Name, "ours", figure(result.OursFigure()), "limit", figure(result.LimitFigure()),
			"unit", row.Unit, "ratio", ratio(result.Ratio()), "took", time.Since(began).Round(time.Millisecond))
		report.Results = append(report.Results, result)
	}
	if o.Out != nil && len(report.Results) > 0 {
		write := report.WriteTable
		if o.Format == FormatJSON {
			write = report.WriteJSON
		}
		faults = append(faults, write(o.Out))
	}
	return report, stopped(ctx, errors.Join(faults...))
}

// stopped says that somebody asked for the end, where that is so: the errors that
// follow from it tell nothing.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errStopped
	}
	return err
}
