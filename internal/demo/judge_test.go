package demo

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// decidedAt is when everything is decided.
const decidedAt = "2026-01-02T15:04:05.000002Z"

// faithful is what would come of the story if all went as planned.
func faithful(st story) ([]result, map[string]client.Operation) {
	results := make([]result, len(st.steps))
	found := map[string]client.Operation{}
	for i, s := range st.steps {
		id := fmt.Sprint("op ", i)
		switch s.want.what {
		case fresh:
			of := ""
			if client.Refers(s.body.Kind) {
				of = fmt.Sprint("op ", s.of)
			}
			op := st.money(i, of)
			op.ID, op.Kind, op.Status, op.Invoice = id, string(s.body.Kind), "accepted", st.invoice(i)
			op.Reference, op.Description, op.ConflictingRequests = s.body.Reference, s.body.Description, st.conflicts(i)
			op.DecidedAt, op.Merchant, op.Limits = decidedAt, s.body.Merchant, s.body.Limits
			if op.Holding != nil {
				op.Holding.CaptureBefore = "2026-01-09T15:04:05.000002Z"
				if s.body.ExpiresIn == shortest {
					op.Holding.CaptureBefore = "2026-01-02T15:05:05.000002Z"
				}
			}
			if s.want.reason != "" {
				op.Status, op.Failure = "failed", &client.Failure{Reason: string(s.want.reason), Left: s.want.left}
			}
			if s.want.reason == ledger.ReasonDuplicateInvoice {
				op.Failure.DuplicateOf = fmt.Sprint("op ", s.want.first)
			}
			found[id] = op
			results[i] = result{status: http.StatusAccepted, operation: client.Operation{ID: id}}
		case replay:
			results[i] = result{status: http.StatusAccepted, operation: client.Operation{ID: fmt.Sprint("op ", s.want.first)}}
		case reused:
			results[i] = result{status: http.StatusUnprocessableEntity, code: codeReused}
		case refused:
			results[i] = result{status: s.want.status}
		}
	}
	return results, found
}

// everyStory is one story of each sort.
func everyStory(t *testing.T) []story {
	t.Helper()
	seen := map[string]bool{}
	var stories []story
	for _, st := range newPlan(paperWorld(), 1, 7, MinCharges, time.Now()).stories {
		if !seen[st.name] {
			seen[st.name] = true
			stories = append(stories, st)
		}
	}
	if len(stories) != len(genres()) {
		t.Fatalf("%d sorts of story, want %d", len(stories), len(genres()))
	}
	return stories
}

func TestJudgeFindsNothingWrongWithAFaithfulDay(t *testing.T) {
	t.Parallel()
	for _, st := range everyStory(t) {
		results, found := faithful(st)
		j := newJudge(found)
		j.story(st, results)
		if len(j.mismatches) > 0 {
			t.Errorf("%s: %q", st.name, j.mismatches)
		}
		for _, row := range j.table() {
			if row.Want != row.Found {
				t.Errorf("%s: row %+v", st.name, row)
			}
		}
	}
}

