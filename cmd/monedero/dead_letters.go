package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/repair"
	"github.com/monedero/monedero/internal/service"
)

// maxLetters is how many dead letters a page has at most.
const maxLetters = 1000

// letterFlags choose dead letters and say what becomes of one.
type letterFlags struct {
	match                  matchFlags
	limit                  int
	all, json, yes, dryRun bool
	after, at, reason, key string
}

func newDeadLetters(environ []string) *cobra.Command {
	var f letterFlags
	list := &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: withEnvironment[config.Store](`Lists the records that could not be decided and that nobody did anything about
yet, nor about another one with the same value.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listLetters(cmd, environ, f) },
	}
	f.match.add(list.Flags())
	list.Flags().BoolVar(&f.all, "all", false, "also those that were discarded or submitted again")
	list.Flags().IntVar(&f.limit, "limit", 50, "how many at most, 1 to 1000")
	list.Flags().StringVar(&f.after, "after", "", "only those behind this place: the last one of the page before")
	list.Flags().BoolVar(&f.json, "json", false, "a JSON object a line instead of a table")
	show := &cobra.Command{
		Use:   "show",
		Short: "Show one dead letter as JSON",
		Long: withEnvironment[config.Store](`Shows one dead letter as JSON: the record, in base64 and as text, why it is one,
the operation beside it, and what was done about it.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return showLetter(cmd, environ, f) },
	}
	discard := &cobra.Command{
		Use:   "discard",
		Short: "Say why nothing more is to be done about a dead letter",
		Long:  withEnvironment[config.Store]("Records that nothing more is to be done about a dead letter, or about all that match, and why. It stays where it is."),
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return discardLetter(cmd, environ, f) },
	}
	discard.Flags().StringVar(&f.reason, "reason", "", "why")
	resubmit := &cobra.Command{
		Use:   "resubmit",
		Short: "Submit a dead letter again, once",
		Long: withEnvironment[config.Admin](`Submits a dead letter again. Where its operation ID follows from what it says
and is not decided, it goes unchanged, into the partition of its wallet. Where not,
it goes as a new operation under the idempotency key that you give; nowhere, if its
operation was accepted. It is never submitted twice, unless the first time had no
effect: the operation failed, or another request had come first under the key.
Letters with the same value, as the copy of a log has them, count as one.
Of all that match, those that need a key of their own are told and left.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return resubmitLetter(cmd, environ, f) },
	}
	resubmit.Flags().StringVar(&f.key, "key", "", "idempotency key of the new operation, where its own ID will not do; the one it came with, where its ID does not follow")
	for _, c := range []*cobra.Command{show, discard, resubmit} {
		c.Flags().StringVar(&f.at, "at", "", "where it lies: partition/log/offset")
	}
	for _, c := range []*cobra.Command{discard, resubmit} {
		f.match.add(c.Flags())
		c.Flags().BoolVar(&f.yes, "yes", false, "of all that match: do not ask")
		c.Flags().BoolVar(&f.dryRun, "dry-run", false, "of all that match: only show how many")
	}
	return group("dead-letters", "Look after records that could not be decided", list, show, discard, resubmit)
}

func listLetters(cmd *cobra.Command, environ []string, f letterFlags) error {
	filter, err := f.match.filter(time.Now())
	if err != nil {
		return misuse(err)
	}
	filter.Done, filter.Limit = f.all, f.limit
	if f.limit < 1 || f.limit > maxLetters {
		return misuse(fmt.Errorf("--limit must be from 1 to %d", maxLetters))
	}
	if f.after != "" {
		at, err := parsePlace("--after", f.after)
		if err != nil {
			return misuse(err)
		}
		filter.After = &at
	}
	store, err := openStore(cmd, environ)
	if err != nil {
		return err
	}
	defer store.Close()
	letters, err := store.DeadLetters(cmd.Context(), filter)
	if err != nil {
		return err
	}
	if f.json {
		for _, l := range letters {
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(newLetterText(l, nil)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLACE\tSET ASIDE\tOPERATION\tREASON")
	for _, l := range letters {
		text := newLetterText(l, nil)
		fmt.Fprintf(w, "%s\t%s\t%s\t%q\n", text.At, l.CreatedAt.Format(time.RFC3339), text.Operation, l.Reason)
	}
	return w.Flush()
}

func showLetter(cmd *cobra.Command, environ []string, f letterFlags) error {
	at, err := parsePlace("--at", f.at)
	if err != nil {
		return misuse(err)
	}
	store, err := openStore(cmd, environ)
	if err != nil {
		return err
	}
	defer store.Close()
	letter, err := store.Case(cmd.Context(), at)
	if err != nil {
		return err
	}
	out := json.NewEncoder(cmd.OutOrStdout())
	out.SetIndent("", "  ")
	return out.Encode(newLetterText(letter.DeadLetter, letter.Steps))
}

func discardLetter(cmd *cobra.Command, environ []string, f letterFlags) error {
	reason, missing := parseReason(f.reason)
	if err := errors.Join(f.oneOrMatching(), missing); err != nil {
		return misuse(err)
	}
	if f.match.given() {
		return discardMatching(cmd, environ, f, reason)
	}
	at, err := parsePlace("--at", f.at)
	if err != nil {
		return misuse(err)
	}
	store, err := openStore(cmd, environ)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := repair.Discard(cmd.Context(), store, at, whoRuns(), reason); err != nil {
		return fmt.Errorf("dead letter %s: %w", at, err)
	}
	cmd.Printf("dead letter %s is discarded\n", at)
	return nil
}

func resubmitLetter(cmd *cobra.Command, environ []string, f letterFlags) error {
	if err := f.oneOrMatching(); err != nil {
		return misuse(err)
	}
	if f.match.given() && f.key != "" {
		return misuse(errors.New("--key names one operation: it goes with --at"))
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	if f.match.given() {
		return resubmitMatching(cmd, environ, f, c)
	}
	at, err := parsePlace("--at", f.at)
	if err != nil {
		return misuse(err)
	}
	step, err := service.Resubmit(cmd.Context(), c, at, whoRuns(), f.key)
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", at, err)
	}
	cmd.Printf("dead letter %s is submitted as %s, to partition %d, offset %d\n", at, step.Operation, step.Partition, step.Offset)
	return nil
}

func openStore(cmd *cobra.Command, environ []string) (*postgres.Store, error) {
	c, err := load[config.Store](environ)
	if err != nil {
		return nil, err
	}
	return connect(cmd.Context(), c, "dead-letters")
}

// parsePlace reads partition/log/offset.
func parsePlace(flag, text string) (at repair.LetterPlace, err error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 {
		partition, err1 := strconv.ParseInt(parts[0], 10, 32)
		log, err2 := strconv.ParseInt(parts[1], 10, 32)
		offset, err3 := strconv.ParseInt(parts[2], 10, 64)
		if errors.Join(err1, err2, err3) == nil {
			at.Partition, at.Log, at.Offset = int(partition), int32(log), offset
			return at, nil
		}
	}
	return at, fmt.Errorf("%s must be partition/log/offset, as dead-letters list shows it", flag)
}

// letterText is a dead letter as JSON.
type letterText struct {
	At        string       `json:"at"`
	CreatedAt time.Time    `json:"created_at"`
	Reason    string       `json:"reason"`
	Operation string       `json:"operation_id,omitempty"`
	Time      time.Time    `json:"record_time,omitzero"`
	Key       []byte       `json:"key_base64"`
	Value     []byte       `json:"value_base64"`
	Text      string       `json:"value"`
	Headers   []headerText `json:"headers"`
	Steps     []stepText   `json:"resolutions,omitempty"`
}

type headerText struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type stepText struct {
	At        time.Time     `json:"at"`
	NotedAt   string        `json:"noted_at,omitempty"` // with another letter of the same value
	Action    repair.Action `json:"action"`
	Operation string        `json:"operation_id,omitempty"`
	Partition *int          `json:"to_partition,omitempty"`
	Offset    *int64        `json:"to_offset,omitempty"`
	By        string        `json:"by"`
	Reason    string        `json:"reason,omitempty"`
}

func newLetterText(l repair.DeadLetter, steps []repair.Resolution) letterText {
	text := letterText{
		At: l.At.String(), CreatedAt: l.CreatedAt, Reason: l.Reason, Time: l.Record.Time, Key: l.Record.Key, Value: l.Record.Value,
		Text: string(l.Record.Value), Headers: []headerText{},
	}
	if !l.Operation.IsZero() {
		text.Operation = l.Operation.String()
	}
	for _, h := range l.Record.Headers {
		text.Headers = append(text.Headers, headerText{Key: h.Key, Value: string(h.Value)})
	}
	for _, s := range steps {
		step := stepText{At: s.At, Action: s.Action, By: s.By, Reason: s.Reason}
		if s.Of != l.At {
			step.NotedAt = s.Of.String()
		}
		if !s.Operation.IsZero() {
			step.Operation = s.Operation.String()
		}
		if s.Action == repair.ActionSubmitted {
			step.Partition, step.Offset = &s.Partition, &s.Offset
		}
		text.Steps = append(text.Steps, step)
	}
	return text
}
