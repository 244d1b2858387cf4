package loadgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/monedero/monedero/internal/client"
)

// maxListed is how many violations a report lists.
const maxListed = 20

// Report is what came of a run.
type Report struct {
	Rate        int       `json:"rate"`         // submissions a second that were to arrive
	Achieved    float64   `json:"achieved"`     // that were sent
	Taken       float64   `json:"taken"`        // that were answered 202 or 200
	Began       time.Time `json:"began"`        // the moment of the first arrival
	Seconds     float64   `json:"seconds"`      // from the first arrival to the last
	Submissions int       `json:"submissions"`  // arrivals
	Requests    Counts    `json:"requests"`     // that they were of, by kind; the others repeat one
	NotSent     int64     `json:"not_sent"`     // for want of a place in flight: a failure of the run
	LeftOut     int64     `json:"left_out"`     // of what refers to requests that were not taken
	InFlight    int       `json:"in_flight"`    // the bound of that
	Resubmitted int64     `json:"resubmitted"`  // at the end, to find out what an answer left open
	Late        Spread    `json:"sending_late"` // what the generator itself was late

	Accept  Spread `json:"accept"`  // from the intended moment to 202 (or 200), of submissions that did not wait
	Outcome Spread `json:"outcome"` // from the intended moment to the outcome, of those that waited
	Direct  Spread `json:"direct"`  // from the intended moment to the answer, of grants and revocations: they are decided at once
	Shed    Spread `json:"shed"`    // from the intended moment to the refusal as overloaded

	Answers    Counts   `json:"answers"`  // submissions by status and problem
	Outcomes   Counts   `json:"outcomes"` // requests on record, by kind and accepted or reason
	Violations []string `json:"violations"`
	More       int      `json:"more_violations"` // that are not listed
}

// Counts is how many there are of each.
type Counts map[string]int64

// Sum is how many there are together.
func (c Counts) Sum() (n int64) {
	for _, of := range c {
		n += of
	}
	return n
}

func (l *load) report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{
		Rate: l.options.Rate, Began: l.began, Seconds: l.took.Seconds(), Submissions: len(l.plan.arrivals), Requests: l.plan.counts(),
		NotSent: l.overflow, LeftOut: l.leftOut, InFlight: l.options.InFlight, Resubmitted: l.resubmitted, Late: l.late.Spread(),
		Accept: l.accept.Spread(), Outcome: l.visible.Spread(), Direct: l.direct.Spread(), Shed: l.shed.Spread(),
		Answers: l.answers, Outcomes: l.outcomes, Violations: l.violations, More: l.more,
	}
	if r.Violations == nil {
		r.Violations = []string{}
	}
	// The last arrival comes one interval before the end of the time.
	whole := l.took.Seconds() + 1/float64(r.Rate)
	r.Achieved = float64(int64(r.Submissions)-r.NotSent-r.LeftOut) / whole
	r.Taken = float64(l.answers["202"]+l.answers["200"]) / whole
	return r
}

// The ways in which a run fails.
var (
	// ErrViolations says that something does not hold that must.
	ErrViolations = errors.New("something that must always hold does not")
	// ErrNotSent says that not every arrival was sent, so that the load was not the
	// one that was asked for.
	ErrNotSent = errors.New("more requests were in flight than the bound allows, and not every one was sent")
)

// Err says how the run failed; nil: it did not.
func (r Report) Err() error {
	var faults []error
	if len(r.Violations) > 0 {
		faults = append(faults, ErrViolations)
	}
	if r.NotSent > 0 {
		faults = append(faults, ErrNotSent)
	}
	return errors.Join(faults...)
}

// WriteJSON writes the report as one object.
func (r Report) WriteJSON(to io.Writer) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Write writes the report for people.
func (r Report) Write(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	var kinds []string
	for _, kind := range client.Asked() {
		if n := r.Requests[string(kind)]; n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", n, client.Plural(kind)))
		}
	}
	fmt.Fprintf(w, "%d submissions of %s in %.1f s: %.0f/s of %d/s sent, %.0f/s taken\n", r.Submissions, strings.Join(kinds, ", "), r.Seconds, r.Achieved, r.Rate, r.Taken)
	if r.NotSent > 0 {
		fmt.Fprintf(w, "%d were not sent: %d were in flight\n", r.NotSent, r.InFlight)
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(w, "%d refunds, captures and releases were left out, since what they refer to was not taken\n", r.LeftOut)
	}
	if r.Resubmitted > 0 {
		fmt.Fprintf(w, "%d were sent again at the end, to find out whether they had been taken\n", r.Resubmitted)
	}
	fmt.Fprintln(w, "\nms from the intended moment\tcount\tp50\tp90\tp99\tp99.9\tmax")
	for _, row := range []struct {
		name string
		Spread
	}{{"to sending", r.Late}, {"to accepted", r.Accept}, {"to the outcome", r.Outcome}, {"to decided at once", r.Direct}, {"to refused as overloaded", r.Shed}} {
		if row.Count > 0 {
			fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n", row.name, row.Count, row.P50, row.P90, row.P99, row.P999, row.Max)
		}
	}
	for _, table := range []struct {
		name   string
		counts Counts
	}{{"answer", r.Answers}, {"outcome", r.Outcomes}} {
		fmt.Fprintf(w, "\n%s\tcount\n", table.name)
		for _, name := range slices.Sorted(maps.Keys(table.counts)) {
			fmt.Fprintf(w, "%s\t%d\n", name, table.counts[name])
		}
	}
	fmt.Fprintln(w)
	for _, v := range r.Violations {
		fmt.Fprintln(w, v)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
	if len(r.Violations) == 0 {
		fmt.Fprintln(w, "every request that was taken has one outcome, the one that it should have; the balances add up")
	}
	return w.Flush()
}
