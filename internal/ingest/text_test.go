package ingest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestLookAlikesOfAnInvoice charges eight spellings of one invoice that nobody can
// tell apart, each under a key of its own: one of them is paid.
func TestLookAlikesOfAnInvoice(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 100)
	for i, c := range []struct {
		name, invoice string
		refused       bool
	}{
		{"as written", "Ca\u00f1a 7", false},
		{"decomposed", "Can\u0303a 7", false},
		{"blank behind", "Ca\u00f1a 7 ", true},
		{"blank before", " Ca\u00f1a 7", true},
		{"no-break space", "Ca\u00f1a\u00a07", true},
		{"zero-width space", "Ca\u00f1a\u200b 7", true},
		{"soft hyphen", "Ca\u00ad\u00f1a 7", true},
		{"mark of direction", "Ca\u00f1a 7\u200e", true},
	} {
		h := headers{"Idempotency-Key": fmt.Sprint("look-alike ", i), "Prefer": "wait=30"}
		got := p.shop.post(p.charges(), h, `{"amount":1,"currency":"EUR","invoice":"`+c.invoice+`"}`)
		switch {
		case c.refused:
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"body.invoice"`) {
				t.Errorf("%s: %d %s", c.name, got.status, got.body)
			}
		case i > 0 && got.text("failure.reason") != "duplicate_invoice":
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		case i == 0 && got.text("status") != "accepted":
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
	if balance := p.payer.get("/v1/wallets/" + p.wallet).text("balance"); balance != "99" {
		t.Errorf("the wallet holds %s of 100: the invoice was paid more than once", balance)
	}
	// The list finds it in either form.
	for _, form := range []string{"Ca\u00f1a 7", "Can\u0303a 7"} {
		got := p.shop.get("/v1/operations?invoice="+url.QueryEscape(form)).want(t, http.StatusOK)
		if list, _ := got.get("data").([]any); len(list) != 2 {
			t.Errorf("the list of %+q: %s", form, got.body)
		}
	}
	// Without a key the invoice is the charge's identity, in either form.
	first := p.shop.post(p.charges(), nil, `{"amount":1,"currency":"EUR","invoice":"Ni\u00f1o"}`).text("id")
	if again := p.shop.post(p.charges(), nil, `{"amount":1,"currency":"EUR","invoice":"Nin\u0303o"}`).text("id"); first == "" || again != first {
		t.Errorf("two operations: %s and %s", first, again)
	}
}

// TestNamesThatCannotBeSeen tries them for everything that has a name.
func TestNamesThatCannotBeSeen(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	for path, rest := range map[string]string{
		"/v1/clients": "", "/v1/merchants": "", "/v1/api-keys": `,"role":"client","client_id":"` + p.client + `"`,
	} {
		for _, name := range []string{"", " ", "   ", " a", "a ", "\u00a0", "a\u200bb", "\u3164", "a\u202eb", "\ufeff"} {
			got := s.operator.post(path, nil, `{"name":"`+name+`"`+rest+`}`)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"body.name"`) {
				t.Errorf("%s named %+q: %d %s", path, name, got.status, got.body)
			}
		}
		if got := s.operator.post(path, nil, `{"name":"Nin\u0303o"`+rest+`}`).want(t, http.StatusCreated); got.text("name") != "Ni\u00f1o" {
			t.Errorf("%s keeps the name as %+q", path, got.text("name"))
		}
	}
}

// TestNotesAreForOperators freezes and tops up a wallet with words that its owner
// must not see, and looks for them in everything that others can read.
func TestNotesAreForOperators(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	const secret = "do not tip off"
	p.shop.post(p.charges(), headers{"Idempotency-Key": "c", "Prefer": "wait=30"}, charge).want(t, http.StatusOK)
	var paths []string
	for verb, body := range map[string]string{
		"top-ups": `{"amount":5,"currency":"EUR","note":"` + secret + `"}`, "withdrawals": `{"amount":5,"currency":"EUR","note":"` + secret + `"}`,
		"freeze": `{"description":"At your bank's request","note":"` + secret + `"}`, "unfreeze": `{"note":"` + secret + `"}`,
		"close": `{"note":"` + secret + `"}`, // fails or not: the words are there all the same
	} {
		got := s.operator.post("/v1/wallets/"+p.wallet+"/"+verb, headers{"Idempotency-Key": verb, "Prefer": "wait=30"}, body).want(t, http.StatusOK)
		if got.text("note") != secret {
			t.Errorf("%s: the operator does not see the note: %s", verb, got.body)
		}
		paths = append(paths, "/v1/operations/"+got.text("id"))
	}
	paths = append(paths, "/v1/operations?wallet_id="+p.wallet, "/v1/wallets/"+p.wallet, "/v1/clients/"+p.client+"/wallets", "/v1/merchants/"+p.merchant, "/v1/operations")
	for _, path := range paths {
		for _, who := range []*api{p.payer, p.shop} {
			if got := who.get(path); strings.Contains(got.body, "note") || strings.Contains(got.body, "tip off") {
				t.Errorf("%s shows the note: %s", path, got.body)
			}
		}
	}
	if list := s.operator.get("/v1/operations?wallet_id=" + p.wallet).body; strings.Count(list, secret) != 5 {
		t.Errorf("the operator's list: %s", list)
	}
	// A merchant has no notes, and another note is another request.
	p.shop.post(p.charges(), headers{"Idempotency-Key": "n"}, `{"amount":1,"currency":"EUR","note":"x"}`).want(t, http.StatusUnprocessableEntity)
	other := s.operator.post("/v1/wallets/"+p.wallet+"/freeze", headers{"Idempotency-Key": "freeze"}, `{"description":"At your bank's request","note":"other"}`)
	if other.text("code") != "idempotency_key_reused" {
		t.Errorf("a freeze with another note: %d %s", other.status, other.body)
	}
}

// TestAnotherApplyBeforeIsAnotherRequest sends a charge again with a later deadline:
// it is not taken for the retry of the first, neither when that is decided nor before.
func TestAnotherApplyBeforeIsAnotherRequest(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	by := func(when string) string {
		return `{"amount":1,"currency":"EUR","apply_before":"` + when + `"}`
	}
	key := headers{"Idempotency-Key": "k"}
	id := p.shop.post(p.charges(), key, by("2020-01-01T00:00:00Z")).want(t, http.StatusAccepted).text("id")
	p.shop.post(p.charges(), key, by("2090-01-01T00:00:00Z")).want(t, http.StatusAccepted) // nobody knows the first one yet
	p.shop.post(p.charges(), key, by("2020-01-01T00:00:00Z")).want(t, http.StatusAccepted)
	s.settle()
	eventually(t, func() bool { // the second one is settled after the first
		got := p.shop.get("/v1/operations/" + id)
		return got.text("failure.reason") == "expired" && got.text("conflicting_requests") == "1"
	})
	h := headers{"Idempotency-Key": "k", "Prefer": "wait=30"}
	if got := p.shop.post(p.charges(), h, by("2090-01-01T00:00:00Z")); got.text("code") != "idempotency_key_reused" {
		t.Errorf("a later deadline: %d %s", got.status, got.body)
	}
	if got := p.shop.post(p.charges(), h, by("2020-01-01T00:00:00Z")).want(t, http.StatusOK); got.text("id") != id {
		t.Errorf("the same again: %s", got.body)
	}
}
