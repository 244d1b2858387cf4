package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/kafka"
)

const (
	// The world of a line. No other row has one of that scale: its topic is written to.
	linePartitions = 8
	lineWallets    = 1_024
	// restTimeout is for all that was taken to get its outcome, once nothing more comes.
	restTimeout = 5 * time.Minute
	restPause   = 20 * time.Millisecond
)

// line is all that a charge goes through from POST to outcome, ours or the bare one.
type line struct {
	name      string
	address   string
	parts     []*part
	processes []metered
	// rest waits until every charge that was taken has its outcome, and returns how many have one.
	rest           func(context.Context) (int64, error)
	taken, unknown int64 // of all traffic
}

func (l *line) stop() error {
	var faults []error
	for _, p := range l.parts {
		if p != nil {
			faults = append(faults, p.stop())
		}
	}
	return errors.Join(faults...)
}

// check fails when a part has ended.
func (l *line) check() error {
	var faults []error
	for _, p := range l.parts {
		faults = append(faults, p.check())
	}
	return errors.Join(faults...)
}

// until asks over and over, until it is so.
func (l *line) until(ctx context.Context, so func() (bool, error)) error {
	for deadline := time.Now().Add(restTimeout); ; {
		is, err := so()
		if err := errors.Join(err, l.check()); err != nil {
			return err
		}
		if is {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not come to rest within %s", l.name, restTimeout)
		}
		if err := pause(ctx, restPause); err != nil {
			return err
		}
	}
}

// sent is what traffic came to, and what it took.
type sent struct {
	passed
	cpu CPU // of the line, for each charge that was taken; the generator's is not in it
}

// send sends traffic over the line, and waits until it rests. It fails where a charge that was
// taken has no outcome, or one has two.
func (l *line) send(ctx context.Context, generator *part, t traffic) (found sent, err error) {
	t.Address = l.address
	before := read(l.processes)
	if found.passed, err = generator.send(ctx, t); err != nil {
		return found, errors.Join(fmt.Errorf("send over %s: %w", l.name, err), l.check())
	}
	found.cpu = between(l.processes, before, read(l.processes), found.Taken)
	l.taken, l.unknown = l.taken+found.Taken, l.unknown+found.Unknown
	n, err := l.rest(ctx)
	if err == nil && (n < l.taken || n > l.taken+l.unknown) {
		err = fmt.Errorf("money came out wrong on %s: %d charges were taken, of %d more nobody knows, and %d have an outcome",
			l.name, l.taken, l.unknown, n)
	}
	return found, err
}

// onOurs measures something with a line of ours, over so many partitions, and traffic for it. All lines
// over as many have one world, whose database grows with each.
func (r *run) onOurs(ctx context.Context, partitions, rate int, measure func(*line, traffic, *world) error) error {
	w, err := r.world(ctx, scale{partitions: partitions, wallets: lineWallets})
	if err != nil {
		return err
	}
	t, err := r.traffic(ctx, w, w.database, rate)
	if err != nil {
		return err
	}
	return r.withOurs(ctx, w, w.database, func(ours *line) error { return measure(ours, t, w) })
}

// withOurs does something with a line of ours.
func (r *run) withOurs(ctx context.Context, w *world, d *database, do func(*line) error) error {
	ours, err := r.startOurs(ctx, w, d)
	if err == nil {
		err = do(ours)
	}
	return errors.Join(err, ours.stop())
}

// startOurs starts an ingest and a processor, and waits until they rest. What it returns is to be
// stopped even where it failed.
func (r *run) startOurs(ctx context.Context, w *world, d *database) (*line, error) {
	s, at, err := r.startServices(ctx, w, d)
	l := &line{name: "our line", address: at, parts: []*part{s.ingest, s.processor}}
	if err != nil {
		return l, err
	}
	l.processes = append([]metered{{name: "ingest", pids: []int{s.ingest.pid()}}}, r.metered("processor", s.processor)...)
	began, before := time.Now(), books{}
	l.rest = func(ctx context.Context) (n int64, err error) {
		err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
			if err := l.noLag(ctx, r, w, conn); err != nil {
				return err
			}
			now, err := readBooks(ctx, conn, began)
			if err != nil {
				return err
			}
			n = now.accepted
			before.duplicates = now.duplicates // ingest writes again what Kafka did not answer in time
			return now.follow(before, tally{n, n * submitAmount})
		})
		return n, err
	}
	return l, r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		if err := l.noLag(ctx, r, w, conn); err != nil {
			return err
		}
		began = time.Now()
		before, err = readBooks(ctx, conn, began)
		return err
	})
}

// noLag waits until all that lies in the topic is settled.
func (l *line) noLag(ctx context.Context, r *run, w *world, conn *pgx.Conn) error {
	cluster, err := kafka.NewCluster(r.brokers, w.topic)
	if err != nil {
		return err
	}
	defer cluster.Close()
	return l.until(ctx, func() (bool, error) {
		lag, err := lagNow(ctx, cluster, conn, w)
		return lag.records == 0, err
	})
}