func TestJudgeFindsEveryDifference(t *testing.T) {
	t.Parallel()
	differ := map[string]func(r *result, found map[string]client.Operation){
		"outcome": func(r *result, found map[string]client.Operation) {
			op := found[r.operation.ID]
			op.Status, op.Failure = "failed", &client.Failure{Reason: string(ledger.ReasonProcessingError)}
			found[r.operation.ID] = op
		},
		"amount":    change(func(op *client.Operation) { op.Amount++ }),
		"currency":  change(func(op *client.Operation) { op.Currency = "CHF" }),
		"invoice":   change(func(op *client.Operation) { op.Invoice += "x" }),
		"reference": change(func(op *client.Operation) { op.Reference += "x" }),
		"limits":    change(func(op *client.Operation) { op.Limits.PerDay++ }),
		"limit left": change(func(op *client.Operation) {
			if op.Failure == nil {
				op.Failure = &client.Failure{}
			}
			op.Failure = &client.Failure{Reason: op.Failure.Reason, DuplicateOf: op.Failure.DuplicateOf, Left: op.Failure.Left + 1}
		}),
		"kind":     change(func(op *client.Operation) { op.Kind = "freeze" }),
		"charge":   change(func(op *client.Operation) { op.Charge += "x" }),
		"refunded": change(func(op *client.Operation) { op.Refunded++ }),
		"refundable": change(func(op *client.Operation) {
			left := int64(1)
			if op.Refundable != nil {
				left += *op.Refundable
			}
			op.Refundable = &left
		}),
		"remaining": change(func(op *client.Operation) {
			left := int64(1)
			if op.Remaining != nil {
				left += *op.Remaining
			}
			op.Remaining = &left
		}),
		"hold": change(func(op *client.Operation) { op.Hold += "x" }),
		"end":  change(func(op *client.Operation) { op.EndsHold = new(op.EndsHold == nil || !*op.EndsHold) }),
		"holding": change(func(op *client.Operation) {
			op.Holding = changedHolding(op.Holding, func(h *client.Holding) { h.Captured++ })
		}),
		"expiry": change(func(op *client.Operation) {
			op.Holding = changedHolding(op.Holding, func(h *client.Holding) { h.CaptureBefore = decidedAt })
		}),
		"conflicts":   change(func(op *client.Operation) { op.ConflictingRequests++ }),
		"pending":     change(func(op *client.Operation) { op.Status = "pending" }),
		"missing":     func(r *result, found map[string]client.Operation) { delete(found, r.operation.ID) },
		"unavailable": func(r *result, _ map[string]client.Operation) { r.status = http.StatusServiceUnavailable },
	}
	for _, st := range everyStory(t) {
		for i, s := range st.steps {
			for name, do := range differ {
				if s.want.what != fresh && name != "unavailable" {
					continue
				}
				results, found := faithful(st)
				do(&results[i], found)
				j := newJudge(found)
				j.story(st, results)
				if len(j.mismatches) != 1 {
					t.Errorf("%s, step %d, another %s: found %q", st.name, i, name, j.mismatches)
				}
			}
		}
	}
}

func change(do func(*client.Operation)) func(*result, map[string]client.Operation) {
	return func(r *result, found map[string]client.Operation) {
		op := found[r.operation.ID]
		do(&op)
		found[r.operation.ID] = op
	}
}

func changedHolding(h *client.Holding, do func(*client.Holding)) *client.Holding {
	other := client.Holding{}
	if h != nil {
		other = *h
	}
	do(&other)
	return &other
}

func TestJudgeHoldsRetriesToTheFirstOperation(t *testing.T) {
	t.Parallel()
	for _, st := range everyStory(t) {
		for i, s := range st.steps {
			if s.want.what != replay && s.want.what != reused {
				continue
			}
			results, found := faithful(st)
			results[i] = result{status: http.StatusAccepted, operation: client.Operation{ID: "another"}}
			j := newJudge(found)
			j.story(st, results)
			if len(j.mismatches) != 1 {
				t.Errorf("%s: found %q", st.name, j.mismatches)
			}
		}
	}
}

func TestReportTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := Report{Rows: []Row{{"charge accepted", 3, 3}}, Sent: map[ledger.Kind]int{ledger.KindCharge: 3}, Took: time.Second}
	if err := good.Err(); err != nil {
		t.Errorf("a good day: %v", err)
	}
	mismatch, violation := good, good
	mismatch.Mismatches = []string{"one is wrong"}
	violation.Verified.Violations = []postgres.Violation{{Rule: postgres.RuleSum, Detail: "a balance is off"}}
	for want, r := range map[string]Report{"one is wrong": mismatch, "a balance is off": violation} {
		var text strings.Builder
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); !errors.Is(err, ErrMismatch) {
			t.Errorf("%q: %v", want, err)
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, &text)
		}
	}
}

func TestReportListsOnlySoMany(t *testing.T) {
	t.Parallel()
	r := Report{Took: time.Second}
	for i := range maxListed + 5 {
		r.Mismatches = append(r.Mismatches, fmt.Sprintf("wrong-%d", i))
	}
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), "wrong-"); got != maxListed {
		t.Errorf("%d are listed, want %d", got, maxListed)
	}
	if !strings.Contains(text.String(), "and 5 more") {
		t.Errorf("the others are not counted:\n%s", &text)
	}
}

