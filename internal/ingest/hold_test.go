package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// holder asks for holds and their parts in the wallet of some people.
type holder struct {
	people
	t *testing.T
}

func (h holder) ask(what, key, body string) answer {
	h.t.Helper()
	return h.shop.post("/v1/wallets/"+h.wallet+"/"+what, headers{"Idempotency-Key": key, "Prefer": "wait=30"}, body).want(h.t, http.StatusOK)
}

// wallet is balance, held and available as the client sees them.
func (h holder) sees() string {
	h.t.Helper()
	w := h.payer.get("/v1/wallets/"+h.wallet).want(h.t, http.StatusOK)
	return w.text("balance") + " " + w.text("held") + " " + w.text("available")
}

// holding is what became of the hold as its merchant sees it: state, captured, released, expired, remaining.
func (h holder) holding(id string) string {
	h.t.Helper()
	o := h.shop.get("/v1/operations/"+id).want(h.t, http.StatusOK)
	return strings.Join([]string{o.text("holding.state"), o.text("holding.captured"), o.text("holding.released"), o.text("holding.expired"), o.text("holding.remaining")}, " ")
}

func (h holder) fails(a answer, reason string) {
	h.t.Helper()
	if a.text("failure.reason") != reason {
		h.t.Errorf("want %s: %s", reason, a.body)
	}
}

// TestHolds follows money that is held, captured in parts, released and given back.
func TestHolds(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	h := holder{s.people("Ada"), t}
	s.fund(h.people, 1000)
	first := h.ask("holds", "h1", `{"amount":600,"currency":"EUR","invoice":"INV-1","expires_in":3600}`)
	id := first.text("id")
	if got, want := h.holding(id), "open 0 0 0 600"; got != want || first.text("expires_in") != "3600" {
		t.Errorf("a new hold: %s, want %s: %s", got, want, first.body)
	}
	if got, want := h.sees(), "1000 600 400"; got != want {
		t.Errorf("the wallet: %s, want %s", got, want)
	}
	// What is held is nobody's to take.
	h.fails(h.ask("charges", "c1", `{"amount":401,"currency":"EUR"}`), "insufficient_funds")
	h.fails(h.ask("holds", "h2", `{"amount":401,"currency":"EUR"}`), "insufficient_funds")
	out := s.operator.post("/v1/wallets/"+h.wallet+"/withdrawals", headers{"Idempotency-Key": "w", "Prefer": "wait=30"}, `{"amount":401,"currency":"EUR"}`)
	h.fails(out.want(t, http.StatusOK), "insufficient_funds")
	duplicate := h.ask("charges", "c2", `{"amount":1,"currency":"EUR","invoice":"INV-1"}`)
	if h.fails(duplicate, "duplicate_invoice"); duplicate.text("failure.duplicate_of") != id {
		t.Errorf("it does not name the hold: %s", duplicate.body)
	}
	part := h.ask("captures", "p1", `{"hold":"`+id+`","amount":200,"currency":"EUR","final":false}`)
	if part.text("remaining_after") != "400" || part.text("final") != "false" || part.text("invoice") != "INV-1" || part.text("hold") != id {
		t.Errorf("a part: %s", part.body)
	}
	if again := h.ask("captures", "p1", `{"hold":"`+id+`","amount":200,"currency":"EUR","final":false}`); again.text("id") != part.text("id") {
		t.Errorf("the same again: %s", again.body)
	}
	h.fails(h.ask("captures", "p2", `{"hold":"`+id+`","amount":401,"currency":"EUR"}`), "exceeds_hold")
	h.fails(h.ask("releases", "r1", `{"hold":"`+id+`","amount":401,"currency":"EUR"}`), "exceeds_hold")
	if back := h.ask("releases", "r2", `{"hold":"`+id+`","amount":100,"currency":"EUR"}`); back.text("remaining_after") != "300" {
		t.Errorf("a release of a part: %s", back.body)
	}
	if got, want := h.holding(id), "open 200 100 0 300"; got != want {
		t.Errorf("the hold: %s, want %s", got, want)
	}
	s.operator.post("/v1/wallets/"+h.wallet+"/freeze", nil, "").want(t, http.StatusOK)
	h.fails(h.ask("holds", "h3", `{"amount":1,"currency":"EUR"}`), "wallet_frozen")
	last := h.ask("captures", "p3", `{"hold":"`+id+`","amount":250,"currency":"EUR"}`)
	if last.text("remaining_after") != "0" || last.text("final") != "true" || last.text("invoice") != "" {
		t.Errorf("the last part, of a frozen wallet: %s", last.body)
	}
	s.operator.post("/v1/wallets/"+h.wallet+"/unfreeze", nil, "").want(t, http.StatusOK)
	if got, want := h.holding(id), "captured 450 150 0 0"; got != want {
		t.Errorf("the hold: %s, want %s", got, want)
	}
	if got, want := h.sees(), "550 0 550"; got != want {
		t.Errorf("the wallet: %s, want %s", got, want)
	}
	h.fails(h.ask("captures", "p4", `{"hold":"`+id+`"}`), "hold_closed")
	h.fails(h.ask("releases", "r3", `{"hold":"`+id+`"}`), "hold_closed")
	h.fails(h.ask("charges", "c3", `{"amount":1,"currency":"EUR","invoice":"INV-1"}`), "duplicate_invoice")
	if back := h.ask("refunds", "b1", `{"charge":"`+part.text("id")+`","amount":50,"currency":"EUR"}`); back.text("refundable_after") != "150" {
		t.Errorf("a refund of a capture: %s", back.body)
	}
	h.fails(h.ask("refunds", "b2", `{"charge":"`+id+`"}`), "charge_not_found")
	h.fails(h.ask("captures", "p5", `{"hold":"`+part.text("id")+`"}`), "hold_not_found")
}

