package ingest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// account reads statements of a wallet.
type account struct {
	*api
	wallet string
}

// between is the path of the wallet's statement between the times; zero: without an end.
func (a account) between(from, to time.Time) string {
	query := url.Values{}
	for name, at := range map[string]time.Time{"from": from, "to": to} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	return "/v1/wallets/" + a.wallet + "/statement?" + query.Encode()
}

func number(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}

// statement reads the pages of a statement and adds them up, and returns its balances and how many movements it has.
func (a account) statement(path string, limit int) (opening, closing int64, lines []map[string]string, faults []string) {
	a.t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, path+": "+fmt.Sprintf(format, args...)) }
	balance := int64(0)
	for page, cursor := 0, ""; ; page++ {
		got := a.get(fmt.Sprintf("%s&limit=%d%s", path, limit, cursor)).want(a.t, http.StatusOK)
		if page == 0 {
			opening, closing = number(got.get("opening_balance")), number(got.get("closing_balance"))
			balance = opening
		}
		if o, c := number(got.get("opening_balance")), number(got.get("closing_balance")); o != opening || c != closing {
			fault("from %d to %d on the first page, from %d to %d on another", opening, closing, o, c)
		}
		if o := number(got.get("page_opening_balance")); o != balance {
			fault("a page opens with %d, behind %d", o, balance)
		}
		for _, l := range got.get("data").([]any) {
			line := l.(map[string]any)
			balance += number(line["movement"])
			if number(line["balance_after"]) != balance || number(line["movement"]) == 0 {
				fault("%v, want the balance %d", line, balance)
			}
			lines = append(lines, asRow("", line, map[string]string{}))
		}
		if c := number(got.get("page_closing_balance")); c != balance {
			fault("a page closes with %d, want %d", c, balance)
		}
		if got.text("has_more") != "true" {
			if balance != closing {
				fault("it adds up to %d, and closes with %d", balance, closing)
			}
			return opening, closing, lines, faults
		}
		cursor = "&cursor=" + got.text("next_cursor")
	}
}

// table reads the statement as CSV.
func (a account) table(path string) (opening, closing int64, lines []map[string]string) {
	a.t.Helper()
	rows := sheet(a.t, a.csv(path))
	first, last := rows[0], rows[len(rows)-1]
	if len(rows) < 2 || first["line"] != "opening" || last["line"] != "closing" {
		a.t.Fatalf("%s: %v", path, rows)
	}
	for _, row := range rows[1 : len(rows)-1] {
		if row["line"] != "movement" || row["currency"] != "EUR" {
			a.t.Errorf("%s: %v", path, row)
		}
		delete(row, "line")
		delete(row, "currency")
		lines = append(lines, row)
	}
	return number(first["balance_after"]), number(last["balance_after"]), lines
}

// split reads the statements between the times, one after the other, from the beginning on and up to the last of
// them, as JSON and as CSV: each begins where the one before ended.
func (a account) split(times []time.Time, limit int) (balance int64, lines int, faults []string) {
	from := time.Time{}
	for _, to := range times {
		path := a.between(from, to)
		opening, closing, some, wrong := a.statement(path, limit)
		faults = append(faults, wrong...)
		if opening != balance {
			faults = append(faults, fmt.Sprintf("%s opens with %d, behind %d", path, opening, balance))
		}
		o, c, rows := a.table(path)
		if diff := cmp.Diff(some, rows); diff != "" || o != opening || c != closing {
			faults = append(faults, fmt.Sprintf("%s as CSV: from %d to %d (-JSON +CSV):\n%s", path, o, c, diff))
		}
		balance, lines, from = closing, lines+len(some), to
	}
	return balance, lines, faults
}

