package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/loadgen"
)

// The forms of a report.
const (
	asTable = "table"
	asJSON  = "json"
)

func newLoad(environ []string) *cobra.Command {
	var o loadgen.Options
	var form string
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Put a constant load on a running system, measure it and check every outcome",
		Long: withEnvironment[config.API](`Makes wallets, mandates and merchants over the API, submits charges, refunds, holds
and withdrawals at a constant rate, grants and revokes mandates between them, and says how long they took: until they were
accepted (202), and until their outcome was visible. The load is open: requests
arrive by a fixed schedule, whatever the system does, and every latency counts
from the moment at which the request was to be sent. What is answered 503 or 429 is not sent again meanwhile.

In the end it reads everything over the API, and decides each wallet's history
again: each request that was taken has exactly one outcome, the one that it
should have, retries have the same operation, no charge is given back beyond
what it took, nothing is taken from a hold that it does not hold, nor beyond a mandate, and all balances add up. It exits with 1 if that does not hold, or
if not every request could be sent.

The wallets and what was charged stay: use it on a system that may keep them.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoad(cmd, environ, o, form) },
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rate, "rate", 200, "submissions a second")
	flags.DurationVar(&o.For, "for", 10*time.Second, "how long they arrive")
	flags.IntVar(&o.Wallets, "wallets", 1000, "how many wallets are charged")
	flags.Float64Var(&o.Skew, "skew", 0, "unevenness of the traffic: the wallet of rank k gets a share proportional to 1/k^skew; 0: all get the same")
	flags.Float64Var(&o.Duplicates, "duplicates", 0.02, "share of submissions that are one of the last thousand once more, under its key")
	flags.Float64Var(&o.Refunds, "refunds", 0.03, "share of requests that give back one of the last thousand charges, in part, what is left of it, or too much")
	flags.Float64Var(&o.Withdrawals, "withdrawals", 0.01, "share of requests that withdraw as much as a charge takes")
	flags.Float64Var(&o.Holds, "holds", 0.05, "share of requests that hold as much as a charge takes, or that capture or release one of the last twenty holds, in part, what is left of it, or too much")
	flags.Float64Var(&o.Poor, "poor", 0.05, "share of wallets without enough available money, spread over the ranks: half of them have it held")
	flags.Float64Var(&o.Mandated, "mandated", 0.1, "share of wallets that are charged under mandates, spread over the ranks: one merchant's run out halfway, and on some another has none")
	flags.Float64Var(&o.Grants, "grants", 0.005, "share of requests that revoke the mandate of a third merchant of such a wallet, or grant it again")
	flags.Float64Var(&o.Follow, "follow", 0.25, "share of requests that are sent with Prefer: wait, to measure outcomes")
	flags.IntVar(&o.InFlight, "in-flight", 4096, "requests in flight at most; beyond it arrivals are not sent, and the run fails")
	flags.Uint64Var(&o.Seed, "seed", 1, "the same seed makes the same arrivals")
	flags.StringVarP(&form, "output", "o", asTable, "form of the report: table or json")
	return cmd
}

func runLoad(cmd *cobra.Command, environ []string, o loadgen.Options, form string) error {
	faults := []error{o.Check()}
	if form != asTable && form != asJSON {
		faults = append(faults, errors.New("output must be table or json"))
	}
	c, err := load[config.API](environ)
	if err := errors.Join(append(faults, err)...); err != nil {
		return misuse(err)
	}
	o.API, o.Operator = string(c.APIURL), c.OperatorKey.Reveal()
	o.Progress = cmd.ErrOrStderr()
	report, err := loadgen.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	write := report.Write
	if form == asJSON {
		write = report.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return report.Err()
}
