package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/repair"
	"github.com/monedero/monedero/internal/service"
)

// moveFlags say which progress to move, and where to.
type moveFlags struct {
	partition      int
	offset, reason string
	halted, newLog bool
	yes, dryRun    bool
}

func newSetProgress(environ []string) *cobra.Command {
	var m moveFlags
	set := &cobra.Command{
		Use:   "set-progress",
		Short: "Move the progress of a partition: the way out of a halt",
		Long: withEnvironment[config.Admin](`Sets the offset that a partition settles next, and records who did so and why.
Read docs/playbooks first: a halted partition says that something is wrong, and
this command does not mend it.

Forward: every record that is passed over and still in the log gets an outcome: a
failed operation (processing_error) with its payload as a dead letter, or a dead
letter where it is none of ours. Nothing stays pending. Captures that fail are named,
up to a hundred of a partition: their holds keep the money. A long stretch is passed over
in slices, each in one transaction with the progress; nothing is settled in between,
and freezing and the like is done between two slices. If the command is broken off, the
partition stays halted where it came to; the same offset again, without --new-log, goes on.
It first shows what would become of how many records, and asks; --dry-run only
shows it.
Backward: the records are settled again, which changes nothing that is decided.
With --new-log the topic is another one than the one that was settled, be it only
its tail: places count in a log of the next number, and records before --offset
that have no outcome yet are passed over. What was answered 202 into the log before,
and is neither settled nor in the new one, is lost: it stays pending until its sender
submits it again under the same idempotency key. A log that holds the record that was
settled last is no new one, and is refused as one. A missing progress is made anew;
records before --offset that have no outcome are passed over.

The offset must lie in the log: a number, or start (of the log), end (behind its last
record), or +N (N behind where the progress stands: +1 passes one record over, +0
says that the partition is to go on). With --all-halted it is set for each partition
that is halted, or would be, but for those that somebody moves already.
A processor that has the partition is fenced off, and goes on by itself from the
new offset. The database is used as its owner.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return setProgress(cmd, environ, m) },
	}
	f := set.Flags()
	f.IntVar(&m.partition, "partition", -1, "which partition")
	f.BoolVar(&m.halted, "all-halted", false, "every partition that is halted, or would be")
	f.StringVar(&m.offset, "offset", "", "the next offset to settle: a number, start, end or +N")
	f.StringVar(&m.reason, "reason", "", "why; it is recorded")
	f.BoolVar(&m.newLog, "new-log", false, "the topic was made anew, or its tail was lost and written over")
	f.BoolVar(&m.yes, "yes", false, "do not ask")
	f.BoolVar(&m.dryRun, "dry-run", false, "only show what it would do")
	return set
}

// move is what the flags ask for; its error names every fault.
func (f moveFlags) move() (m repair.Move, err error) {
	m = repair.Move{Partition: f.partition, NewLog: f.newLog, By: whoRuns()}
	var faults []error
	if (f.partition >= 0) == f.halted {
		faults = append(faults, errors.New("--partition must be given, from 0, or --all-halted"))
	}
	if m.Anchor, m.Offset, err = parseOffset(f.offset); err != nil {
		faults = append(faults, err)
	}
	if m.Reason, err = parseReason(f.reason); err != nil {
		faults = append(faults, err)
	}
	return m, errors.Join(faults...)
}

// parseOffset reads the offset that a progress is to have.
func parseOffset(text string) (repair.Anchor, int64, error) {
	anchor := repair.FromZero
	switch {
	case text == "start":
		return repair.FromStart, 0, nil
	case text == "end":
		return repair.FromEnd, 0, nil
	case strings.HasPrefix(text, "+"):
		anchor, text = repair.FromHere, text[1:]
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, 0, errors.New("--offset must be given: a number from 0, start, end or +N")
	}
	return anchor, int64(n), nil
}

func setProgress(cmd *cobra.Command, environ []string, f moveFlags) error {
	m, err := f.move()
	if err != nil {
		return misuse(err)
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	moves := []repair.Move{m}
	if f.halted {
		if moves, err = haltedMoves(cmd.Context(), c, m, cmd.Printf); err != nil {
			return err
		}
		if len(moves) == 0 {
			cmd.Println("no partition is halted that is not being moved")
			return nil
		}
	}
	if !f.yes || f.dryRun {
		asks := false
		for i := range moves {
			plan := moves[i]
			plan.DryRun = true
			would, err := service.SetProgress(cmd.Context(), c, plan)
			if err != nil {
				return ofPartition(plan, err)
			}
			moves[i].Anchor, moves[i].Offset = repair.FromZero, would.To.Offset
			asks = asks || would.Offsets > 0 || would.Missing > 0 || m.NewLog
			tellMove(cmd, plan, would, nil)
		}
		if f.dryRun {
			return nil
		}
		if asks {
			if err := confirm(cmd, f.yes, fmt.Sprintf("Set the progress of %d partitions so?", len(moves))); err != nil {
				return err
			}
		}
	}
	for _, m := range moves {
		done, err := service.SetProgress(cmd.Context(), c, m)
		if done.Epoch != 0 { // also what was done before it failed
			tellMove(cmd, m, done, err)
		}
		if err != nil {
			return ofPartition(m, err)
		}
	}
	return nil
}

func ofPartition(m repair.Move, err error) error {
	return fmt.Errorf("partition %d: %w", m.Partition, err)
}

// haltedMoves is the move for each partition that is halted, or would be, but for those
// that are being moved: of these it tells.
func haltedMoves(
	ctx context.Context, c config.Admin, m repair.Move, tell func(format string, args ...any),
) ([]repair.Move, error) {
	look, err := service.LookAtPartitions(ctx, c)
	if err != nil {
		return nil, err
	}
	defer look.Close()
	found, err := lookOnce(ctx, look)
	if err != nil {
		return nil, err
	}
	var moves []repair.Move
	for _, p := range found.Partitions {
		switch {
		case p.Goal != nil: // somebody decided about this one
			tell("partition %d is left out: a move to offset %d is under way, or was broken off\n", p.Claim.Partition, *p.Goal)
		case p.Halts:
			m.Partition = p.Claim.Partition
			moves = append(moves, m)
		}
	}
	return moves, nil
}

// tellMove says what a move did before it failed, if it did, or would do.
func tellMove(cmd *cobra.Command, m repair.Move, done repair.Moved, failed error) {
	to, passed := "and is at log %d, offset %d now, under epoch %d\n", "passed over"
	switch {
	case failed != nil:
		to = "and was brought to log %d, offset %d, under epoch %d\n"
	case m.DryRun:
		to, passed = "and would be at log %d, offset %d, under epoch %d\n", "would pass over"
	}
	from := fmt.Sprintf("was at log %d, offset %d", done.From.Log, done.From.Offset)
	if done.Made {
		from = "had no progress"
	}
	cmd.Printf("partition %d %s, "+to, m.Partition, from, done.To.Log, done.To.Offset, done.Epoch)
	if done.Ends != nil {
		cmd.Printf("a move to offset %d was not finished: this one takes its place\n", *done.Ends)
	}
	if done.Offsets > 0 {
		cmd.Printf("%s %d offsets: %d failed operations, %d dead letters, %d had their outcome before\n",
			passed, done.Offsets, done.Failed, done.Dead, done.Known)
	}
	tellCaptures(cmd, done.Passed, m.DryRun)
	if done.To.Log > done.From.Log && !done.Made {
		cmd.Printf("what was answered 202 into log %d at offset %d or later and is not in log %d is lost: "+
			"it stays pending until its sender submits it again under the same idempotency key\n",
			done.From.Log, done.From.Offset, done.To.Log)
	}
	if done.Missing > 0 {
		cmd.Printf("%d offsets are in the log no more, or cannot be read: what was pending there stays pending until it is submitted again\n", done.Missing)
	}
}

// tellCaptures names the captures that failed, or would fail: their holds keep the money until somebody acts.
func tellCaptures(cmd *cobra.Command, p repair.Passed, dryRun bool) {
	if len(p.Captures) == 0 {
		return
	}
	fail := "failed"
	if dryRun {
		fail = "would fail"
	}
	cmd.Printf("%d of these operations are captures that %s; until its hold ends, each can be captured again, under another idempotency key "+
		"(amounts in minor units):\n", int64(len(p.Captures))+p.Unnamed, fail)
	for _, c := range p.Captures {
		hold, amount := c.Hold.String(), "all that is left"
		switch {
		case c.Hold.IsZero():
			hold, amount = "not readable", "not readable"
		case c.Amount != 0:
			amount = fmt.Sprintf("%d %s", c.Amount, c.Currency)
		}
		cmd.Printf("  capture %s, wallet %s, hold %s, merchant %s, amount %s\n", c.ID, c.Wallet, hold, c.Merchant, amount)
	}
	if p.Unnamed > 0 {
		cmd.Printf("  and %d more: all of them are among the dead letters\n", p.Unnamed)
	}
}
