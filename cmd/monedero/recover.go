package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/repair"
	"github.com/monedero/monedero/internal/service"
)

// unknowable is what no log holds, and so nobody can write again but people.
const unknowable = `
Nobody knows what else was lost, for it is in no log. Look, before you go on, for what was done since:
  - wallets opened, frozen, unfrozen or closed: a wallet that was frozen is not, and would be charged
  - API keys made or revoked: a revoked key works again
  - clients and merchants made, merchants suspended or resumed
  - progress set, dead letters discarded or submitted again
Outcomes that callers saw may come out otherwise, and may show as pending until then.`

func newRecover(environ []string) *cobra.Command {
	var reason string
	var yes, dryRun bool
	c := &cobra.Command{
		Use:   "recover",
		Short: "Let partitions go on after the database was restored",
		Long: withEnvironment[config.Admin](`Compares the progress of every partition with the copy that its processors left in
Kafka. Where the database stands behind it, it was restored to an earlier moment, or
a standby was promoted that had lagged; such a partition halts as restored. Shows
how far each is behind, and what nobody can know.

Then it asks, and lets these partitions go on from where they stand: what is in the
log is settled again. It raises the history of the database by one. All of it is one
transaction, and the others are left alone. Once that is done, the same command finds
nothing more. The database is used as its owner. Read docs/playbooks/restored.md first.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return recoverRestored(cmd, environ, reason, yes, dryRun) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only show")
	return c
}

func recoverRestored(cmd *cobra.Command, environ []string, reason string, yes, dryRun bool) error {
	if !dryRun {
		var err error
		if reason, err = parseReason(reason); err != nil {
			return misuse(err)
		}
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	found, err := service.Restored(cmd.Context(), c)
	if err != nil {
		return err
	}
	if len(found.Partitions) == 0 {
		cmd.Println("no partition stands behind what is known of it: there is nothing to recover")
		return nil
	}
	if err := showRestored(cmd.OutOrStdout(), found); err != nil || dryRun {
		return err
	}
	if err := confirm(cmd, yes, fmt.Sprintf("Let %d partitions go on?", len(found.Partitions))); err != nil {
		return err
	}
	found.By, found.Reason = whoRuns(), reason
	history, err := service.Recover(cmd.Context(), c, found)
	if err != nil {
		return err
	}
	cmd.Printf("%d partitions go on; this is history %d of the database\n", len(found.Partitions), history)
	return nil
}

func showRestored(out io.Writer, found repair.Recovery) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTITION\tLOG\tSTANDS AT\tWAS AT\tSETTLED AGAIN\tLAST CHANGED")
	var last time.Time
	for _, p := range found.Partitions {
		was, again := fmt.Sprint(p.Known.NextOffset), fmt.Sprint(p.Again())
		if p.Known.Log != p.Found.Log {
			was = fmt.Sprintf("%d of log %d", p.Known.NextOffset, p.Known.Log)
		}
		if p.Again() < 0 {
			again = "?"
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\n", p.Partition, p.Found.Log, p.Found.NextOffset, was, again, p.UpdatedAt.UTC().Format(time.RFC3339))
		if p.UpdatedAt.After(last) {
			last = p.UpdatedAt
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nThe database is of about %s. What was settled in the second before it was lost may be more than this.\n%s\n\n",
		last.UTC().Format(time.RFC3339), unknowable)
	return err
}
