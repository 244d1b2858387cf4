package demo

import (
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
	mismatches []string
}

func newJudge(found map[string]client.Operation) *judge {
	return &judge{found: found, seen: map[string]bool{}, rows: map[string]*Row{}}
}

// story judges the steps of one story. Its first operation is what replays and
// reused keys are held against.
func (j *judge) story(st story, results []result) {
	first := results[0].operation.ID
	for i, s := range st.steps {
		j.row(s.want.label()).Want++
		wrong := ""
		switch s.want.what {
		case fresh:
			wrong = j.fresh(s, results[i], first, st.conflicts(i))
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
			j.mismatch("%s, invoice %s, %s: %s", st.name, s.body.Invoice, results[i].operation.ID, wrong)
			if s.want.what == fresh {
				j.row(label(j.found[results[i].operation.ID])).Found++
			}
		default:
			j.row(s.want.label()).Found++
		}
	}
}

// conflicts is how many other requests come under the key of the i-th step.
func (st story) conflicts(i int) (n int) {
	if i > 0 {
		return 0
	}
	for _, s := range st.steps {
		if s.want.what == reused {
			n++
		}
	}
	return n
}

// fresh says what is wrong with an operation of the step's own; empty: nothing.
func (j *judge) fresh(s step, r result, first string, conflicts int) string {
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
		return "has the ID of another charge"
	case op.Reason() != s.want.reason:
		return fmt.Sprintf("is %s, not %s", label(op), s.want.label())
	case op.Amount != s.body.Amount || op.Currency != s.body.Currency || op.Invoice != s.body.Invoice:
		return "does not show what was asked"
	case op.ConflictingRequests != conflicts:
		return fmt.Sprintf("shows %d conflicting requests, not %d", op.ConflictingRequests, conflicts)
	case op.Reason() == ledger.ReasonDuplicateInvoice && op.Failure.DuplicateOf != first:
		return fmt.Sprintf("names %q as the charge of its invoice, not %s", op.Failure.DuplicateOf, first)
	}
	return ""
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
