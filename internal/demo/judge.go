package demo

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// week is how many seconds a hold is open at most where nobody says it.
const week = 7 * 24 * 3600

// codeReused is the problem of another request under a used key.
const codeReused = "idempotency_key_reused"

// judge compares what came of every step with what was to come of it. It knows
// the plan, what HTTP answered, and the operations as they were read at the end.
type judge struct {
	found      map[string]client.Operation // by ID
	seen       map[string]bool             // IDs that a fresh step has
	rows       map[string]*Row
	early      int // requests that were sent while what they refer to was pending
	open       int // holds
	mismatches []string

	captureBefore string // of the first hold that is open
}

func newJudge(found map[string]client.Operation) *judge {
	return &judge{found: found, seen: map[string]bool{}, rows: map[string]*Row{}}
}

// story judges the steps of one story.
func (j *judge) story(st story, results []result) {
	results = j.inOrder(st, results)
	for i, s := range st.steps {
		j.row(s.label()).Want++
		wrong := ""
		switch first := results[s.want.first].operation.ID; s.want.what {
		case fresh:
			wrong = j.fresh(st, i, results)
		case replay:
			wrong = wants(client.Taken(results[i].status), "was answered %d", results[i].status)
			if wrong == "" {
				wrong = wants(results[i].operation.ID == first, "the retry got another operation, %s", results[i].operation.ID)
			}
		case reused:
			wrong = j.reused(results[i], first)
		case refused:
			wrong = wants(results[i].status == s.want.status, "was answered %d, not %d", results[i].status, s.want.status)
		}
		switch {
		case wrong != "":
			j.mismatch("%s, %s %s, %s: %s", st.name, s.body.Kind, cmp.Or(s.idempotencyKey, s.body.Invoice), results[i].operation.ID, wrong)
			if s.want.what == fresh {
				j.row(label(j.found[results[i].operation.ID])).Found++
			}
		default:
			j.row(s.label()).Found++
		}
	}
}

// inOrder puts the results of a story's last two steps in the order in which they are
// planned, where either order is right.
func (j *judge) inOrder(st story, results []result) []result {
	if !st.anyOrder {
		return results
	}
	a, b := len(results)-2, len(results)-1
	if label(j.found[results[a].operation.ID]) == st.steps[b].label() {
		results = slices.Clone(results)
		results[a], results[b] = results[b], results[a]
	}
	return results
}

// fresh says what is wrong with an operation of the i-th step's own; empty: nothing.
func (j *judge) fresh(st story, i int, results []result) string {
	s, r := st.steps[i], results[i]
	if !client.Taken(r.status) {
		return fmt.Sprintf("was answered %d %s", r.status, r.code)
	}
	op, found := j.found[r.operation.ID]
	twice := j.seen[r.operation.ID]
	j.seen[r.operation.ID] = true
	switch {
	case !found || !op.Final():
		return "has no outcome"
	case twice:
		return "has the ID of another request"
	case label(op) != s.label():
		return fmt.Sprintf("is %s, not %s", label(op), s.label())
	case op.Invoice != st.invoice(i) || op.Reference != s.body.Reference || op.Description != s.body.Description, op.Merchant != s.body.Merchant && s.body.Merchant != "", op.Limits != s.body.Limits:
		return "does not show what was asked"
	case op.ConflictingRequests != st.conflicts(i):
		return fmt.Sprintf("shows %d conflicting requests, not %d", op.ConflictingRequests, st.conflicts(i))
	case op.Reason() == ledger.ReasonDuplicateInvoice && op.Failure.DuplicateOf != results[s.want.first].operation.ID:
		return fmt.Sprintf("names %q as what has its invoice, not %s", op.Failure.DuplicateOf, results[s.want.first].operation.ID)
	}
	if op.Failure != nil && op.Failure.Left != s.want.left {
		return fmt.Sprintf("says that its mandate lets %d through, not %d", op.Failure.Left, s.want.left)
	}
	of := ""
	if client.Refers(s.body.Kind) {
		of = results[s.of].operation.ID
		if op.ReceivedAt < j.found[of].DecidedAt {
			j.early++
		}
	}
	want := st.money(i, of)
	if want.Holding != nil && op.Holding != nil {
		if wrong := j.holding(s, want.Holding, op); wrong != "" {
			return wrong
		}
	}
	return wantsMoney(want, op)
}

