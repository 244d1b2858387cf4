package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/devstack"
)

// The ports where they are free, so that what is printed stays the same from run
// to run.
const (
	postgresPort = 15432
	kafkaPort    = 19092
)

func newDevstack() *cobra.Command {
	var kafka string
	var o devstack.Options
	var portOfPostgres, portOfKafka uint16
	cmd := &cobra.Command{
		Use:   "devstack",
		Short: "Start only Postgres and Kafka, and print the environment of ingest and processor",
		Long: `Starts Postgres and an embedded Kafka for development, prints the environment
that ingest, processor and the other commands need, and stays up until Ctrl-C.
With --kafka=apache the Kafka is Apache Kafka itself: that wants java 17 or newer,
and downloads its jars (43 MB) the first time.
The database is empty at first: run "monedero migrate up" and "monedero topics
create" next.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kafka != "embedded" && kafka != "apache" {
				return misuse(fmt.Errorf("--kafka must be embedded or apache, not %q", kafka))
			}
			o.Apache = kafka == "apache"
			for _, p := range []struct {
				flag  string
				asked uint16
				port  *int
			}{{"postgres-port", portOfPostgres, &o.PostgresPort}, {"kafka-port", portOfKafka, &o.KafkaPort}} {
				*p.port = int(p.asked)
				if err := free(cmd.Context(), p.asked); err != nil && cmd.Flags().Changed(p.flag) {
					return fmt.Errorf("--%s: %w", p.flag, err)
				} else if err != nil {
					*p.port = 0
					cmd.PrintErrf("another port is taken than %d: %v\n", p.asked, err)
				}
			}
			return runDevstack(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "data", "", "folder that keeps data and secret (default: all is temporary)")
	f.StringVar(&kafka, "kafka", "embedded", "embedded, or apache: Apache Kafka, run by java")
	f.Uint16Var(&portOfPostgres, "postgres-port", postgresPort, "port of Postgres on 127.0.0.1; 0: any. Where the default is taken, any too")
	f.Uint16Var(&portOfKafka, "kafka-port", kafkaPort, "port of Kafka, likewise")
	return cmd
}

func runDevstack(ctx context.Context, o devstack.Options, out, progress io.Writer) (err error) {
	o.Log = slog.New(slog.NewTextHandler(progress, &slog.HandlerOptions{Level: slog.LevelWarn}))
	stack, err := devstack.Start(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was up
		}
		return err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	fmt.Fprintf(progress, "Postgres (%s) and Kafka run until Ctrl-C. In another terminal:\n\n", stack.Postgres())
	for _, v := range [][2]string{
		{"DATABASE_URL", stack.DatabaseURL()},
		{"KAFKA_BROKERS", strings.Join(stack.Brokers(), ",")},
		{"OPERATION_ID_SECRET", stack.Secret()},
		{"LAME_DUCK", "0"}, // no load balancer waits to be told
	} {
		if _, err := fmt.Fprintf(out, "export %s='%s'\n", v[0], v[1]); err != nil {
			return fmt.Errorf("print the environment: %w", err)
		}
	}
	return stack.Wait(ctx)
}

// free fails, with the reason, if the port of this machine cannot be listened on.
func free(ctx context.Context, port uint16) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	return l.Close()
}
