package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/service"
)

const (
	topicName     = "charges.requested"
	groupName     = "monedero-processor"
	partitions    = 16
	replication   = 1                // the embedded Kafka is one broker
	preferredAddr = "127.0.0.1:8080" // of ingest, where it is free
	readyTimeout  = 30 * time.Second
	readyPause    = 10 * time.Millisecond
)

// stage is what runs during the demo: Postgres, Kafka, ingest, a processor; and
// the world that lives on it.
type stage struct {
	options Options
	console *console
	state   *state
	stack   *devstack.Stack
	store   *postgres.Store // for the operator's first key and for the checker
	minter  *ledger.Minter
	api     *client.Client

	database string         // its URL
	closers  []func() error // in the order in which things were opened

	world  *world
	before books // of the day
}

// open starts everything, one line for each step. What was started when it fails
// is closed by close, as always. The function fail is called when something
// ends by itself.
func (s *stage) open(ctx context.Context, fail context.CancelCauseFunc) (err error) {
	s.console.printf("a day of %d charges on %d wallets, by %d callers", s.options.Charges, s.options.Wallets, s.options.Callers)
	if err := s.console.step(func() (string, error) { return s.openStack(ctx, fail) }); err != nil {
		return err
	}
	if s.state, err = readState(s.options.Dir); err != nil {
		return err
	}
	if s.minter, err = ledger.NewMinter([]byte(s.stack.Secret())); err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	if err := s.console.step(func() (string, error) { return s.openTopic(ctx) }); err != nil {
		return err
	}
	return s.console.step(func() (string, error) { return s.openServices(ctx, fail) })
}

// close ends everything in the reverse order, whatever fails on the way.
func (s *stage) close() error {
	var faults []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		faults = append(faults, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(faults...)
}

func (s *stage) onClose(end func() error) { s.closers = append(s.closers, end) }

func (s *stage) openStack(ctx context.Context, fail context.CancelCauseFunc) (string, error) {
	stack, err := devstack.Start(ctx, devstack.Options{
		Dir: s.options.Dir, DatabaseURL: s.options.DatabaseURL, Log: s.options.Log,
	})
	if err != nil {
		return "", err
	}
	s.stack, s.database = stack, stack.DatabaseURL()
	s.onClose(stack.Stop)
	if s.options.DatabaseURL != "" && s.options.Dir == "" {
		var drop func() error
		if s.database, drop, err = createDatabase(ctx, s.database); err != nil {
			return "", err
		}
		s.onClose(drop)
	}
	s.onClose(startPart(ctx, "embedded parts", fail, stack.Wait).end)
	return fmt.Sprintf("started Postgres (%s) and Kafka (embedded)", stack.Postgres()), nil
}

func (s *stage) openTopic(ctx context.Context) (string, error) {
	steps, err := postgres.Migrate(ctx, s.database)
	if err != nil {
		return "", err
	}
	if _, err := service.CreateTopic(ctx, service.Topic{
		Name: topicName, Group: groupName, Partitions: partitions, Replication: replication,
		DatabaseURL: s.database, Brokers: s.stack.Brokers(), Minter: s.minter,
	}); err != nil {
		return "", err
	}
	if s.store, err = postgres.Connect(ctx, s.database, postgres.Options{Application: "demo", Log: s.options.Log}); err != nil {
		return "", err
	}
	s.onClose(func() error { s.store.Close(); return nil })
	return fmt.Sprintf("took %d migrations, topic %s has %d partitions", len(steps), topicName, partitions), nil
}

func (s *stage) openServices(ctx context.Context, fail context.CancelCauseFunc) (string, error) {
	environ := []string{
		"DATABASE_URL=" + s.database, "KAFKA_BROKERS=" + strings.Join(s.stack.Brokers(), ","), "KAFKA_TOPIC=" + topicName, "KAFKA_GROUP=" + groupName,
		"OPERATION_ID_SECRET=" + s.stack.Secret(), "ADMIN_ADDR=", "LAME_DUCK=0",
	}
	forIngest, err := config.Load[config.Ingest](environ)
	if err != nil {
		return "", err
	}
	forProcessor, err := config.Load[config.Processor](environ)
	if err != nil {
		return "", err
	}
	listener, err := listen(ctx)
	if err != nil {
		return "", err
	}
	s.api = client.New("http://"+listener.Addr().String(), s.options.Callers)
	log := func(name string) *slog.Logger { return s.options.Log.With("service", name) }
	s.onClose(startPart(ctx, "processor", fail, func(ctx context.Context) error {
		return service.RunProcessor(ctx, forProcessor, log("processor"))
	}).end)
	s.onClose(startPart(ctx, "ingest", fail, func(ctx context.Context) error {
		return service.RunIngest(ctx, forIngest, log("ingest"), listener)
	}).end)
	s.onClose(func() error { s.api.Close(); return nil })
	if err := s.awaitReady(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("started ingest on %s and a processor", s.api.Base()), nil
}

// listen takes the usual port where it is free, else any.
func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	if l, err := config.Listen(ctx, "tcp", preferredAddr); err == nil {
		return l, nil
	}
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// awaitReady waits until ingest says that it is ready.
func (s *stage) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("ingest is not ready after %s", readyTimeout))
	defer cancel()
	for {
		a, err := s.api.Once(ctx, client.Call{Method: http.MethodGet, Path: "/readyz"})
		if err == nil && a.Status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(readyPause):
		}
	}
}

// admit makes the first key of the operator, past the API: nobody can ask the
// API without one.
func (s *stage) admit(ctx context.Context) error {
	if s.state.Operator != "" {
		return nil
	}
	_, text, err := access.IssueKey(ctx, s.store, s.minter, ledger.Key{
		Party: ledger.Party{Role: ledger.RoleOperator}, Name: "demo", CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}, ledger.Person("demo", ""))
	if err != nil {
		return err
	}
	s.state.Operator = text
	return s.state.write()
}

// invite tells a person what to try.
func (s *stage) invite() error {
	list, err := trials(s.world, s.minter, s.state.Day)
	if err != nil {
		return err
	}
	s.console.printf("\nIt runs until Ctrl-C. Try:")
	for _, t := range list {
		line, err := curl(t.call, s.api.Base())
		if err != nil {
			return err
		}
		s.console.printf("\n# %s\n%s", t.what, line)
	}
	return nil
}
