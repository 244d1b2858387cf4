package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
)

var errViolations = errors.New("something that must always hold does not")

func newVerify(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check everything that must always hold",
		Long: withEnvironment[config.Store](`Checks everything that must always hold: that every offset is accounted for,
that each wallet's history is whole and decided as the rules say, that all money
sums to zero. It holds nothing up and may run at any time. It prints what it
counted and every violation, and exits with 1 if there is one.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return verify(cmd, environ) },
	}
}

func verify(cmd *cobra.Command, environ []string) error {
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	store, err := connect(cmd.Context(), c, "verify")
	if err != nil {
		return err
	}
	defer store.Close()
	report, err := store.Verify(cmd.Context())
	if err != nil {
		return err
	}
	for _, v := range report.Violations {
		cmd.Println(v)
	}
	if report.More > 0 {
		cmd.Printf("and %d more\n", report.More)
	}
	fmt.Fprintln(cmd.OutOrStdout(), report)
	if !report.OK() {
		return errViolations
	}
	return nil
}
