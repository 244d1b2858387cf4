package ingest_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestNames: who may see an operation sees what its merchant is called now, however it is
// read. What the wallet's client is called, no merchant is told.
func TestNames(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	pending := p.shop.post(p.charges(), headers{"Idempotency-Key": "early"}, charge).want(t, http.StatusAccepted)
	operation := "/v1/operations/" + pending.text("id")
	if name := pending.text("merchant_name"); name != "" {
		t.Errorf("of a pending operation: %q", name)
	}
	waited := make(chan answer, 1)
	go func() {
		got, err := p.payer.try(t.Context(), http.MethodGet, operation, headers{"Prefer": "wait=30"}, "")
		if err != nil {
			t.Error(err)
		}
		waited <- got
	}()
	s.settle()
	check := func(how string, a answer, place, want string) {
		t.Helper()
		if got := a.text(place); got != want {
			t.Errorf("%s: the merchant's name is %q, want %q: %s", how, got, want, a.body)
		}
	}
	check("a wait", <-waited, "merchant_name", "Ada's shop")
	check("a charge that is decided in time", p.shop.post(p.charges(), headers{"Idempotency-Key": "late", "Prefer": "wait=30"}, charge).want(t, http.StatusOK),
		"merchant_name", "Ada's shop")
	check("another merchant's", other.shop.post(p.charges(), headers{"Idempotency-Key": "late", "Prefer": "wait=30"}, charge).want(t, http.StatusOK),
		"merchant_name", "Bob's shop")
	check("a top-up", s.operator.post("/v1/wallets/"+p.wallet+"/top-ups", headers{"Idempotency-Key": "x", "Prefer": "wait=30"},
		`{"amount":1,"currency":"EUR"}`).want(t, http.StatusOK), "merchant_name", "")
	other.payer.get(operation).want(t, http.StatusNotFound)
	other.shop.get(operation).want(t, http.StatusNotFound)

	s.exec("update merchants set name = 'Ada y Bea' where name = 'Ada''s shop'")
	first := func(a answer) map[string]any {
		for _, d := range a.get("data").([]any) {
			if entry := d.(map[string]any); entry["id"] == pending.text("id") {
				return entry
			}
		}
		t.Fatalf("it is not in the list: %s", a.body)
		return nil
	}
	for who, from := range map[string]*api{"the client": p.payer, "the merchant": p.shop, "an operator": s.operator} {
		got := from.get(operation).want(t, http.StatusOK)
		check(who, got, "merchant_name", "Ada y Bea")
		list := from.get("/v1/operations?wallet_id="+p.wallet).want(t, http.StatusOK)
		if name := first(list)["merchant_name"]; name != "Ada y Bea" {
			t.Errorf("%s, in a list: %v", who, name)
		}
		if who == "the merchant" && (strings.Contains(got.body, p.client) || strings.Contains(got.body, `"Ada"`)) {
			t.Errorf("the merchant is told whose wallet it is: %s", got.body)
		}
	}
	list := p.payer.get("/v1/operations?wallet_id="+p.wallet).want(t, http.StatusOK)
	if !strings.Contains(list.body, "Bob's shop") {
		t.Errorf("a client is not told who else charged: %s", list.body)
	}
	audit := s.operator.get("/v1/audit?about="+p.wallet).want(t, http.StatusOK)
	if !strings.Contains(audit.body, "Ada y Bea") {
		t.Errorf("the audit log does not name the merchant: %s", audit.body)
	}
}