// TestStatementsAddUp splits a wallet's history at random times, while operations arrive and afterwards: statements add up to the
// balance, across pages, and as CSV.
func TestStatementsAddUp(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 60)
	begin := s.clock.Now().Truncate(time.Microsecond)
	a := account{api: p.payer, wallet: p.wallet}
	var last atomic.Pointer[time.Time] // before which everything is decided
	last.Store(&begin)
	moved := 1
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 60 {
			h := headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=30"}
			got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), h, fmt.Sprintf(`{"amount":%d,"currency":"EUR","invoice":"INV %d"}`, 1+i%3, i/2))
			switch i % 10 {
			case 3:
				got, err = s.operator.try(t.Context(), http.MethodPost, "/v1/wallets/"+p.wallet+"/top-ups", h, `{"amount":5,"currency":"EUR"}`)
				moved++
			case 7: // these move nothing
				_, err = s.operator.try(t.Context(), http.MethodPost, "/v1/wallets/"+p.wallet+"/freeze", nil, "")
				_, _ = s.operator.try(t.Context(), http.MethodPost, "/v1/wallets/"+p.wallet+"/unfreeze", nil, "")
			}
			if err != nil || got.status != http.StatusOK {
				t.Error(got.status, got.body, err)
				return
			}
			if i%4 > 0 { // some are decided at one time
				s.clock.advance(time.Second)
				now := s.clock.Now().Truncate(time.Microsecond)
				last.Store(&now)
			}
		}
	}()
	arriving := 0
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		times := make([]time.Time, 3)
		for i := range times {
			times[i] = begin.Add(rand.N(last.Load().Sub(begin) + 1)) //nolint:gosec // any will do
		}
		slices.SortFunc(times, time.Time.Compare)
		_, _, faults := a.split(times, 1+arriving%5)
		_, _, _, open := a.statement(a.between(times[1], time.Time{}), 2) // goes on growing
		for _, fault := range append(faults, open...) {
			t.Error(fault)
		}
		arriving++
	}
	t.Logf("%d times while operations arrived", arriving)
	balance := number(p.payer.get("/v1/wallets/" + p.wallet).get("balance"))
	accepted := 0
	for _, o := range p.payer.get("/v1/operations?limit=200&status=accepted").get("data").([]any) {
		if kind := o.(map[string]any)["kind"]; kind == "charge" || kind == "top_up" {
			accepted++
		}
	}
	end := s.clock.Now().Add(time.Second)
	if t.Failed() {
		return
	}
	rapid.Check(t, func(r *rapid.T) {
		seconds := rapid.SliceOfN(rapid.IntRange(0, int(end.Sub(begin)/time.Second)), 0, 5).Draw(r, "seconds")
		slices.Sort(seconds)
		var times []time.Time
		for _, n := range seconds {
			times = append(times, begin.Add(time.Duration(n)*time.Second))
		}
		sum, lines, faults := a.split(append(times, end), rapid.IntRange(1, 30).Draw(r, "limit"))
		if sum != balance || lines != accepted || len(faults) > 0 {
			r.Fatalf("%d in %d movements, want %d in %d: %v", sum, lines, balance, accepted, faults)
		}
	})
	if open, closing, _, _ := a.statement(a.between(time.Time{}, time.Time{}), 200); open != 0 || closing != balance {
		t.Errorf("all of it: from %d to %d, want %d", open, closing, balance)
	}
}

// TestAWalletAtATime reads the wallet as it was after each of its operations, and right before.
func TestAWalletAtATime(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	opened := s.clock.Now()
	s.clock.advance(time.Second)
	s.fund(p, 5)
	for i := range 4 {
		s.clock.advance(time.Second)
		p.shop.post(p.charges(), headers{"Idempotency-Key": fmt.Sprint(i), "Prefer": "wait=30"}, `{"amount":2,"currency":"EUR"}`).want(t, http.StatusOK)
	}
	s.clock.advance(time.Second)
	s.operator.post("/v1/wallets/"+p.wallet+"/freeze", nil, "").want(t, http.StatusOK)
	type state struct{ sequence, balance, status string }
	at := func(when time.Time) state {
		got := p.payer.get("/v1/wallets/"+p.wallet+"?at="+when.Format(time.RFC3339Nano)).want(t, http.StatusOK)
		return state{got.text("sequence"), got.text("balance"), got.text("status")}
	}
	var before state
	for i, want := range []state{
		{"1", "0", "active"}, {"2", "5", "active"}, {"3", "3", "active"}, {"4", "1", "active"}, {"5", "1", "active"}, {"6", "1", "active"}, {"7", "1", "frozen"},
	} {
		when := opened.Add(time.Duration(i) * time.Second).Truncate(time.Microsecond)
		if got := at(when); got != want {
			t.Errorf("at %d s: %v, want %v", i, got, want)
		}
		if i > 0 && at(when.Add(-time.Nanosecond)) != before {
			t.Errorf("right before %d s: %v, want %v", i, at(when.Add(-time.Nanosecond)), before)
		}
		before = want
	}
	if got := at(opened.Add(time.Hour)); got != before {
		t.Errorf("ahead: %v", got)
	}
	for query, status := range map[string]int{
		"?at=" + opened.Add(-time.Second).Format(time.RFC3339Nano): http.StatusNotFound, "?at=now": http.StatusUnprocessableEntity,
		"/statement?from=now": http.StatusUnprocessableEntity, "/statement?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": http.StatusUnprocessableEntity,
		"/statement?cursor=x": http.StatusUnprocessableEntity,
	} {
		p.payer.get("/v1/wallets/"+p.wallet+query).want(t, status)
	}
	path := "/v1/wallets/" + p.wallet + "/statement"
	for to, final := range map[time.Duration]string{-time.Minute: "false", -10 * time.Minute: "true", time.Hour: "false"} {
		if got := p.payer.get(path + "?to=" + time.Now().UTC().Add(to).Format(time.RFC3339)); got.text("final") != final {
			t.Errorf("a statement up to %v from now: %s", to, got.body)
		}
	}
	first := p.payer.get(path+"?limit=1").want(t, http.StatusOK)
	p.payer.get(path+"?limit=1&from=2020-01-01T00:00:00Z&cursor="+first.text("next_cursor")).want(t, http.StatusUnprocessableEntity)
	if _, ok := first.get("sequence").(json.Number); ok || first.text("final") != "false" {
		t.Errorf("a statement without an end: %s", first.body)
	}
}
