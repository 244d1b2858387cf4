package loadgen

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/client"
)

// leadTime is from the moment at which everything is ready to the first arrival.
const leadTime = 50 * time.Millisecond

// load is one run.
type load struct {
	options Options
	run     string // its name, in every key and invoice
	api     *client.Client
	plan    *plan
	world   world
	decided map[string]int32 // what was decided at once, by its ID: the number of the request; written before the check reads it

	late    *Latencies // from the intended moment to the sending itself
	accept  *Latencies // to the answer of a submission that was taken and did not wait
	visible *Latencies // to the outcome, where the submission waited
	direct  *Latencies // to the answer of what is decided at once
	shed    *Latencies // to the refusal for want of room
	began   time.Time
	took    time.Duration

	mu          sync.Mutex // guards what follows, and the requests of the plan
	answers     Counts
	overflow    int64
	leftOut     int64 // what refers to requests that were not taken
	resubmitted int64
	outcomes    Counts
	violations  []string
	more        int
}

// Run makes wallets and merchants on the running system, sends the load, waits for
// every outcome, and checks what must hold. It returns a report when it came so
// far; [Report.Err] says whether all was as it should be. It changes nothing but
// what it made itself, and removes none of that.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.Check(); err != nil {
		return Report{}, err
	}
	l := newLoad(o)
	defer l.api.Close()
	l.say("make %d wallets and top them up", o.Wallets)
	if err := l.found(ctx); err != nil {
		return Report{}, fmt.Errorf("set up: %w", err)
	}
	if err := l.drive(ctx); err != nil {
		return Report{}, err
	}
	if err := l.check(ctx); err != nil {
		return Report{}, fmt.Errorf("check: %w", err)
	}
	return l.report(), nil
}

func newLoad(o Options) *load {
	return &load{
		options: o, run: strings.ToLower(rand.Text()[:10]), plan: newPlan(o),
		api:  client.New(o.API, max(o.InFlight, setupCallers)),
		late: NewLatencies(), accept: NewLatencies(), visible: NewLatencies(), direct: NewLatencies(), shed: NewLatencies(),
		answers: Counts{}, outcomes: Counts{},
	}
}

var errStopped = errors.New("stopped before the load was over")

// drive sends every arrival of the plan at its moment.
func (l *load) drive(ctx context.Context) error {
	s := Schedule{Start: time.Now().Add(leadTime), Rate: l.options.Rate, Arrivals: len(l.plan.arrivals)}
	l.began = s.Start
	l.say("send %d submissions in %s", s.Arrivals, l.options.For)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { l.tellProgress(s, done) })
	l.took = s.Keep(ctx, l.options.InFlight, func(i int, intended time.Time) {
		l.send(ctx, l.plan.arrivals[i], intended)
	}, func(int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.overflow++
	})
	close(done)
	watch.Wait()
	if ctx.Err() != nil {
		return errStopped
	}
	return nil
}

// tellProgress says every second how far it is.
func (l *load) tellProgress(s Schedule, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		answered := l.answers.Sum()
		overflow := l.overflow
		l.mu.Unlock()
		due := min(int64(time.Since(s.Start).Seconds()*float64(s.Rate)), int64(s.Arrivals))
		l.say("%s: %d due, %d answered, %d not sent; p99 until accepted %.1f ms", time.Since(s.Start).Round(time.Second),
			due, answered, overflow, l.accept.Spread().P99)
	}
}

func (l *load) say(format string, args ...any) {
	if l.options.Progress != nil {
		fmt.Fprintf(l.options.Progress, format+"\n", args...)
	}
}
