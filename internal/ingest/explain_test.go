package ingest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/monedero/monedero/internal/ledger"
)

// ofOne is what differs from one operation to the next: IDs, places in the log, and times.
var ofOne = regexp.MustCompile(`(op|wal)_\w{26}|\d{4}-\d\d-\d\dT[\d:.]+Z|"(partition|offset|log)":\d+|(partition|log|offset) \d+|decided at [^ ,]+`)

// TestExplainHidesWhetherAWalletExists has charges, holds and what refers to them fail before their wallet is looked at: of a wallet
// that exists, with money or without, and of one that does not. The merchant is told the same.
func TestExplainHidesWhetherAWalletExists(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p, rich := s.people("Ada"), s.people("Bob")
	s.fund(rich, 1000)
	owner := s.operator.post("/v1/merchants", nil, `{"name":"x"}`).want(t, http.StatusCreated).text("id")
	suspended := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"merchant","merchant_id":"`+owner+`","name":"x"}`).want(t, http.StatusCreated).text("secret"))
	s.operator.post("/v1/merchants/"+owner+"/suspend", nil, "").want(t, http.StatusOK)
	wallets := map[string]string{"none": ledger.WalletID(uuid.New()).String(), "an empty one": p.wallet, "one with money": rich.wallet}
	const late = `"amount":5,"currency":"EUR","apply_before":"2020-01-01T00:00:00Z"`

	said := map[string]map[string]string{} // by what was asked, and by whose wallet
	for whose, wallet := range wallets {
		explained := func(what, reason string, who *api, path, body string) string {
			t.Helper()
			got := who.post("/v1/wallets/"+wallet+path, headers{"Idempotency-Key": what, "Prefer": "wait=30"}, body).want(t, http.StatusOK)
			if got.text("failure.reason") != reason {
				t.Fatalf("%s of %s: %s, want %s", what, whose, got.body, reason)
			}
			if said[what] == nil {
				said[what] = map[string]string{}
			}
			said[what][whose] = ofOne.ReplaceAllString(who.get("/v1/operations/"+got.text("id")+"/explain").want(t, http.StatusOK).body, "...")
			return got.text("id")
		}
		charged := explained("late charge", "expired", p.shop, "/charges", `{`+late+`}`)
		held := explained("late hold", "expired", p.shop, "/holds", `{`+late+`}`)
		explained("suspended", "merchant_suspended", suspended, "/charges", `{"amount":5,"currency":"EUR"}`)
		explained("refund of what failed", "charge_not_accepted", p.shop, "/refunds", `{"charge":"`+charged+`","amount":5,"currency":"EUR"}`)
		explained("capture of what failed", "hold_not_accepted", p.shop, "/captures", `{"hold":"`+held+`","amount":5,"currency":"EUR"}`)
		explained("release of what failed", "hold_not_accepted", p.shop, "/releases", `{"hold":"`+held+`","amount":5,"currency":"EUR"}`)
		explained("another's charge", "charge_not_found", rich.shop, "/refunds", `{"charge":"`+charged+`"}`)
		explained("another's hold", "hold_not_found", rich.shop, "/releases", `{"hold":"`+held+`"}`)
	}
	for what, by := range said {
		for whose := range wallets {
			if diff := cmp.Diff(by["none"], by[whose]); diff != "" || !strings.Contains(by[whose], `"not_reached"`) {
				t.Errorf("%s: of %s it is explained otherwise than of none:\n%s", what, whose, diff)
			}
		}
	}
}

// TestExplainTo shows each reader what it may see: numbers of the wallet to its owner, keys to who asked, and nothing to others.
func TestExplainTo(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	charged := p.shop.post(p.charges(), headers{"Idempotency-Key": "my key"}, `{"amount":600,"currency":"EUR"}`).want(t, http.StatusAccepted)
	path := "/v1/operations/" + charged.text("id") + "/explain"
	// While it is pending, everybody who has the ID is told that; no more is known.
	if got := other.shop.get(path).want(t, http.StatusOK); got.text("operation.status") != "pending" || got.text("queued.text") == "" || got.get("received") != nil {
		t.Errorf("pending: %s", got.body)
	}
	if got := other.shop.get("/v1/operations/" + ledger.OperationID(uuid.New()).String() + "/explain"); got.status != http.StatusNotFound {
		t.Errorf("an ID that was never given out: %d %s", got.status, got.body)
	}
	s.settle()
	p.shop.do(http.MethodGet, "/v1/operations/"+charged.text("id"), headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	for _, c := range []struct {
		who          string
		reader       *api
		key, numbers bool
	}{{"the merchant", p.shop, true, false}, {"the client", p.payer, false, true}, {"the operator", s.operator, true, true}} {
		got := c.reader.get(path).want(t, http.StatusOK)
		if has := got.text("received.idempotency_key") == "my key"; has != c.key {
			t.Errorf("to %s: %s", c.who, got.body)
		}
		if has := strings.Contains(got.body, `"numbers":{"available":0,"balance":0,"credit_limit":0,"held":0,"needed":600}`); has != c.numbers {
			t.Errorf("to %s: %s", c.who, got.body)
		}
		if hidden := !strings.Contains(got.body, "balance"); hidden == c.numbers {
			t.Errorf("to %s: %s", c.who, got.body)
		}
	}
	for who, reader := range map[string]*api{"another merchant": other.shop, "another client": other.payer} {
		if got := reader.get(path); got.status != http.StatusNotFound {
			t.Errorf("to %s: %d %s", who, got.status, got.body)
		}
	}
}
