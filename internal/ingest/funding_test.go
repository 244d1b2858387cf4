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
