package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/demo"
)

func newDemo(environ []string) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a believable day on embedded Postgres and Kafka and check every outcome",
		Long: `Starts Postgres, an embedded Kafka, ingest and a processor, plays a believable
day over the HTTP API, compares every outcome with what it should be, and
verifies the books. Then it stays up until Ctrl-C, for you to try. It exits with
0 only if every outcome was what it should be.

Environment:
  DATABASE_URL   a Postgres that runs already; unset: one is started. Without
                 --data the demo makes a database of its own there, and removes it`,
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
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			return demo.Run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Charges, "charges", 10_000, "how many charges are sent, retries included; refunds, holds, mandates, top-ups and withdrawals come beside them")
	flags.IntVar(&o.Wallets, "wallets", 1_000, "how many wallets there are")
	flags.IntVar(&o.Callers, "callers", 64, "how many callers send at the same time")
	flags.Uint64Var(&o.Seed, "seed", 1, "the same seed plans the same day")
	flags.StringVar(&o.Dir, "data", "", "folder that keeps data, secret and keys; a later run on it goes on (default: all is temporary)")
	flags.BoolVar(&o.Exit, "exit", false, "end after the report instead of staying up")
	return cmd
}

// givenDatabase is DATABASE_URL; empty where it is not set.
func givenDatabase(environ []string) (string, error) {
	if lookup(environ, "DATABASE_URL") == "" {
		return "", nil
	}
	c, err := load[config.Store](environ)
	return c.DatabaseURL.Reveal(), err
}
