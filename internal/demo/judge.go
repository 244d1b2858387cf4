package demo

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// codeReused is the problem of another request under a used key.
const codeReused = "idempotency_key_reused"

// judge compares what came of every step with what was to come of it. It knows
// the plan, what HTTP answered, and the operations as they were read at the end.
type judge struct {
	found      map[string]client.Operation // by ID
	seen       map[string]bool             // IDs that a fresh step has
	rows       map[string]*Row
	early      int // refunds that were sent while their charge was pending
	mismatches []string
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
	case op.Invoice != s.body.Invoice || op.Description != s.body.Description:
		return "does not show what was asked"
	case op.ConflictingRequests != st.conflicts(i):
		return fmt.Sprintf("shows %d conflicting requests, not %d", op.ConflictingRequests, st.conflicts(i))
	case op.Reason() == ledger.ReasonDuplicateInvoice && op.Failure.DuplicateOf != results[s.want.first].operation.ID:
		return fmt.Sprintf("names %q as the charge of its invoice, not %s", op.Failure.DuplicateOf, results[s.want.first].operation.ID)
	}
	if !client.Refers(s.body.Kind) {
		want := client.Operation{Amount: s.body.Amount, Currency: s.body.Currency, Refunded: s.body.Amount - st.left(i, len(st.steps))}
		if !s.accepted() {
			want.Refunded = 0
		}
		return wantsMoney(want, op)
	}
	charge := results[s.of].operation.ID
	if op.ReceivedAt < j.found[charge].DecidedAt {
		j.early++
	}
	return wantsMoney(st.refund(i, charge), op)
}

// refund is what the story's i-th step, a refund, is to show of money.
func (st story) refund(i int, charge string) client.Operation {
	s, left := st.steps[i], st.left(st.steps[i].of, i)
	want := client.Operation{Charge: charge, Amount: s.body.Amount, Currency: st.currency(i), Refundable: &left}
	switch {
	case s.accepted():
		want.Amount = st.moves(i)
		left -= want.Amount
	case s.want.reason == ledger.ReasonChargeNotFound:
		want.Currency, want.Refundable = s.body.Currency, nil
	}
	return want
}

// wantsMoney says where the operation does not show what it is to show of money.
func wantsMoney(want, found client.Operation) string {
	text := func(o client.Operation) string {
		left := "nothing"
		if o.Refundable != nil {
			left = fmt.Sprint(*o.Refundable)
		}
		return fmt.Sprintf("%d %s of %q, %d given back, %s left", o.Amount, o.Currency, o.Charge, o.Refunded, left)
	}
	return wants(text(want) == text(found), "shows %s, not %s", text(found), text(want))
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
