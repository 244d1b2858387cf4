package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
)

// maxAudit bounds what one look at the audit log shows.
const maxAudit = 10_000

func newAudit(environ []string) *cobra.Command {
	var about, output string
	var limit int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show what was changed, by whom and why",
		Long: withEnvironment[config.Store](`Lists what somebody changed that is no operation, the newest first: clients,
merchants and keys, what the database belongs to (topics bind, topics group, recover),
the progress of partitions (partitions set-progress, recover) and dead letters; who
did so, over the API with which key or at the command line, and the reason given.
An operation's own row says who asked for it: see GET /v1/operations.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listAudit(cmd, environ, about, limit, output) },
	}
	c.Flags().StringVar(&about, "about", "", "only of this: cli_..., mer_..., key_..., 'partition 3', 3/1/77 (a dead letter), cluster_id, consumer_group, history")
	c.Flags().IntVar(&limit, "limit", 50, "how many to show at most")
	addOutput(c, &output)
	return c
}

func listAudit(cmd *cobra.Command, environ []string, about string, limit int, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	if limit < 1 || limit > maxAudit {
		return misuse(fmt.Errorf("--limit must be from 1 to %d", maxAudit))
	}
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	store, err := connect(cmd.Context(), c, "audit")
	if err != nil {
		return err
	}
	defer store.Close()
	list, _, err := store.Changes(cmd.Context(), about, limit, nil)
	if err != nil {
		return err
	}
	return showAll(cmd, output, list, "AT\tWHO\tACTION\tABOUT\tBEFORE\tAFTER\tLOGIN\tREASON", newChangeText, func(c changeText) string {
		return strings.Join([]string{
			c.At.Format(time.RFC3339), c.who(), string(c.Action), c.About, factsText(c.Before), factsText(c.After), c.Login, c.Reason,
		}, "\t")
	})
}

// changeText is a change as JSON.
type changeText struct {
	ID        string        `json:"id"`
	At        time.Time     `json:"at"`
	Role      ledger.Role   `json:"role"`
	Owner     string        `json:"owner_id,omitempty"`
	Key       string        `json:"key_id,omitempty"`
	Person    string        `json:"person,omitempty"`
	Login     string        `json:"login"`
	Action    ledger.Action `json:"action"`
	About     string        `json:"about"`
	Operation string        `json:"operation_id,omitempty"`
	Before    ledger.Facts  `json:"before,omitempty"`
	After     ledger.Facts  `json:"after,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	RequestID string        `json:"request_id,omitempty"`
}

func newChangeText(c ledger.Change) changeText {
	t := changeText{
		ID: c.ID.String(), At: c.At, Role: c.By.Role, Person: c.By.Person, Login: c.Login, Action: c.Action, About: c.About,
		Before: c.Before, After: c.After, Reason: c.By.Reason, RequestID: c.By.RequestID,
	}
	if c.By.Role != ledger.RoleOperator {
		t.Owner = c.By.Party.String()
	}
	if !c.By.Key.IsZero() {
		t.Key = c.By.Key.String()
	}
	if !c.Operation.IsZero() {
		t.Operation = c.Operation.String()
	}
	return t
}

// who is the person at the command line, or the key.
func (c changeText) who() string {
	if c.Person != "" {
		return c.Person
	}
	return string(c.Role) + " " + c.Key
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