// TestJudgeTakesEitherOrderAndNoOther: of two refunds, or captures, of all that is left one is accepted,
// whichever it is.
func TestJudgeTakesEitherOrderAndNoOther(t *testing.T) {
	t.Parallel()
	judged := 0
	for _, st := range everyStory(t) {
		if !st.anyOrder {
			continue
		}
		judged++
		results, found := faithful(st)
		results[1], results[2] = results[2], results[1]
		j := newJudge(found)
		if j.story(st, results); len(j.mismatches) > 0 {
			t.Errorf("%s, in the other order: %q", st.name, j.mismatches)
		}
		found["op 2"] = found["op 1"] // both are accepted
		j = newJudge(found)
		if j.story(st, results); len(j.mismatches) != 1 {
			t.Errorf("%s, both accepted: found %q", st.name, j.mismatches)
		}
	}
	if judged != 2 {
		t.Errorf("%d stories are told in either order", judged)
	}
}

// TestJudgeTakesAnExpiryInTime: what is left open may expire, and not before its time.
func TestJudgeTakesAnExpiryInTime(t *testing.T) {
	t.Parallel()
	all := everyStory(t)
	st := all[slices.IndexFunc(all, func(st story) bool { return st.name == "left open" })]
	for decided, wrong := range map[time.Time]int{time.Now().Add(-2 * shortest * time.Second): 0, time.Now(): 1} {
		for state, open := range map[string]int{"open": 1, "expired": 0} {
			results, found := faithful(st)
			hold := found["op 0"]
			hold.DecidedAt = decided.UTC().Format("2006-01-02T15:04:05.000000Z")
			hold.Holding.CaptureBefore = decided.UTC().Add(shortest * time.Second).Format("2006-01-02T15:04:05.000000Z")
			if hold.Holding.State = state; state == "expired" {
				hold.Holding.Expired, hold.Holding.Remaining = hold.Holding.Remaining, 0
			}
			found["op 0"] = hold
			j := newJudge(found)
			j.story(st, results)
			if n := wrong * (1 - open); len(j.mismatches) != n || j.open != open || (j.captureBefore != "") != (open == 1) {
				t.Errorf("%s, decided %s: %d open before %q, %q", state, decided, j.open, j.captureBefore, j.mismatches)
			}
		}
	}
}

// TestJudgeOfBooks: a wallet has what it is to have, but for what may have expired.
func TestJudgeOfBooks(t *testing.T) {
	t.Parallel()
	want := books{wallets: map[string]client.Funds{"w": {Balance: 100, Held: 30, Available: 70}}}
	for _, row := range []struct {
		found client.Funds
		wrong int
	}{
		{client.Funds{Balance: 100, Held: 30, Available: 70}, 0},
		{client.Funds{Balance: 100, Held: 10, Available: 90}, 0},
		{client.Funds{Balance: 100, Held: 20, Available: 80}, 1},
		{client.Funds{Balance: 100, Held: 30, Available: 71}, 1},
		{client.Funds{Balance: 100, Held: 10, Available: 70}, 1},
		{client.Funds{Balance: 80, Held: 10, Available: 70}, 1},
	} {
		j := newJudge(nil)
		j.books(want, books{wallets: map[string]client.Funds{"w": row.found}}, map[string]int64{"w": 20})
		if len(j.mismatches) != row.wrong {
			t.Errorf("%+v: %q", row.found, j.mismatches)
		}
	}
}

func TestJudgeCountsRefundsOfPendingCharges(t *testing.T) {
	t.Parallel()
	all := everyStory(t)
	st := all[slices.IndexFunc(all, func(st story) bool { return st.name == "refunded in part" })]
	for received, want := range map[string]int{"2026-01-02T15:04:05.000001Z": 1, "2026-01-02T15:04:05.000003Z": 0} {
		results, found := faithful(st)
		back := found["op 1"]
		back.ReceivedAt = received
		found["op 1"] = back
		j := newJudge(found)
		if j.story(st, results); len(j.mismatches) > 0 || j.early != want {
			t.Errorf("received %s: %d early, want %d; %q", received, j.early, want, j.mismatches)
		}
	}
}
