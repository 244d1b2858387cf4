package ingest_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestRefunds gives a charge back in parts, too much of it, and the rest; twice the same part under
// two keys, and one part twice under one.
func TestRefunds(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	wallet := "/v1/wallets/" + p.wallet
	asked := func(who *api, key, body string) answer {
		t.Helper()
		return who.post(wallet+"/refunds", headers{"Idempotency-Key": key, "Prefer": "wait=30"}, body)
	}
	// All of this is asked for before anything is decided.
	s.operator.post(wallet+"/top-ups", headers{"Idempotency-Key": "fund"}, `{"amount":1000,"currency":"EUR"}`).want(t, http.StatusAccepted)
	charged := p.shop.post(p.charges(), headers{"Idempotency-Key": "c"}, `{"amount":600,"currency":"EUR","invoice":"INV-1"}`).want(t, http.StatusAccepted).text("id")
	first := p.shop.post(wallet+"/refunds", headers{"Idempotency-Key": "r1"}, `{"charge":"`+charged+`","amount":250,"currency":"EUR"}`).want(t, http.StatusAccepted)
	s.settle()

	outcome := func(a answer) string {
		t.Helper()
		a.want(t, http.StatusOK)
		balance := p.payer.get("/v1/operations/" + a.text("id")).text("balance_after") // a merchant is not told
		return strings.Join([]string{a.text("status"), a.text("failure.reason"), a.text("amount"), a.text("currency"), a.text("refundable_after"), balance}, " ")
	}
	part := `{"charge":"` + charged + `","amount":250,"currency":"EUR"}`
	for _, c := range []struct {
		what string
		got  answer
		want string
	}{
		{"sent while its charge was pending", asked(p.shop, "r1", part), "accepted  250 EUR 350 650"},
		{"an equal part under another key", asked(p.shop, "r2", part), "accepted  250 EUR 100 900"},
		{"the same again", asked(p.shop, "r2", part), "accepted  250 EUR 100 900"},
		{"more than is left", asked(p.shop, "r3", `{"charge":"`+charged+`","amount":101,"currency":"EUR"}`), "failed refund_exceeds_charge 101 EUR 100 900"},
		{"in another currency", asked(p.shop, "r4", `{"charge":"`+charged+`","amount":1,"currency":"USD"}`), "failed currency_mismatch 1 USD 100 900"},
		{"another merchant's", asked(other.shop, "r5", `{"charge":"`+charged+`"}`), "failed charge_not_found    900"},
		{"all that is left", asked(p.shop, "r6", `{"charge":"`+charged+`"}`), "accepted  100 EUR 0 1000"},
		{"when nothing is left", asked(p.shop, "r7", `{"charge":"`+charged+`"}`), "failed refund_exceeds_charge  EUR 0 1000"},
		{"of a refund", asked(p.shop, "r8", `{"charge":"`+first.text("id")+`"}`), "failed charge_not_found    1000"},
	} {
		if got := outcome(c.got); got != c.want {
			t.Errorf("%s: %q, want %q: %s", c.what, got, c.want, c.got.body)
		}
		if c.got.text("kind") != "refund" || c.got.text("charge") == "" {
			t.Errorf("%s: %s", c.what, c.got.body)
		}
	}
	for who, reader := range map[string]*api{"the merchant": p.shop, "the client": p.payer} {
		if seen := reader.get("/v1/operations/"+charged).want(t, http.StatusOK); seen.text("amount_refunded") != "600" || seen.text("status") != "accepted" {
			t.Errorf("the charge as %s sees it: %s", who, seen.body)
		}
	}
	if again := p.shop.post(p.charges(), headers{"Idempotency-Key": "c2", "Prefer": "wait=30"}, `{"amount":1,"currency":"EUR","invoice":"INV-1"}`); again.text("failure.reason") != "duplicate_invoice" {
		t.Errorf("a refund freed its invoice: %s", again.body)
	}
	elsewhere := other.shop.post(other.charges(), headers{"Idempotency-Key": "c"}, charge).want(t, http.StatusAccepted).text("id")
	for body, place := range map[string]string{
		`{}`: "body.charge", `{"charge":"` + elsewhere + `"}`: "body.charge", `{"charge":"` + charged + `","amount":1}`: "body.currency",
		`{"charge":"` + charged + `","currency":"EUR"}`: "body.amount", `{"charge":"` + charged + `","amount":-1,"currency":"EUR"}`: "body.amount",
		`{"charge":"` + charged + `","amount":0}`: "body.amount", `{"charge":"` + charged + `","amount":0,"currency":"EUR"}`: "body.amount",
		`{"charge":"` + charged[:len(charged)-1] + `z"}`: "body.charge",
	} {
		got := asked(p.shop, "bad", body)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"`+place+`"`) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if got := p.shop.post(wallet+"/refunds", nil, part); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "Idempotency-Key") {
		t.Errorf("without a key: %d %s", got.status, got.body)
	}
}

// TestRefundAfterSuspensionAndFreeze: what was charged before may be given back, as long as there is a wallet.
func TestRefundAfterSuspensionAndFreeze(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 1000)
	wallet := "/v1/wallets/" + p.wallet
	charged := p.shop.post(p.charges(), headers{"Idempotency-Key": "c", "Prefer": "wait=30"}, `{"amount":600,"currency":"EUR"}`).want(t, http.StatusOK).text("id")
	refund := func(key string) answer {
		t.Helper()
		return p.shop.post(wallet+"/refunds", headers{"Idempotency-Key": key, "Prefer": "wait=30"}, `{"charge":"`+charged+`","amount":100,"currency":"EUR"}`).want(t, http.StatusOK)
	}
	s.operator.post("/v1/merchants/"+p.merchant+"/suspend", nil, "").want(t, http.StatusOK)
	s.operator.post(wallet+"/freeze", nil, "").want(t, http.StatusOK)
	if got := refund("r1"); got.text("status") != "accepted" {
		t.Errorf("of a suspended merchant to a frozen wallet: %s", got.body)
	}
	s.operator.post(wallet+"/withdrawals", headers{"Idempotency-Key": "w", "Prefer": "wait=30"}, `{"amount":500,"currency":"EUR"}`).want(t, http.StatusOK)
	s.operator.post(wallet+"/close", nil, "").want(t, http.StatusOK)
	if got := refund("r2"); got.text("failure.reason") != "wallet_closed" {
		t.Errorf("to a closed wallet: %s", got.body)
	}
}
