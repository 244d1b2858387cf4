package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/bench"
)

func newBench(environ []string) *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what is settled and answered against what limits it",
		Long: `Starts Postgres, Kafka and the services, each a process of its own, and measures
each row against the limit or peer that it is held against, by turns, in the same
run. Kafka is Apache Kafka where java 17 or newer is installed, else the embedded
broker; the report says which. It exits with 0 where a goal is missed too: it
fails only where something could not be measured or where money came out wrong.

Rows: ` + strings.Join(bench.Names(), ", ") + `

The rows live_rate to live_growth are of the whole line, from POST to the outcome that
is seen. They first look for the highest rate that it holds, as end_to_end does.

Environment:
  DATABASE_URL   a Postgres that runs already, as a superuser; unset: one is
                 started. bench makes databases of its own there, and removes them`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return misuse(err)
			}
			var err error
			if o.DatabaseURL, err = givenDatabase(environ); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			_, err = bench.Run(cmd.Context(), o)
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Only, "only", nil, "measure this row alone; can be given several times")
	f.BoolVar(&o.Quick, "quick", false, "take some nine minutes: fewer rounds and charges, growth at 1 million operations")
	f.StringVarP(&o.Format, "output", "o", bench.FormatTable, "table or json")
	f.IntVar(&o.Rounds, "rounds", 0, "how often each row is measured (default 5, quick 3)")
	f.IntVar(&o.Charges, "charges", 0, "how many charges a round settles (default 400,000, quick 60,000)")
	f.IntVar(&o.Stored, "stored", 0, "how many operations are stored before growth is measured (default 10,000,000, quick 1,000,000)")
	cmd.AddCommand(newBenchCurves(environ))
	return cmd
}

func newBenchCurves(environ []string) *cobra.Command {
	var o bench.CurveOptions
	var drawn string
	cmd := &cobra.Command{
		Use:   "curves (--to DIR | --draw DIR)",
		Short: "Measure rates and latencies as one thing changes, and draw them",
		Long: `Measures settling beside COPY of the rows that were settled, submissions beside a
bare handler, and latency against load, point by point, and writes the figures
into DIR/` + bench.CurvesFile + ` and a picture of each curve into
DIR/NAME.svg. Curves that are in DIR already and are not measured stay.

The machine must do nothing else meanwhile. All curves take about a quarter of an
hour on two cores.

Curves: ` + strings.Join(bench.CurveNames(), ", ") + `

Environment:
  DATABASE_URL   a Postgres that runs already, as a superuser; unset: one is
                 started. Databases are made there, and removed`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if drawn != "" {
				if cmd.Flags().NFlag() > 1 {
					return misuse(errors.New("--draw measures nothing and takes no other flag"))
				}
				return bench.DrawCurves(drawn)
			}
			if err := o.Check(); err != nil {
				return misuse(err)
			}
			var err error
			if o.DatabaseURL, err = givenDatabase(environ); err != nil {
				return err
			}
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return bench.RunCurves(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.To, "to", "", "measure, and write into this folder")
	f.StringVar(&drawn, "draw", "", "measure nothing: draw the pictures in this folder anew from the figures in it")
	f.StringArrayVar(&o.Only, "only", nil, "measure this curve alone; can be given several times")
	f.IntVar(&o.Rounds, "rounds", 0, "how often each point is measured (default 2)")
	f.IntVar(&o.Charges, "charges", 0, "how many charges a round settles (default 60,000)")
	f.IntSliceVar(&o.Stored, "stored", nil, "the points of the curve stored (default 0,1000000,3000000)")
	return cmd
}

// newBenchPart is how bench starts its processes.
func newBenchPart(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:    bench.PartCommand + " NAME",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Part(cmd.Context(), args[0], environ, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}
