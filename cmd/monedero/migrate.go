package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
)

func newMigrate(environ []string) *cobra.Command {
	up := &cobra.Command{
		Use:   "up",
		Short: "Bring the schema up to date",
		Long:  withEnvironment[config.Store]("Brings the schema of the database up to date. It may run again at any time, and several at once."),
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return migrateUp(cmd, environ) },
	}
	status := &cobra.Command{
		Use:   "status",
		Short: "List the steps of the schema",
		Long:  withEnvironment[config.Store]("Lists the steps of the schema, and when each was taken."),
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return migrateStatus(cmd, environ) },
	}
	return group("migrate", "Change the database's schema", up, status)
}

func migrateUp(cmd *cobra.Command, environ []string) error {
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	steps, err := postgres.Migrate(cmd.Context(), c.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	for _, s := range steps {
		cmd.Println("applied", s.Name)
	}
	if len(steps) == 0 {
		cmd.Println("nothing to do: the schema is up to date")
	}
	return nil
}

func migrateStatus(cmd *cobra.Command, environ []string) error {
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	steps, err := postgres.MigrationStatus(cmd.Context(), c.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, s := range steps {
		applied := "not applied"
		if !s.AppliedAt.IsZero() {
			applied = s.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\n", s.Name, applied)
	}
	return w.Flush()
}
