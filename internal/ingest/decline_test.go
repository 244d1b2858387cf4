package ingest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// TestDeclines charges what cannot be charged: each charge is taken, and fails
// with its reason, a comment, an advice and its invoice on record.
func TestDeclines(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 100)
	open := func() string {
		return s.operator.post("/v1/wallets", nil, `{"client_id":"`+p.client+`","currency":"EUR","charges":"anyone"}`).want(t, http.StatusCreated).text("id")
	}
	frozen, closed, empty := open(), open(), open()
	s.operator.post("/v1/wallets/"+frozen+"/freeze", nil, "").want(t, http.StatusOK)
	s.operator.post("/v1/wallets/"+closed+"/close", nil, "").want(t, http.StatusOK)
	own := s.operator.post("/v1/merchants", nil, `{"name":"own","client_id":"`+p.client+`"}`).want(t, http.StatusCreated).text("id")
	ownShop := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"merchant","merchant_id":"`+own+`","name":"own"}`).text("secret"))
	suspended := s.people("Bob")
	s.exec("update merchants set suspended = true where name = 'Bob''s shop'")

	const unknown = "wal_01hzy3v7k2m4n6p8q0r2s4t6v8"
	for i, c := range []struct {
		shop   *api
		wallet string
		fields string
		reason ledger.Reason
	}{
		{p.shop, p.wallet, `"amount":1,"currency":"EUR","apply_before":"2020-01-01T00:00:00Z"`, ledger.ReasonExpired},
		{p.shop, unknown, `"amount":1,"currency":"EUR"`, ledger.ReasonMandateRequired},
		{suspended.shop, p.wallet, `"amount":1,"currency":"EUR"`, ledger.ReasonMerchantSuspended},
		{ownShop, p.wallet, `"amount":1,"currency":"EUR"`, ledger.ReasonSelfCharge},
		{p.shop, closed, `"amount":1,"currency":"EUR"`, ledger.ReasonWalletClosed},
		{p.shop, frozen, `"amount":1,"currency":"EUR"`, ledger.ReasonWalletFrozen},
		{p.shop, p.wallet, `"amount":1,"currency":"USD"`, ledger.ReasonCurrencyMismatch},
		{p.shop, p.wallet, `"amount":101,"currency":"EUR"`, ledger.ReasonInsufficientFunds},
		{p.shop, empty, `"amount":1,"currency":"EUR"`, ledger.ReasonInsufficientFunds},
	} {
		invoice := fmt.Sprint("INV-", i)
		body := `{` + c.fields + `,"invoice":"` + invoice + `"}`
		taken := c.shop.post("/v1/wallets/"+c.wallet+"/charges", nil, body).want(t, http.StatusAccepted)
		got := c.shop.do(http.MethodGet, taken.header.Get("Location"), headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
		want := map[string]string{
			"status": "failed", "failure.reason": string(c.reason), "failure.comment": c.reason.Comment(),
			"failure.advice": string(c.reason.Advice()), "invoice": invoice,
		}
		for field, value := range want {
			if got.text(field) != value {
				t.Errorf("%s: %s is %q, want %q", body, field, got.text(field), value)
			}
		}
		if list := c.shop.get("/v1/operations?invoice="+invoice).want(t, http.StatusOK); len(list.get("data").([]any)) != 1 {
			t.Errorf("%s is not found by its invoice: %s", body, list.body)
		}
	}
	if got := p.payer.get("/v1/wallets/" + p.wallet); got.text("balance") != "100" {
		t.Errorf("the wallet after failed charges: %s", got.body)
	}
}
