package ingest_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDryRun asks for charges, holds and refunds without meaning them: each says what the same request comes to when it is sent,
// and leaves nothing behind.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	s.settle()
	p := s.people("Ada")
	s.fund(p, 1000)
	wallet := "/v1/wallets/" + p.wallet
	charged := p.shop.post(wallet+"/charges", headers{"Idempotency-Key": "c", "Prefer": "wait=30"}, `{"amount":600,"currency":"EUR","invoice":"INV-1"}`).want(t, http.StatusOK).text("id")
	for _, c := range []struct{ name, path, body, would, reason string }{
		{"charge", "/charges", `{"amount":100,"currency":"EUR","invoice":"INV-2"}`, "accept", ""},
		{"charge-too-large", "/charges", `{"amount":401,"currency":"EUR"}`, "fail", "insufficient_funds"},
		{"charge-duplicate-invoice", "/charges", `{"amount":1,"currency":"EUR","invoice":"INV-1"}`, "fail", "duplicate_invoice"},
		{"hold", "/holds", `{"amount":300,"currency":"EUR"}`, "accept", ""},
		{"hold-in-another-currency", "/holds", `{"amount":300,"currency":"USD"}`, "fail", "currency_mismatch"},
		{"refund", "/refunds", `{"charge":"` + charged + `","amount":250,"currency":"EUR"}`, "accept", ""},
		{"refund-of-the-rest", "/refunds", `{"charge":"` + charged + `"}`, "accept", ""},
		{"refund-too-large", "/refunds", `{"charge":"` + charged + `","amount":601,"currency":"EUR"}`, "fail", "refund_exceeds_charge"},
	} {
		key := headers{"Idempotency-Key": "key of " + c.name, "Prefer": "wait=30"}
		produced := s.produced()
		before := p.payer.get(wallet).body
		dry := p.shop.post(wallet+c.path+"?dry_run=true", key, c.body).want(t, http.StatusOK)
		golden(t, filepath.Join("dry_run", c.name), dry)
		if dry.text("would") != c.would || dry.text("failure.reason") != c.reason || dry.text("decided") != "false" {
			t.Errorf("%s: %s", c.name, dry.body)
		}
		if s.produced() != produced || p.payer.get(wallet).body != before {
			t.Errorf("%s: something was queued, or the wallet changed", c.name)
		}
		if strings.Contains(dry.body, "balance") || strings.Contains(dry.body, "sequence") {
			t.Errorf("%s tells a merchant of the wallet: %s", c.name, dry.body)
		}
		if c.reason == "" { // what fails is tried for real
			continue
		}
		sent := p.shop.post(wallet+c.path, key, c.body).want(t, http.StatusOK)
		if sent.text("failure.reason") != c.reason || sent.text("failure.duplicate_of") != dry.text("failure.duplicate_of") ||
			sent.text("refundable_after") != dry.text("refundable_after") {
			t.Errorf("%s: it would come to %s\nand came to %s", c.name, dry.body, sent.body)
		}
		again := p.shop.post(wallet+c.path+"?dry_run=true", key, c.body).want(t, http.StatusOK)
		if again.text("decided") != "true" || again.text("operation.id") != sent.text("id") || again.text("as_of") != sent.text("decided_at") {
			t.Errorf("%s, once it is decided: %s", c.name, again.body)
		}
		other := strings.Replace(c.body, `"amount":`, `"amount":1`, 1)
		if reused := p.shop.post(wallet+c.path+"?dry_run=true", key, other); reused.text("code") != "idempotency_key_reused" {
			t.Errorf("%s, under its key another request: %d %s", c.name, reused.status, reused.body)
		}
	}
	accepted := p.shop.post(wallet+"/charges?dry_run=true", headers{"Idempotency-Key": "c"}, `{"amount":600,"currency":"EUR","invoice":"INV-1"}`).want(t, http.StatusOK)
	golden(t, filepath.Join("dry_run", "charge-decided"), accepted)
	if sent := p.shop.post(wallet+"/charges?dry_run=false", headers{"Idempotency-Key": "meant"}, `{"amount":1,"currency":"EUR"}`); sent.text("object") != "operation" {
		t.Errorf("dry_run=false: %s", sent.body)
	}
}

// TestDryRunIsRefused as the request itself is refused, and where there is none.
func TestDryRunIsRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	wallet := "/v1/wallets/" + p.wallet
	for _, c := range []struct {
		what, code string
		got        answer
	}{
		{"a fault", "invalid_request", p.shop.post(wallet+"/charges?dry_run=true", headers{"Idempotency-Key": "k"}, `{"amount":0,"currency":"EUR"}`)},
		{"no key", "invalid_request", p.shop.post(wallet+"/holds?dry_run=true", nil, `{"amount":1,"currency":"EUR"}`)},
		{"no flag", "invalid_request", p.shop.post(wallet+"/charges?dry_run=1", headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR"}`)},
		{"another role", "forbidden", p.payer.post(wallet+"/charges?dry_run=true", headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR"}`)},
		{"a capture", "invalid_request", p.shop.post(wallet+"/captures?dry_run=true", headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR"}`)},
		{"a top-up", "invalid_request", s.operator.post(wallet+"/top-ups?dry_run=true", headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR"}`)},
		{"a freeze", "invalid_request", s.operator.post(wallet+"/freeze?dry_run=true", nil, "")},
		{"a batch", "invalid_request", p.shop.post("/v1/charges/batch?dry_run=true", headers{"Content-Type": lines}, `{"wallet_id":"`+p.wallet+`","idempotency_key":"k","amount":1,"currency":"EUR"}`)},
	} {
		if c.got.text("code") != c.code {
			t.Errorf("%s: %d %s", c.what, c.got.status, c.got.body)
		}
	}
	slow := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"merchant","merchant_id":"`+p.merchant+`","name":"slow","rate":1}`).want(t, http.StatusCreated).text("secret"))
	try := func(who *api) answer {
		return who.post(wallet+"/charges?dry_run=true", headers{"Idempotency-Key": "k"}, `{"amount":1,"currency":"EUR"}`)
	}
	try(slow).want(t, http.StatusOK)
	if got := try(slow); got.text("code") != "rate_limited" {
		t.Errorf("beyond the rate: %d %s", got.status, got.body)
	}
	for state, code := range map[int32]string{down: "database_unavailable", hanging: "database_unavailable", busy: "reads_busy"} {
		s.db.state.Store(state)
		began := time.Now()
		if got := try(p.shop); got.text("code") != code || time.Since(began) > 5*time.Second {
			t.Errorf("with the database in the state %d, after %s: %d %s", state, time.Since(began), got.status, got.body)
		}
	}
	s.db.state.Store(up)
	s.kafka.Stop()
	if got := try(p.shop); got.status != http.StatusOK {
		t.Errorf("without Kafka: %d %s", got.status, got.body)
	}
}
