package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

var errViolations = errors.New("something that must always hold does not")

// verifyFlags narrow what is verified.
type verifyFlags struct {
	partition     int
	wallet, since string
}

func newVerify(environ []string) *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check everything that must always hold",
		Long: withEnvironment[config.Store](`Checks everything that must always hold: that every offset is accounted for,
that each wallet's history is whole and decided as the rules say, that all money
sums to zero. It holds nothing up and may run at any time. It prints what it
counted and every violation, and exits with 1 if there is one.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return verify(cmd, environ, f) },
	}
	c.Flags().IntVar(&f.partition, "partition", everyPartition, "only this one; -1: all")
	c.Flags().StringVar(&f.wallet, "wallet", "", "only this wallet's history (wal_...), and nothing else")
	c.Flags().StringVar(&f.since, "since", "", "only histories in which something was decided since then: a time (RFC 3339), or so long ago (24h)")
	return c
}

// scope is what the flags ask for; its error names every fault.
func (f verifyFlags) scope(now time.Time) (s postgres.Scope, err error) {
	var faults []error
	if f.partition < everyPartition {
		faults = append(faults, errors.New("--partition must not be negative"))
	}
	if f.partition > everyPartition {
		s.Partitions = []int{f.partition}
	}
	if f.wallet != "" {
		if s.Wallet, err = ledger.ParseWalletID(f.wallet); err != nil {
			faults = append(faults, fmt.Errorf("--wallet: %w", err))
		}
		if f.partition != everyPartition {
			faults = append(faults, errors.New("--wallet and --partition do not go together: a wallet lies in one"))
		}
	}
	if s.Since, err = parseMoment("--since", f.since, now); err != nil {
		faults = append(faults, err)
	}
	if s.Since.After(now) {
		faults = append(faults, errors.New("--since must not lie in the future"))
	}
	return s, errors.Join(faults...)
}

func verify(cmd *cobra.Command, environ []string, f verifyFlags) error {
	scope, err := f.scope(time.Now())
	if err != nil {
		return misuse(err)
	}
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	store, err := connect(cmd.Context(), c, "verify")
	if err != nil {
		return err
	}
	defer store.Close()
	started := time.Now()
	report, unread := store.VerifyScope(cmd.Context(), scope)
	for _, v := range report.Violations {
		cmd.Println(v)
	}
	if report.More > 0 {
		cmd.Printf("and %d more\n", report.More)
	}
	if unread != nil {
		return unread
	}
	if !scope.Wallet.IsZero() && report.Wallets == 0 && report.Operations == 0 {
		return fmt.Errorf("there is no wallet %s, and no operation on it", scope.Wallet)
	}
	if len(scope.Partitions) == 0 && scope.Wallet.IsZero() && scope.Since.IsZero() {
		if err := store.NoteVerification(cmd.Context(), started, whoRuns(), report); err != nil {
			cmd.PrintErrf("it is not noted that everything was verified: %v\n", err)
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), report)
	if !report.OK() {
		return errViolations
	}
	return nil
}
