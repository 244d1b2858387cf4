package main

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
)

// maxReason is how long the reason of a change may be, in bytes.
const maxReason = 1000

func newPartitions(environ []string) *cobra.Command {
	var w watchFlags
	list := group("partitions", "Show how far each partition is settled, and move it", newSetProgress(environ))
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
