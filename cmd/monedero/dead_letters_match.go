package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/repair"
	"github.com/monedero/monedero/internal/service"
)

// matchFlags choose dead letters by what they are.
type matchFlags struct {
	partition            int
	because, from, until string
}

func (f *matchFlags) add(flags *pflag.FlagSet) {
	flags.IntVar(&f.partition, "partition", everyPartition, "only of this one; -1: all")
	flags.StringVar(&f.because, "because", "", "only those whose reason holds this text")
	flags.StringVar(&f.from, "from", "", "only those that were set aside then or later: a time (RFC 3339), or so long ago (24h)")
	flags.StringVar(&f.until, "until", "", "only those that were set aside before: likewise")
}

// given reports whether the flags narrow anything.
func (f matchFlags) given() bool { return f != matchFlags{partition: everyPartition} }

// filter is what the flags ask for; its error names every fault.
func (f matchFlags) filter(now time.Time) (filter repair.LetterFilter, err error) {
	var faults []error
	if f.partition < everyPartition {
		faults = append(faults, errors.New("--partition must not be negative"))
	}
	if f.partition > everyPartition {
		filter.Partitions = []int{f.partition}
	}
	filter.Reason = f.because
	if filter.From, err = parseMoment("--from", f.from, now); err != nil {
		faults = append(faults, err)
	}
	if filter.Until, err = parseMoment("--until", f.until, now); err != nil {
		faults = append(faults, err)
	}
	return filter, errors.Join(faults...)
}

// parseMoment reads a time, or how long ago it was; empty is the zero time.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s must be a time (RFC 3339) or a duration like 24h", flag)
	}
	return at, nil
}

// errSomeLeft says that not everything that matched was done.
var errSomeLeft = errors.New("some dead letters are left as they were")

// oneOrMatching fails unless the flags name one dead letter, or choose by what they are.
func (f letterFlags) oneOrMatching() error {
	if (f.at != "") == f.match.given() {
		return errors.New("--at must be given, or which ones: --partition, --because, --from, --until")
	}
	return nil
}

// eachMatching shows how many open dead letters match, asks, and does it to each. Of a
// value that several have, one is enough: the others count as done.
func eachMatching(cmd *cobra.Command, environ []string, f letterFlags, what string, do func(context.Context, *postgres.Store, repair.LetterPlace) error) error {
	filter, err := f.match.filter(time.Now())
	if err != nil {
		return misuse(err)
	}
	store, err := openStore(cmd, environ)
	if err != nil {
		return err
	}
	defer store.Close()
	places, err := matching(cmd.Context(), store, filter)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		cmd.Println("no open dead letter matches")
		return nil
	}
	cmd.Printf("%d open dead letters match, from %s to %s\n", len(places), places[0], places[len(places)-1])
	if f.dryRun {
		return nil
	}
	if err := confirm(cmd, f.yes, fmt.Sprintf("%s %d dead letters?", what, len(places))); err != nil {
		return err
	}
	done, left := 0, 0
	for _, at := range places {
		switch err := do(cmd.Context(), store, at); {
		case err == nil || errors.Is(err, repair.ErrDone):
			done++
		case cmd.Context().Err() != nil:
			return fmt.Errorf("stopped after %d: %w", done, err)
		default:
			left++
			cmd.Printf("dead letter %s: %v\n", at, err)
		}
	}
	cmd.Printf("%d are done with, %d are left\n", done, left)
	if left > 0 {
		return errSomeLeft
	}
	return nil
}

// matching is where the open dead letters lie that match, page by page.
func matching(ctx context.Context, store *postgres.Store, filter repair.LetterFilter) ([]repair.LetterPlace, error) {
	var places []repair.LetterPlace
	for filter.Limit = maxLetters; ; {
		page, err := store.DeadLetters(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			places = append(places, l.At)
		}
		if len(page) < filter.Limit {
			return places, nil
		}
		filter.After = &page[len(page)-1].At
	}
}

func discardMatching(cmd *cobra.Command, environ []string, f letterFlags, reason string) error {
	return eachMatching(cmd, environ, f, "Discard", func(ctx context.Context, store *postgres.Store, at repair.LetterPlace) error {
		return repair.Discard(ctx, store, at, whoRuns(), reason)
	})
}

func resubmitMatching(cmd *cobra.Command, environ []string, f letterFlags, c config.Admin) error {
	return eachMatching(cmd, environ, f, "Submit again", func(ctx context.Context, _ *postgres.Store, at repair.LetterPlace) error {
		_, err := service.Resubmit(ctx, c, at, whoRuns(), "")
		return err
	})
}