// TestHoldFaults: what cannot be meant is refused, and a zero never means everything.
func TestHoldFaults(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	wallet := "/v1/wallets/" + p.wallet
	hold := p.shop.post(wallet+"/holds", headers{"Idempotency-Key": "h"}, `{"amount":5,"currency":"EUR"}`).want(t, http.StatusAccepted).text("id")
	for _, c := range []struct{ verb, body, place string }{
		{"holds", `{"amount":5,"currency":"EUR","expires_in":0}`, "body.expires_in"},
		{"holds", `{"amount":5,"currency":"EUR","expires_in":59}`, "body.expires_in"},
		{"holds", `{"amount":5,"currency":"EUR","expires_in":2592001}`, "body.expires_in"},
		{"holds", `{"amount":0,"currency":"EUR"}`, "body.amount"},
		{"captures", `{}`, "body.hold"},
		{"captures", `{"hold":"` + hold + `","amount":0}`, "body.amount"},
		{"captures", `{"hold":"` + hold + `","amount":-5,"currency":"EUR"}`, "body.amount"},
		{"captures", `{"hold":"` + hold + `","amount":5}`, "body.currency"},
		{"captures", `{"hold":"` + hold + `","final":"no"}`, "body.final"},
		{"captures", `{"hold":"` + hold + `","invoice":"INV-2"}`, "body.invoice"},
		{"releases", `{"hold":"` + hold + `","amount":0}`, "body.amount"},
		{"releases", `{"hold":"` + hold + `","final":false}`, "body.final"},
	} {
		got := p.shop.post(wallet+"/"+c.verb, headers{"Idempotency-Key": "k"}, c.body)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"`+c.place+`"`) {
			t.Errorf("%s %s: %d %s", c.verb, c.body, got.status, got.body)
		}
	}
	for verb, body := range map[string]string{
		"captures": `{"hold":"` + hold + `"}`, "releases": `{"hold":"` + hold + `"}`, "holds": `{"amount":5,"currency":"EUR","invoice":"INV-1"}`,
	} {
		if got := p.shop.post(wallet+"/"+verb, nil, body); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s without a key: %d %s", verb, got.status, got.body)
		}
	}
}

// TestHoldsEnd: a hold that ends uncaptured gives its invoice back, and one that expires is refused from then on.
func TestHoldsEnd(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	h, other := holder{s.people("Ada"), t}, s.people("Bob")
	s.fund(h.people, 1000)
	hold := func(key string) string {
		t.Helper()
		a := h.ask("holds", key, `{"amount":300,"currency":"EUR","invoice":"INV-1"}`)
		if a.text("status") != "accepted" || a.text("expires_in") != fmt.Sprint(ledger.DefaultExpiresIn) {
			t.Fatalf("%s: %s", key, a.body)
		}
		return a.text("id")
	}
	released := hold("h1")
	closing := s.operator.post("/v1/wallets/"+h.wallet+"/close", nil, "").want(t, http.StatusOK)
	h.fails(closing, "wallet_not_empty")
	stolen := other.shop.post("/v1/wallets/"+h.wallet+"/captures", headers{"Idempotency-Key": "x", "Prefer": "wait=30"}, `{"hold":"`+released+`"}`)
	h.fails(stolen.want(t, http.StatusOK), "hold_not_found")
	if stolen.text("currency") != "" || stolen.text("remaining_after") != "" {
		t.Errorf("another merchant learns something of the hold: %s", stolen.body)
	}
	h.ask("releases", "r1", `{"hold":"`+released+`"}`)
	if got, want := h.holding(released), "released 0 300 0 0"; got != want {
		t.Errorf("the hold: %s, want %s", got, want)
	}
	expired := hold("h2") // the invoice is free again
	s.expire(expired, h)
	if got, want := h.holding(expired), "expired 0 0 300 0"; got != want {
		t.Errorf("the hold: %s, want %s", got, want)
	}
	h.fails(h.ask("captures", "p1", `{"hold":"`+expired+`"}`), "hold_expired")
	h.fails(h.ask("releases", "r2", `{"hold":"`+expired+`"}`), "hold_expired")
	if got, want := h.sees(), "1000 0 1000"; got != want {
		t.Errorf("the wallet: %s, want %s", got, want)
	}
	list := h.shop.get("/v1/operations?wallet_id="+h.wallet).want(t, http.StatusOK)
	if !strings.Contains(list.body, `"asked_by":{"role":"system"}`) || strings.Count(list.body, `"kind":"expire"`) != 1 {
		t.Errorf("the merchant does not see the expiry: %s", list.body)
	}
}

// expire lets the hold be past its expiry, has two owners of its partition look, and waits until it has ended.
func (s *stack) expire(hold string, h holder) {
	s.t.Helper()
	id, err := ledger.ParseOperationID(hold)
	if err != nil {
		s.t.Fatal(err)
	}
	s.exec("update holds set expires_at = now() - interval '9 seconds' where id = $1", id)
	before := s.produced()
	owner := processor.NewExpirer(s.db.Store, direct{s}, s.minter, s.log, nil)
	sweep := func(e *processor.Expirer) {
		s.t.Helper()
		if err := e.Sweep(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
	if sweep(owner); s.produced() != before || h.holding(hold) != "open 0 0 0 300" {
		s.t.Error("it expires too early, before a slower clock could know")
	}
	s.exec("update holds set expires_at = now() - interval '11 seconds' where id = $1", id)
	seen, err := s.db.DueHolds(s.t.Context())
	if err != nil || len(seen) != 1 {
		s.t.Fatal(seen, err)
	}
	sweep(owner)
	sweep(owner) // it is on its way
	if got := s.produced(); got != before+1 {
		s.t.Errorf("%d expires, want one", got-before)
	}
	sweep(processor.NewExpirer(seenHolds(seen), direct{s}, s.minter, s.log, nil)) // of another owner, who found the same
	eventually(h.t, func() bool { return s.produced() == before+2 && h.holding(hold) != "open 0 0 0 300" })
}

// seenHolds is what a look found, to whoever looks again.
type seenHolds []ledger.Hold

func (f seenHolds) DueHolds(context.Context) ([]ledger.Hold, error) { return f, nil }

// direct puts records into the queue past the API.
type direct struct{ s *stack }

func (d direct) Send(ctx context.Context, r record.Record) (partition int, offset int64, err error) {
	return d.s.direct.Send(ctx, d.s.topic.Name, r)
}
