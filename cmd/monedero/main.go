// Command monedero runs the demo and is the operator's tool: it migrates the
// database, makes the topic and API keys, moves the progress of partitions, verifies the
// books, and puts a load on a running system.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/telemetry"
)

// The exit codes.
const (
	exitFailed = 1 // something went wrong, or verify found violations
	exitMisuse = 2 // the command line or the environment is at fault
)

func main() {
	// The first signal asks every part to stop in order; a second one ends the
	// process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// A reader of our output that goes away is an error like any other: what was
	// started is stopped in order.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run executes the command line in the environment, which has the form of
// os.Environ(), and returns the exit code. What people or
// scripts asked for goes to stdout, everything else to stderr.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	// Cobra shows help without a look at what else is on the line.
	var unknown error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, line []string) {
		if unknown = noArgs(cmd, cmd.Flags().Args()); unknown == nil {
			help(cmd, line)
		}
	})
	root.SetArgs(append([]string{}, args...)) // nil would be os.Args to cobra
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := errors.Join(root.ExecuteContext(ctx), unknown)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "monedero: %v\n", err)
	if errors.As(err, new(*misuseError)) {
		return exitMisuse
	}
	return exitFailed
}

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "monedero",
		Short:         "Charges against prepaid wallets: demo and operator's tool",
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       telemetry.ThisBuild().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse(err) })
	root.AddCommand(newDemo(environ), newDevstack(), newMigrate(environ), newTopics(environ), newPartitions(environ), newRecover(environ), newAudit(environ), newKeys(environ), newMerchants(environ), newClients(environ), newWallets(environ), newVerify(environ), newRebuild(environ),
		newDeadLetters(environ), newLoad(environ), newBench(environ), newBenchPart(environ))
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return misuse(fmt.Errorf("%s needs one of its commands: see %s --help", cmd.CommandPath(), cmd.CommandPath()))
	}}
	g.AddCommand(commands...)
	return g
}

// misuseError is a fault of the command line or the environment.
type misuseError struct{ err error }

func (e *misuseError) Error() string { return e.err.Error() }
func (e *misuseError) Unwrap() error { return e.err }

func misuse(err error) error { return &misuseError{err} }

// noArgs refuses arguments: every command takes flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(fmt.Errorf("%s knows no %q: see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath()))
	}
	return nil
}
