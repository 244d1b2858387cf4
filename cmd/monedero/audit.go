package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// maxAudit bounds what one look at the audit log shows.
const maxAudit = 10_000

func newAudit(environ []string) *cobra.Command {
	var filter postgres.AuditFilter
	var output string
	var limit int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show what was done, by whom and why",
		Long: withEnvironment[config.Store](`Lists what was done, the newest first: operations, and what somebody changed that is
none: clients, merchants and keys, what the database belongs to (topics bind, topics
group, recover), the progress of partitions (partitions set-progress, recover) and dead
letters; who did so, over the API with which key or at the command line, and the reason
given.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listAudit(cmd, environ, filter, limit, output) },
	}
	c.Flags().StringVar(&filter.About, "about", "",
		"only of this: cli_..., mer_..., wal_..., key_..., 'partition 3', 3/1/77 (a dead letter), cluster_id, consumer_group, history")
	c.Flags().BoolVar(&filter.ChangesOnly, "changes", false, "no operations")
	c.Flags().IntVar(&limit, "limit", 50, "how many to show at most")
	addOutput(c, &output)
	return c
}

func listAudit(cmd *cobra.Command, environ []string, filter postgres.AuditFilter, limit int, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	if limit < 1 || limit > maxAudit {
		return misuse(fmt.Errorf("--limit must be from 1 to %d", maxAudit))
	}
	return looking(cmd, environ, func(ctx context.Context, s *postgres.Store) error {
		list, err := upTo(ctx, limit, func(ctx context.Context, limit int, after *postgres.Cursor) ([]postgres.AuditEntry, *postgres.Cursor, error) {
			filter.Limit, filter.After = limit, after
			page, err := s.Audit(ctx, filter)
			return page.Entries, page.Next, err
		})
		if err != nil {
			return err
		}
		return showAll(cmd, output, list, "AT\tWHO\tACTION\tABOUT\tOPERATION\tBEFORE\tAFTER\tLOGIN\tREASON", newEntryText, func(e entryText) string {
			return strings.Join([]string{
				when(e.At), e.who(), orDash(string(e.Action)), e.About, orDash(e.Operation), factsText(e.Before), factsText(e.After), orDash(e.Login), e.Reason,
			}, "\t")
		})
	})
}

// entryText is what was done as JSON.
type entryText struct {
	ID        string        `json:"id,omitempty"` // of a change
	At        time.Time     `json:"at"`
	Role      ledger.Role   `json:"role,omitempty"`
	Owner     string        `json:"owner_id,omitempty"`
	Key       string        `json:"key_id,omitempty"`
	Person    string        `json:"person,omitempty"`
	Login     string        `json:"login,omitempty"`
	Action    ledger.Action `json:"action,omitempty"` // a change, or an operation's kind
	About     string        `json:"about"`
	Operation string        `json:"operation_id,omitempty"` // itself, or the one that a dead letter was submitted as
	Before    ledger.Facts  `json:"before,omitempty"`
	After     ledger.Facts  `json:"after,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	RequestID string        `json:"request_id,omitempty"`
}

func newEntryText(e postgres.AuditEntry) entryText {
	if o := e.Operation; o != nil {
		t := entryText{
			At: o.DecidedAt, Action: ledger.Action(o.Kind), About: o.Wallet.String(), Operation: o.ID.String(), Reason: o.Note,
			After: ledger.Facts{"status": string(o.Status())},
		}
		if o.Reason != "" {
			t.After["reason"] = string(o.Reason)
		}
		if o.Amount != 0 {
			t.After["amount"], t.After["currency"] = strconv.FormatInt(o.Amount, 10), string(o.Currency)
		}
		t.by(o.Asker)
		return t
	}
	c := e.Change
	t := entryText{
		ID: c.ID.String(), At: c.At, Person: c.By.Person, Login: c.Login, Action: c.Action, About: c.About,
		Before: c.Before, After: c.After, Reason: c.By.Reason, RequestID: c.By.RequestID,
	}
	if !c.Operation.IsZero() {
		t.Operation = c.Operation.String()
	}
	t.by(c.By.Asker)
	return t
}

func (e *entryText) by(a ledger.Asker) {
	if e.Role = a.Role; a.Owner != ([16]byte{}) {
		e.Owner = a.Party.String()
	}
	if !a.Key.IsZero() {
		e.Key = a.Key.String()
	}
}

// who is the person at the command line, or the key.
func (e entryText) who() string {
	if e.Person != "" {
		return e.Person
	}
	return orDash(strings.TrimSpace(string(e.Role) + " " + e.Key))
}

func factsText(f ledger.Facts) string {
	if len(f) == 0 {
		return "-"
	}
	parts := make([]string, 0, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, f[name]))
	}
	return strings.Join(parts, " ")
}

// addOutput gives a command that lists something the choice of its form.
func addOutput(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", asTable, "table or json: an object a line")
}

func checkOutput(output string) error {
	if output != asTable && output != asJSON {
		return misuse(errors.New("-o must be table or json"))
	}
	return nil
}

// showAll writes the list as a table or as an object a line.
func showAll[T, U any](cmd *cobra.Command, output string, list []T, head string, text func(T) U, line func(U) string) error {
	if output == asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		for _, x := range list {
			if err := enc.Encode(text(x)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, x := range list {
		fmt.Fprintln(w, line(text(x)))
	}
	return w.Flush()
}
