package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/service"
)

const (
	// listTimeout is how long one look at all partitions may take.
	listTimeout = time.Minute
	// leastEvery is how often to look at most.
	leastEvery = 100 * time.Millisecond
)

var errPartitions = errors.New("something is wrong with the partitions: the ways out of each state that is not ok are in docs/playbooks")

// watchFlags say how partitions are listed.
type watchFlags struct {
	watch  bool
	every  time.Duration
	output string
}

func listPartitions(cmd *cobra.Command, environ []string, f watchFlags) error {
	if f.output != "table" && f.output != "json" {
		return misuse(fmt.Errorf("-o must be table or json, not %q", f.output))
	}
	if f.every < leastEvery {
		return misuse(fmt.Errorf("--every must be %s at least", leastEvery))
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	look, err := service.LookAtPartitions(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer look.Close()
	for {
		found, err := lookOnce(cmd.Context(), look)
		switch {
		case err != nil && cmd.Context().Err() != nil && f.watch:
			return nil
		case err != nil && !f.watch:
			return err
		case err != nil:
			cmd.PrintErrf("%s  %v\n", time.Now().Format(time.TimeOnly), err)
		default:
			if err := show(cmd.OutOrStdout(), found, f); err != nil {
				return err
			}
		}
		if !f.watch {
			if !found.OK() {
				return errPartitions
			}
			return nil
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(f.every):
		}
	}
}

func lookOnce(ctx context.Context, look *service.PartitionsLook) (service.Partitions, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return look.Look(ctx)
}

func show(out io.Writer, found service.Partitions, f watchFlags) error {
	if f.output == "json" {
		return json.NewEncoder(out).Encode(newPartitionsText(found))
	}
	if f.watch {
		if _, err := fmt.Fprintf(out, "\n%s\n", time.Now().Format(time.TimeOnly)); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTITION\tLOG\tFIRST\tNEXT\tEND\tLAG\tEPOCH\tOWNER\tSETTLED\tDUPLICATES\tCONFLICTS\tDEAD\tGAPS\tUPDATED\tSTATE")
	for _, p := range newPartitionsText(found).Partitions {
		end, lag, updated, state := "?", "?", "never", "ok"
		if p.End != nil {
			end, lag = strconv.FormatInt(*p.End, 10), strconv.FormatInt(*p.Lag, 10)
		}
		if p.Log != 0 {
			updated = p.UpdatedAt.Format(time.RFC3339)
		}
		owner := p.Owner
		switch {
		case owner == "":
			owner = "-"
		case p.Gone:
			owner += " (gone)"
		}
		if len(p.Wrong) > 0 {
			state = strings.Join(p.Wrong, "; ")
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n",
			p.Partition, p.Log, p.First, p.Next, end, lag, p.Epoch, owner,
			p.Settled, p.Duplicates, p.Conflicts, p.Dead, p.Gaps, updated, state)
	}
	for i, wrong := range found.Wrong {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, wrong)
	}
	for i, setting := range found.Settings {
		if i == 0 {
			fmt.Fprintln(w, "\nThe topic's settings are not as they should be:")
		}
		fmt.Fprintln(w, setting)
	}
	return w.Flush()
}

// partitionsText is a look as JSON.
type partitionsText struct {
	OK         bool            `json:"ok"`
	Wrong      []string        `json:"wrong"`    // with more than one partition
	Settings   []string        `json:"settings"` // of the topic, that are not as they should be
	Partitions []partitionText `json:"partitions"`
}

type partitionText struct {
	Partition  int       `json:"partition"`
	Log        int32     `json:"log"` // 0: it has no progress
	First      int64     `json:"first_offset"`
	Next       int64     `json:"next_offset"`
	End        *int64    `json:"end_offset"` // null: Kafka did not say
	Lag        *int64    `json:"lag"`
	Epoch      int64     `json:"epoch"`
	Owner      string    `json:"owner"`
	Owned      bool      `json:"owned"`
	Gone       bool      `json:"owner_gone"`
	Settled    int64     `json:"settled"`
	Duplicates int64     `json:"duplicates"`
	Conflicts  int64     `json:"conflicts"`
	Dead       int64     `json:"dead_letters"`
	Gaps       int64     `json:"gaps"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"`
	HaltedAt   time.Time `json:"halted_at,omitzero"`
	Halt       string    `json:"halt,omitempty"`
	Wrong      []string  `json:"wrong"`
}

func newPartitionsText(found service.Partitions) partitionsText {
	text := partitionsText{OK: found.OK(), Wrong: texts(found.Wrong), Settings: append([]string{}, found.Settings...), Partitions: make([]partitionText, len(found.Partitions))}
	for i, p := range found.Partitions {
		c := p.Claim
		text.Partitions[i] = partitionText{
			Partition: c.Partition, Log: c.Log, First: c.FirstOffset, Next: c.NextOffset, Epoch: c.Epoch, Owner: p.Owner, Owned: p.Owned, Gone: p.Gone,
			Settled: p.Settled, Duplicates: p.Duplicates, Conflicts: p.Conflicts, Dead: p.Dead, Gaps: p.Gaps,
			UpdatedAt: p.UpdatedAt.UTC(), HaltedAt: p.HaltedAt, Halt: c.Halt, Wrong: texts(p.Wrong),
		}
		if end, lag := p.End, p.Lag(); end >= 0 {
			text.Partitions[i].End, text.Partitions[i].Lag = &end, &lag
		}
	}
	return text
}

func texts(list []error) []string {
	all := make([]string, len(list))
	for i, err := range list {
		all[i] = err.Error()
	}
	return all
}