// holding notes what became of a hold, where it may have expired, and says what is wrong with when it
// expires.
func (j *judge) holding(s step, want *client.Holding, op client.Operation) string {
	decided, err := time.Parse(time.RFC3339, op.DecidedAt)
	if err != nil {
		return "shows no time of its decision"
	}
	expires := decided.Add(time.Duration(cmp.Or(s.body.ExpiresIn, week)) * time.Second)
	if got, err := time.Parse(time.RFC3339, op.Holding.CaptureBefore); err != nil || !got.Equal(expires) {
		return fmt.Sprintf("is to be captured before %s, not %s", op.Holding.CaptureBefore, expires)
	}
	switch op.Holding.State {
	case "open":
		j.open++
		if j.captureBefore == "" || op.Holding.CaptureBefore < j.captureBefore {
			j.captureBefore = op.Holding.CaptureBefore
		}
	case "expired":
		if want.State == "open" && time.Now().After(expires) {
			want.State, want.Expired, want.Remaining = op.Holding.State, want.Remaining, 0
		}
	}
	return ""
}

// money is what the story's i-th step, an operation of its own that refers to another one or to none, is to show of
// money at the end.
func (st story) money(i int, of string) client.Operation {
	s := st.steps[i]
	want := client.Operation{Amount: s.body.Amount, Currency: s.body.Currency}
	if !client.Refers(s.body.Kind) {
		if s.accepted() && s.body.Kind == ledger.KindHold {
			want.Holding = new(st.holding(i))
		} else {
			want.Refunded = st.refunded(i)
		}
		return want
	}
	left := st.left(s.of, i+1)
	if s.accepted() {
		want.Amount = st.moves(i)
	}
	switch s.want.reason {
	case ledger.ReasonChargeNotFound, ledger.ReasonHoldNotFound: // nothing is known of it
	case ledger.ReasonChargeNotAccepted, ledger.ReasonHoldNotAccepted: // nor of the wallet
		want.Refundable = &left
	default:
		want.Currency = st.currency(i)
		want.Refundable = &left
	}
	want.Charge = of
	if s.body.Kind == ledger.KindRefund {
		return want
	}
	want.Charge, want.Hold, want.Refundable, want.Remaining = "", of, nil, want.Refundable
	if s.body.Kind == ledger.KindCapture {
		want.EndsHold = new(!s.body.Keeps())
		want.Refunded = st.refunded(i)
	}
	return want
}

// refunded is how much of what the i-th step took is given back in the end.
func (st story) refunded(i int) int64 {
	if !st.steps[i].accepted() {
		return 0
	}
	return st.moves(i) - st.left(i, len(st.steps))
}

// money is what an operation shows of money.
type money struct {
	amount, refunded                                 int64
	currency, charge, hold, left, remains, ends, was string
}

// wantsMoney says where the operation does not show what it is to show of money.
func wantsMoney(want, found client.Operation) string {
	of := func(o client.Operation) money {
		m := money{
			amount: o.Amount, refunded: o.Refunded, currency: o.Currency, charge: o.Charge, hold: o.Hold,
			left: shown(o.Refundable), remains: shown(o.Remaining), ends: shown(o.EndsHold),
		}
		if h := o.Holding; h != nil {
			m.was = fmt.Sprintf("%s: %d captured, %d released, %d expired, %d remain", h.State, h.Captured, h.Released, h.Expired, h.Remaining)
		}
		return m
	}
	return wants(of(want) == of(found), "shows %+v, not %+v", of(found), of(want))
}

// shown is the value; empty: it is not shown.
func shown[T any](v *T) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}

// reused says what is wrong with the answer to another request under a used
// key: it is refused where the first one is seen in time, else only recorded.
func (j *judge) reused(r result, first string) string {
	if r.status == http.StatusUnprocessableEntity {
		return wants(r.code == codeReused, "was refused as %s", r.code)
	}
	if !client.Taken(r.status) {
		return fmt.Sprintf("was answered %d %s", r.status, r.code)
	}
	return wants(r.operation.ID == first, "got another operation, %s", r.operation.ID)
}

// equal notes one comparison outside the stories, under the row's name.
func (j *judge) equal(row, what string, want, found any) {
	j.row(row).Want++
	if want == found {
		j.row(row).Found++
		return
	}
	j.mismatch("%s: is %v, not %v", what, found, want)
}

// count compares two numbers of things.
func (j *judge) count(row string, want, found int) {
	r := j.row(row)
	r.Want, r.Found = r.Want+want, r.Found+found
	if want != found {
		j.mismatch("%s: %d, not %d", row, found, want)
	}
}

func (j *judge) mismatch(format string, args ...any) {
	j.mismatches = append(j.mismatches, fmt.Sprintf(format, args...))
}

func (j *judge) row(name string) *Row {
	if j.rows[name] == nil {
		j.rows[name] = &Row{Name: name}
	}
	return j.rows[name]
}

// table is the rows in the order in which they are shown.
func (j *judge) table() []Row {
	rows := make([]Row, 0, len(j.rows))
	for _, r := range j.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b Row) int { return rank(a.Name) - rank(b.Name) })
	return rows
}

func wants(right bool, format string, args ...any) string {
	if right {
		return ""
	}
	return fmt.Sprintf(format, args...)
}
