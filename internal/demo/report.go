package demo

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// maxListed is how many mismatches a report lists.
const maxListed = 20

// ErrMismatch says that something did not come out as it should have.
var ErrMismatch = errors.New("not everything is what it should be")

// Report is what came of a day.
type Report struct {
	Rows       []Row
	Mismatches []string // one sentence each
	Sent       map[ledger.Kind]int
	Early      int // requests that were sent while what they refer to was pending
	Open       int // holds that are open
	// CaptureBefore is when the first of them expires, as the API shows it.
	CaptureBefore string
	Took          time.Duration
	Answered      Spread          // from POST to 202
	Visible       Spread          // from POST to the outcome
	Verified      postgres.Report // what the checker verified
}

// Row is one kind of outcome: how often it was to come, and how often it came.
type Row struct {
	Name        string
	Want, Found int
}

// Err is nil if all came out as it should and the checker passed; else
// [ErrMismatch].
func (r Report) Err() error {
	if len(r.Mismatches) == 0 && r.Verified.OK() {
		return nil
	}
	return fmt.Errorf("%w: %d mismatches, %d violations", ErrMismatch, len(r.Mismatches), len(r.Verified.Violations))
}

// Write prints the report for people.
func (r Report) Write(to io.Writer) error {
	w := &sticky{to: to}
	w.printf("\n%-42s %9s %9s\n", "what came of it", "should be", "is")
	for _, row := range r.Rows {
		mark := ""
		if row.Want != row.Found {
			mark = "  <--"
		}
		w.printf("%-42s %9d %9d%s\n", row.Name, row.Want, row.Found, mark)
	}
	kinds, requests := r.sent()
	w.printf("\n%s in %s: %.0f a second, from the first POST until the last outcome was on record\n",
		kinds, round(r.Took), float64(requests)/r.Took.Seconds())
	w.printf("%d refunds, captures and releases were sent while what they refer to was pending\n", r.Early)
	if r.Open > 0 {
		w.printf("%d holds are open: the first can be captured until %s, and expires some 10 s later\n", r.Open, r.CaptureBefore)
	}
	w.printf("POST to 202:      p50 %s, p99 %s, of the %d requests that did not wait for their outcome\n",
		round(r.Answered.P50), round(r.Answered.P99), r.Answered.Count)
	w.printf("POST to outcome:  p50 %s, p99 %s, of the %d requests that did (Prefer: wait), under the same load\n",
		round(r.Visible.P50), round(r.Visible.P99), r.Visible.Count)
	w.list("not what it should be", r.Mismatches)
	var violations []string
	for _, v := range r.Verified.Violations {
		violations = append(violations, v.String())
	}
	w.list("violations", violations)
	return w.err
}

// sent says how many requests of which kinds there were, and how many together.
func (r Report) sent() (kinds string, requests int) {
	var parts []string
	for _, kind := range client.Asked() {
		if n := r.Sent[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, client.Plural(kind)))
			requests += n
		}
	}
	return strings.Join(parts, ", "), requests
}

// sticky prints until the first error, and keeps that.
type sticky struct {
	to  io.Writer
	err error
}

func (s *sticky) printf(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.to, format, args...)
	}
}

func (s *sticky) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.printf("\n%s: %d\n", title, len(lines))
	for _, line := range lines[:min(len(lines), maxListed)] {
		s.printf("  %s\n", line)
	}
	if more := len(lines) - maxListed; more > 0 {
		s.printf("  and %d more\n", more)
	}
}

// The rows that are no outcome.
const (
	rowReplay    = "retries answered with the first attempt"
	rowReused    = "used keys that changed nothing"
	rowRefused   = "requests refused at once"
	rowDead      = "foreign records set aside"
	rowWallets   = "wallets with the right balance"
	rowMerchants = "merchants with the right balances"
)

// label is the row that what is to come of the step is counted in.
func (s step) label() string {
	switch s.want.what {
	case replay:
		return rowReplay
	case reused:
		return rowReused
	case refused:
		return rowRefused
	case fresh:
	}
	return outcomeLabel(s.body.Kind, s.want.reason)
}

// label is the row that the operation is counted in.
func label(o client.Operation) string {
	if !o.Final() {
		return "requests without an outcome"
	}
	return outcomeLabel(ledger.Kind(o.Kind), o.Reason())
}

func outcomeLabel(kind ledger.Kind, reason ledger.Reason) string {
	if reason == "" {
		return string(kind) + " " + string(ledger.StatusAccepted)
	}
	return string(kind) + " " + string(reason)
}

// rank is the row's place in the table: of each kind accepted, then the reasons in their
// order of precedence; then the rest.
func rank(row string) int {
	var order []string
	for _, kind := range client.Asked() {
		order = append(order, outcomeLabel(kind, ""))
		for _, r := range kind.Reasons() {
			order = append(order, outcomeLabel(kind, r))
		}
	}
	order = append(order, rowReplay, rowReused, rowRefused, rowDead, rowWallets, rowMerchants)
	if at := slices.Index(order, row); at >= 0 {
		return at
	}
	return len(order)
}
