package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/service"
)

// maxReason is how long the reason of a change may be, in bytes.
const maxReason = 1000

func newPartitions(environ []string) *cobra.Command {
	var m postgres.Move
	set := &cobra.Command{
		Use:   "set-progress",
		Short: "Move the progress of a partition: the way out of a halt",
		Long: withEnvironment[config.Admin](`Sets the offset that a partition settles next, and records who did so and why.
Read docs/playbooks first: a halted partition says that something is wrong, and
this command does not mend it.

Forward: every record that is passed over and still in the log gets an outcome,
in the same transaction: a failed operation (processing_error) with its payload as
a dead letter, or a dead letter where it is none of ours. Nothing stays pending.
Backward: the records are settled again, which changes nothing that is decided.
With --new-log the topic is another one than the one that was settled, be it only
its tail: places count in a log of the next number, and records before --offset
that have no outcome yet are passed over. What was answered 202 into the log before,
and is neither settled nor in the new one, is lost: it stays pending until its sender
submits it again under the same idempotency key. A log that holds the record that was
settled last is no new one, and is refused as one. A missing progress is made anew;
records before --offset that have no outcome are passed over.

The offset must lie in the log. A processor that has the partition is fenced off,
and goes on by itself from the new offset. The database is used as its owner.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return setProgress(cmd, environ, m) },
	}
	f := set.Flags()
	f.IntVar(&m.Partition, "partition", -1, "which partition")
	f.Int64Var(&m.Offset, "offset", -1, "the next offset to settle")
	f.StringVar(&m.Reason, "reason", "", "why; it is recorded")
	f.BoolVar(&m.NewLog, "new-log", false, "the topic was made anew, or its tail was lost and written over")
	var w watchFlags
	list := group("partitions", "Show how far each partition is settled, and move it", set)
	list.Long = withEnvironment[config.Admin](`Lists every partition: its log, the offset that its counts began with, the next
offset to settle, the end of the log, the lag, the epoch and its owner (gone: no such
processor is in the group any more), the counts of operations, duplicates,
conflicts, dead letters and gaps, and its state: what its owner says, what the log
says against the record, and whether a processor has it. It claims nothing and may
run at any time. The exit code is 1 where something is wrong.`)
	list.RunE = func(cmd *cobra.Command, _ []string) error { return listPartitions(cmd, environ, w) }
	list.Flags().BoolVar(&w.watch, "watch", false, "look again every --every, until Ctrl-C")
	list.Flags().DurationVar(&w.every, "every", 2*time.Second, "how often to look with --watch, from 100ms")
	list.Flags().StringVarP(&w.output, "output", "o", "table", "table or json: an object a look")
	return list
}

func setProgress(cmd *cobra.Command, environ []string, m postgres.Move) error {
	var faults []error
	if m.Partition < 0 {
		faults = append(faults, errors.New("--partition must be given, from 0"))
	}
	if m.Offset < 0 {
		faults = append(faults, errors.New("--offset must be given, from 0"))
	}
	reason, err := parseReason(m.Reason)
	if m.Reason = reason; err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return misuse(errors.Join(faults...))
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	m.By = whoRuns()
	done, err := service.SetProgress(cmd.Context(), c, m)
	if err != nil {
		return err
	}
	from := fmt.Sprintf("was at log %d, offset %d", done.From.Log, done.From.Offset)
	if done.Made {
		from = "had no progress"
	}
	cmd.Printf("partition %d %s, and is at log %d, offset %d now, under epoch %d\n", m.Partition, from, done.To.Log, done.To.Offset, done.Epoch)
	if done.Passed > 0 {
		cmd.Printf("passed over %d offsets: %d failed operations, %d dead letters, %d had their outcome before\n",
			done.Passed, done.Failed, done.Dead, done.Known)
	}
	if done.To.Log > done.From.Log && !done.Made {
		cmd.Printf("what was answered 202 into log %d at offset %d or later and is not in log %d is lost: "+
			"it stays pending until its sender submits it again under the same idempotency key\n",
			done.From.Log, done.From.Offset, done.To.Log)
	}
	if done.Missing > 0 {
		cmd.Printf("%d offsets are in the log no more, or cannot be read: what was pending there stays pending until it is submitted again\n", done.Missing)
	}
	return nil
}

// parseReason reads the reason that is recorded of a change.
func parseReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxReason || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("--reason must be given, of at most %d bytes in UTF-8 without control characters", maxReason)
	}
	return text, nil
}

// whoRuns is the user of the operating system, and the host.
func whoRuns() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
