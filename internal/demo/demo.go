package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// The limits of the options.
const (
	maxCharges = 1_000_000
	maxWallets = 100_000
	maxCallers = 1024
)

// Options say what day it is to be.
type Options struct {
	Charges int // sent over HTTP, retries included
	Wallets int
	Callers int // that send at the same time
	Seed    uint64

	// Dir keeps data, secret and keys; a later demo on it goes on with the next
	// day. Empty: everything is temporary and removed.
	Dir string
	// DatabaseURL of a Postgres that runs already; empty: one is started. Without
	// Dir the demo makes a database of its own there, and removes it.
	DatabaseURL string
	// Exit ends the demo after the report instead of staying up until ctx ends.
	Exit bool

	Out io.Writer    // what it says to people
	Log *slog.Logger // of the services
}

// Check lists what is wrong with the options; nil: nothing.
func (o Options) Check() error {
	var faults []error
	within := func(name string, value, least, most int) {
		if value < least || value > most {
			faults = append(faults, fmt.Errorf("%s must be from %d to %d", name, least, most))
		}
	}
	within("charges", o.Charges, MinCharges, maxCharges)
	within("wallets", o.Wallets, MinWallets, maxWallets)
	within("callers", o.Callers, 1, maxCallers)
	return errors.Join(faults...)
}

// errStopped says that the demo was asked to stop before it had a report.
var errStopped = errors.New("stopped before the day was over")

// Run starts Postgres, Kafka, ingest and a processor, plays a day, reports, and
// stays up until ctx ends (or ends by itself, see [Options]). Whatever happens,
// all that it started is stopped when it returns. It fails with [ErrMismatch]
// if not every outcome was what it should be or the checker found a violation.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.Check(); err != nil {
		return err
	}
	s := &stage{options: o, console: newConsole(o.Out)}
	// The day also ends when something breaks that it stands on.
	day, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer func() { err = errors.Join(err, s.close()) }()
	report, err := s.live(day, fail)
	if err != nil {
		return explain(ctx, day, err)
	}
	if err := report.Write(o.Out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if o.Exit {
		return report.Err()
	}
	if err := s.invite(); err != nil {
		return err
	}
	<-day.Done()
	return errors.Join(report.Err(), explain(ctx, day, nil))
}

// live opens the stage and plays the next day on it.
func (s *stage) live(ctx context.Context, fail context.CancelCauseFunc) (Report, error) {
	if err := s.open(ctx, fail); err != nil {
		return Report{}, err
	}
	today, err := s.prepare(ctx)
	if err != nil {
		return Report{}, err
	}
	return s.play(ctx, today)
}

// explain is why the day ended: that something broke beside it says more than
// the errors that followed, and being asked to stop is no error once there is a
// report.
func explain(asked, day context.Context, err error) error {
	switch {
	case asked.Err() == nil && day.Err() != nil:
		return context.Cause(day)
	case asked.Err() != nil && err != nil:
		return errStopped
	}
	return err
}

// prepare makes or finds the world and plans the next day on it.
func (s *stage) prepare(ctx context.Context) (plan, error) {
	var today plan
	err := s.console.step(func() (string, error) {
		if err := s.state.begin(); err != nil {
			return "", err
		}
		if err := s.admit(ctx); err != nil {
			return "", err
		}
		f := &founder{day: s.state.Day, api: s.api, operator: s.state.Operator, keys: s.state.Keys, callers: s.options.Callers}
		t := s.console.tally("wallets", s.options.Wallets)
		defer t.end()
		var err error
		if s.world, err = f.found(ctx, s.options.Wallets, t); err != nil {
			return "", fmt.Errorf("make the wallets and their owners: %w", err)
		}
		if err := s.state.write(); err != nil {
			return "", err
		}
		// An earlier day may have been broken off: what it left is settled first.
		if err := s.settled(ctx); err != nil {
			return "", err
		}
		if s.before, err = s.readBooks(ctx); err != nil {
			return "", err
		}
		today = newPlan(s.world, s.state.Day, s.options.Seed, s.options.Charges, time.Now())
		return fmt.Sprintf("made %d wallets, %d merchants and their API keys over HTTP (day %d)",
			len(s.world.wallets()), len(s.world.merchants)+1, s.state.Day), nil
	})
	return today, err
}
