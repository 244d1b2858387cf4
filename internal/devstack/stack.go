package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Options say what Start is to start. The zero value is all of it in temporary
// folders, with a new secret.
type Options struct {
	// Dir keeps everything from run to run; one run at a time. If it is empty,
	// nothing is kept.
	Dir string
	// DatabaseURL of a Postgres that runs already; empty: one is started.
	DatabaseURL string
	// KafkaBrokers of a Kafka that runs already; none: one is started. A database
	// remembers its Kafka: one that outlives this stack wants a Kafka that does.
	KafkaBrokers []string
	// Apache makes the Kafka that is started Apache Kafka: see [StartApache].
	// Otherwise it is the one in this process. Their data differ, and so do their
	// folders.
	Apache bool
	// Secret for operation IDs; empty: the one kept in Dir. A database remembers
	// its secret too.
	Secret string
	// PostgresPort and KafkaPort on 127.0.0.1; 0: free ones.
	PostgresPort, KafkaPort int
	// Log gets a few lines; nil: none.
	Log *slog.Logger
}

// Stack is a running Postgres and Kafka, and the secret that goes with them.
type Stack struct {
	postgres *Postgres
	kafka    broker // nil: not ours
	brokers  []string
	secret   string
	lock     *lock
	stop     func() error
}

// broker is a Kafka that we started.
type broker interface {
	Brokers() []string
	Stop() error
	wait(ctx context.Context) error
}

// Start starts what is not given, and returns when all of it answers. If it fails,
// nothing is left running. ctx is for the start only; Stop ends the stack.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	s := &Stack{brokers: o.KafkaBrokers}
	s.stop = sync.OnceValue(s.stopOwn)
	defer func() {
		if err != nil {
			_ = s.Stop() // the first error is the one to tell
		}
	}()
	var postgresDir, kafkaDir string
	if o.Dir != "" {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, fmt.Errorf("find folder: %w", err)
		}
		// Others may pass through, to what is theirs: when we are root, Postgres
		// is somebody else.
		if err := makeFolder(dir, 0o711); err != nil {
			return nil, err
		}
		if s.lock, err = lockDir(dir); err != nil {
			return nil, err
		}
		postgresDir, kafkaDir = filepath.Join(dir, "postgres"), filepath.Join(dir, "kafka")
	}
	if s.secret, err = chooseSecret(o); err != nil {
		return nil, err
	}
	s.postgres, err = StartPostgres(ctx, PostgresOptions{URL: o.DatabaseURL, Dir: postgresDir, Port: o.PostgresPort, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if len(o.KafkaBrokers) == 0 {
		k, err := startBroker(ctx, o, kafkaDir)
		if err != nil {
			return nil, err
		}
		s.kafka, s.brokers = k, k.Brokers()
	}
	return s, nil
}

func startBroker(ctx context.Context, o Options, dir string) (broker, error) {
	if !o.Apache {
		return StartKafka(ctx, KafkaOptions{Dir: dir, Port: o.KafkaPort, Log: o.Log})
	}
	if dir != "" {
		dir += "-apache"
	}
	return StartApache(ctx, ApacheOptions{Dir: dir, Port: o.KafkaPort, Log: o.Log})
}

func chooseSecret(o Options) (string, error) {
	switch {
	case o.Secret != "":
		return o.Secret, nil
	case o.Dir != "":
		return keptSecret(filepath.Join(o.Dir, "operation-id-secret"))
	default:
		return newSecret(), nil
	}
}

// DatabaseURL connects as the owner. It holds the password: do not print it
// without being asked to.
func (s *Stack) DatabaseURL() string { return s.postgres.URL() }

// Postgres says for people which Postgres this is.
func (s *Stack) Postgres() string { return s.postgres.Source() }

// Brokers are the addresses of Kafka, host:port.
func (s *Stack) Brokers() []string { return s.brokers }

// Secret is what operation IDs are computed under: at least 32 bytes of text.
func (s *Stack) Secret() string { return s.secret }

// Wait blocks until ctx ends and returns nil, or until the Postgres or the Apache
// Kafka that we started ends by itself and returns why.
func (s *Stack) Wait(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.postgres.wait(ctx) })
	if s.kafka != nil {
		group.Go(func() error { return s.kafka.wait(ctx) })
	}
	return group.Wait()
}

// Stop ends what Start started, in order. A second call does nothing and returns
// the same.
func (s *Stack) Stop() error { return s.stop() }

func (s *Stack) stopOwn() error {
	var faults []error
	if s.kafka != nil {
		faults = append(faults, s.kafka.Stop())
	}
	if s.postgres != nil {
		faults = append(faults, s.postgres.Stop())
	}
	if s.lock != nil {
		faults = append(faults, s.lock.release())
	}
	return errors.Join(faults...)
}
