package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
)

func newChanges(environ []string) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "changes",
		Short: "Show what people changed, who and why",
		Long: withEnvironment[config.Store](`Lists what people changed of what the database belongs to (topics bind, topics group,
recover) and of the progress of partitions (partitions set-progress, recover), the
newest first: when, what, from what to what, who ran the command and where, as whom
it logged in to the database, and the reason that was given.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listChanges(cmd, environ, limit) },
	}
	c.Flags().IntVar(&limit, "limit", 50, "how many to show at most")
	return c
}

func listChanges(cmd *cobra.Command, environ []string, limit int) error {
	if limit < 1 {
		return misuse(errors.New("--limit must be 1 at least"))
	}
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	store, err := connect(cmd.Context(), c, "changes")
	if err != nil {
		return err
	}
	defer store.Close()
	list, err := store.Changes(cmd.Context(), limit)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AT\tWHAT\tFROM\tTO\tBY\tLOGIN\tREASON")
	for _, change := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", change.At.UTC().Format(time.RFC3339), change.What, change.From, change.To,
			change.By, change.Login, change.Reason)
	}
	return w.Flush()
}
