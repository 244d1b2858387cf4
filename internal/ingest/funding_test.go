package ingest_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestWithdrawals takes back a top-up and empties a wallet, so that it can be closed. Credit pays for neither.
func TestWithdrawals(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	wallet := "/v1/wallets/" + p.wallet
	s.fund(p, 1000)
	s.operator.post(wallet+"/credit-limit", nil, `{"credit_limit":500,"currency":"EUR"}`).want(t, http.StatusOK)
	withdraw := func(key, amount string) answer {
		t.Helper()
		return s.operator.post(wallet+"/withdrawals", headers{"Idempotency-Key": key, "Prefer": "wait=30"},
			`{"amount":`+amount+`,"currency":"EUR","description":"Paid in to the wrong wallet","note":"ticket 4711"}`)
	}
	back := withdraw("back", "400").want(t, http.StatusOK)
	if back.text("status") != "accepted" || back.text("kind") != "withdraw" || back.text("balance_after") != "600" {
		t.Errorf("a withdrawal: %s", back.body)
	}
	if again := withdraw("back", "400").want(t, http.StatusOK); again.text("id") != back.text("id") || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same again: %s", again.body)
	}
	if more := withdraw("more", "601").want(t, http.StatusOK); more.text("failure.reason") != "insufficient_funds" {
		t.Errorf("more than there is: %s", more.body)
	}
	s.operator.post(wallet+"/freeze", nil, "").want(t, http.StatusOK)
	if rest := withdraw("rest", "600").want(t, http.StatusOK); rest.text("balance_after") != "0" {
		t.Errorf("all of a frozen wallet: %s", rest.body)
	}
	if end := s.operator.post(wallet+"/close", nil, "").want(t, http.StatusOK); end.text("status") != "accepted" {
		t.Errorf("close of the empty wallet: %s", end.body)
	}
	if late := withdraw("late", "1").want(t, http.StatusOK); late.text("failure.reason") != "wallet_closed" {
		t.Errorf("from a closed wallet: %s", late.body)
	}
	if seen := p.payer.get("/v1/operations/"+back.text("id")).want(t, http.StatusOK); seen.text("description") == "" || strings.Contains(seen.body, "4711") {
		t.Errorf("what the wallet's owner sees: %s", seen.body)
	}
	p.shop.get("/v1/operations/"+back.text("id")).want(t, http.StatusNotFound)
}

// TestReferences moves money with the reference of the transfer outside, and reads it wherever a description stands.
func TestReferences(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	wallet := "/v1/wallets/" + p.wallet
	money := func(verb, key, reference string) answer {
		t.Helper()
		return s.operator.post(wallet+"/"+verb, headers{"Idempotency-Key": key, "Prefer": "wait=30"}, `{"amount":100,"currency":"EUR","reference":"`+reference+`"}`)
	}
	const in, out = "E2E-2026 ñ", "E2E-17/b"
	paid := money("top-ups", "in", "E2E-2026 n\u0303").want(t, http.StatusOK) // another keyboard
	back := money("withdrawals", "out", out).want(t, http.StatusOK)
	for _, who := range []*api{s.operator, p.payer} {
		for reference, op := range map[string]answer{in: paid, out: back} {
			if got := who.get("/v1/operations/"+op.text("id")).want(t, http.StatusOK); got.text("reference") != reference {
				t.Errorf("of %s: %s", reference, got.body)
			}
		}
		list := sheet(t, who.csv("/v1/operations?wallet_id="+p.wallet)) // the newest first
		_, _, lines, _ := account{api: who, wallet: p.wallet}.statement(wallet+"/statement?", 50)
		for what, rows := range map[string][]map[string]string{
			"the list":             {list[1], list[0]},
			"the statement":        lines,
			"the statement as CSV": sheet(t, who.csv(wallet+"/statement"))[1:3],
		} {
			if rows[0]["reference"] != in || rows[1]["reference"] != out {
				t.Errorf("%s: %v", what, rows)
			}
		}
	}
	for _, op := range []answer{paid, back} {
		p.shop.get("/v1/operations/"+op.text("id")).want(t, http.StatusNotFound)
	}
	if list := p.shop.get("/v1/operations?wallet_id="+p.wallet).want(t, http.StatusOK); strings.Contains(list.body, "E2E") {
		t.Errorf("what a merchant is shown: %s", list.body)
	}

	// It tells requests apart, and makes none the same.
	if again := money("top-ups", "in", in).want(t, http.StatusOK); again.text("id") != paid.text("id") || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same again: %s", again.body)
	}
	if other := money("top-ups", "in", out).want(t, http.StatusUnprocessableEntity); other.text("code") != "idempotency_key_reused" {
		t.Errorf("the same key with another reference: %s", other.body)
	}
	if twice := money("top-ups", "in again", in).want(t, http.StatusOK); twice.text("id") == paid.text("id") || twice.text("status") != "accepted" {
		t.Errorf("the same reference under another key: %s", twice.body)
	}
	for _, reference := range []string{strings.Repeat("x", 141), " E2E", `E2E\n`, "E2E\u200b17"} {
		if got := money("withdrawals", "wrong", reference).want(t, http.StatusUnprocessableEntity); !strings.Contains(got.body, `"body.reference"`) {
			t.Errorf("the reference %+q: %s", reference, got.body)
		}
	}
	for who, verbs := range map[*api][]string{p.shop: {"charges", "holds"}, s.operator: {"freeze", "close", "credit-limit"}} {
		for _, verb := range verbs {
			got := who.post(wallet+"/"+verb, headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR","reference":"E2E"}`)
			if got.want(t, http.StatusUnprocessableEntity); !strings.Contains(got.body, `"body.reference"`) {
				t.Errorf("%s with a reference: %s", verb, got.body)
			}
		}
	}
}
