package ingest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares the answer with testdata/name. What differs from run to run
// (secrets, request IDs and cursors) is left out; IDs do not, under idempotency keys
// and one secret.
func golden(t *testing.T, name string, got answer) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s\n", got.status, http.StatusText(got.status))
	for _, h := range []string{
		"Content-Type", "Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed", "WWW-Authenticate", "Allow",
	} {
		if value := got.header.Get(h); value != "" {
			fmt.Fprintf(&text, "%s: %s\n", h, value)
		}
	}
	var body bytes.Buffer
	if err := json.Indent(&body, []byte(got.body), "", "  "); err != nil {
		t.Errorf("%s: the body is not JSON: %q", name, got.body)
	}
	text.WriteString("\n" + body.String())
	clean := regexp.MustCompile(`mon_(\w+?)_key_\w+`).ReplaceAllString(text.String(), "mon_${1}_...")
	clean = regexp.MustCompile(`req_[0-9a-f]{16}`).ReplaceAllString(clean, "req_...")
	clean = regexp.MustCompile(`"next_cursor": "[\w-]{102,}"`).ReplaceAllString(clean, `"next_cursor": "..."`)
	clean = regexp.MustCompile(`"api_key_id": "key_\w{26}"`).ReplaceAllString(clean, `"api_key_id": "key_..."`)

	path := filepath.Join("testdata", name+".http")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(clean), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), clean); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func fixedTime() time.Time { return time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC) }

// TestStory goes once through everything that the API does and keeps the
// answers.
func TestStory(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	op := s.operator
	say := func(name string, a answer) answer {
		t.Helper()
		golden(t, filepath.Join("story", name), a)
		return a
	}
	key := func(k string) headers { return headers{"Idempotency-Key": k} }
	waiting := func(k string) headers { return headers{"Idempotency-Key": k, "Prefer": "wait=30"} }

	client := say("create-client", op.post("/v1/clients", key("c"), `{"name":"Ada"}`)).text("id")
	say("create-client-again", op.post("/v1/clients", key("c"), `{"name":"Ada"}`))
	wallet := say("open-wallet", op.post("/v1/wallets", key("w"), `{"client_id":"`+client+`","currency":"EUR","charges":"anyone"}`)).text("id")
	say("open-wallet-again", op.post("/v1/wallets", key("w"), `{"client_id":"`+client+`","currency":"EUR","charges":"anyone"}`))
	merchant := say("create-merchant", op.post("/v1/merchants", key("m"), `{"name":"Bakery"}`)).text("id")
	say("create-merchant-again", op.post("/v1/merchants", key("m"), `{"name":"Bakery"}`))
	const shopKey = `{"role":"merchant","merchant_id":"%s","name":"till","expires_at":"2030-01-01T00:00:00Z"}`
	shop := op.with(say("create-key", op.post("/v1/api-keys", key("k"), fmt.Sprintf(shopKey, merchant))).text("secret"))
	say("create-key-again", op.post("/v1/api-keys", key("k"), fmt.Sprintf(shopKey, merchant)))
	payer := op.with(op.post("/v1/api-keys", key("p"), `{"role":"client","client_id":"`+client+`","name":"Ada's app"}`).text("secret"))

	charges, topUps := "/v1/wallets/"+wallet+"/charges", "/v1/wallets/"+wallet+"/top-ups"
	const order = `{"amount":1250,"currency":"EUR","invoice":"INV-1001","description":"Bread","metadata":{"till":"3"}}`
	poor := say("charge-pending", shop.post(charges, key("order-1"), order))
	say("charge-not-in-time", shop.post(charges, headers{"Idempotency-Key": "order-1", "Prefer": "wait=1"}, order))
	say("operation-pending", shop.get(poor.header.Get("Location")))
	say("operation-pending-without-offset", shop.get("/v1/operations/"+poor.text("id")))

	say("explain-pending", payer.get("/v1/operations/"+poor.text("id")+"/explain?offset="+poor.text("offset")))
	say("explain-pending-without-offset", payer.get("/v1/operations/"+poor.text("id")+"/explain"))

	s.settle()
	say("operation-failed", shop.do(http.MethodGet, "/v1/operations/"+poor.text("id"), headers{"Prefer": "wait=30"}, ""))
	say("top-up-accepted", op.post(topUps, waiting("funding"), `{"amount":10000,"currency":"EUR"}`))
	paid := say("charge-accepted", shop.post(charges, waiting("order-1b"), order))
	say("charge-replayed", shop.post(charges, waiting("order-1b"), order))
	say("charge-reused", shop.post(charges, waiting("order-1b"), strings.Replace(order, "1250", "1251", 1)))
	say("charge-duplicate-invoice", shop.post(charges, waiting("order-1c"), order))
	say("operation-for-merchant", shop.get("/v1/operations/"+paid.text("id")))
	say("operation-for-client", payer.get("/v1/operations/"+paid.text("id")))
	say("operation-for-operator", op.get("/v1/operations/"+paid.text("id")))

	page := say("list-wallet", payer.get("/v1/operations?limit=2&wallet_id="+wallet))
	say("list-wallet-next", payer.get("/v1/operations?limit=2&wallet_id="+wallet+"&cursor="+page.text("next_cursor")))
	say("list-invoice", shop.get("/v1/operations?invoice=INV-1001"))
	say("wallet", payer.get("/v1/wallets/"+wallet))
	say("account", payer.get("/v1/clients/"+client+"/wallets"))
	say("merchant", shop.get("/v1/merchants/"+merchant))

	for name, who := range map[string]*api{"merchant": shop, "client": payer, "operator": op} {
		say("explain-failed-for-"+name, who.get("/v1/operations/"+poor.text("id")+"/explain"))
		say("explain-accepted-for-"+name, who.get("/v1/operations/"+paid.text("id")+"/explain"))
	}

	frozen := say("freeze", op.post("/v1/wallets/"+wallet+"/freeze", key("f"), `{"description":"Reported as stolen","metadata":{"ticket":"4711"}}`))
	say("freeze-again", op.post("/v1/wallets/"+wallet+"/freeze", key("f"), `{"description":"Reported as stolen","metadata":{"ticket":"4711"}}`))
	say("explain-direct", payer.get("/v1/operations/"+frozen.text("id")+"/explain"))
	say("close-failed", op.post("/v1/wallets/"+wallet+"/close", key("x"), ""))
	say("unfreeze", op.post("/v1/wallets/"+wallet+"/unfreeze", key("u"), ""))
}

// TestProblems produces every code that the API documents.
func TestProblems(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	p := s.people("Ada")
	unknown := "wal_01hzy3v7k2m4n6p8q0r2s4t6v8"
	good := `{"amount":1,"currency":"EUR","invoice":"i"}`
	seen := map[string]bool{}
	say := func(a answer, code ingest.Code) {
		t.Helper()
		if got := a.text("code"); got != string(code) || a.status != code.Status() {
			t.Errorf("want %s, got %d: %s", code, a.status, a.body)
		}
		if id := a.header.Get("X-Request-Id"); id == "" || id != a.text("request_id") {
			t.Errorf("%s: request ID %q and %q", code, id, a.text("request_id"))
		}
		golden(t, filepath.Join("problems", string(code)), a)
		seen[string(code)] = true
	}
	say(p.payer.post(p.charges(), nil, good), ingest.CodeForbidden)
	say(s.operator.with("mon_nonsense").get("/v1/wallets/"+p.wallet), ingest.CodeUnauthenticated)
	say(s.operator.get("/v1/wallets/"+unknown), ingest.CodeNotFound)
	say(s.operator.do(http.MethodDelete, "/v1/wallets/"+p.wallet, nil, ""), ingest.CodeMethodNotAllowed)
	say(p.shop.post(p.charges(), nil, `{"amount":`), ingest.CodeMalformedJSON)
	say(p.shop.post(p.charges(), headers{"Content-Type": "application/json"}, ""), ingest.CodeMalformedRequest)
	say(p.shop.post(p.charges(), headers{"Content-Type": "text/plain"}, good), ingest.CodeUnsupportedMediaType)
	say(p.shop.post(p.charges(), nil, `{"description":"`+strings.Repeat("x", 64<<10)+`"}`), ingest.CodeBodyTooLarge)
	say(p.shop.post(p.charges(), nil, `{"amount":"5","AMOUNT":-700,"currency":"eur","invoice":"a\u0000b","metadata":{"x":1}}`), ingest.CodeInvalidRequest)
	say(s.operator.get("/v1/operations"), ingest.CodeFilterRequired)
	s.operator.post("/v1/clients", headers{"Idempotency-Key": "k"}, `{"name":"Ada"}`).want(t, http.StatusCreated)
	say(s.operator.post("/v1/clients", headers{"Idempotency-Key": "k"}, `{"name":"Bob"}`), ingest.CodeKeyReused)
	ended := "/v1/api-keys/" + s.operator.post("/v1/api-keys", nil, `{"role":"operator","name":"ended"}`).want(t, http.StatusCreated).text("id")
	s.operator.post(ended+"/revoke", nil, "").want(t, http.StatusOK)
	say(s.operator.post(ended+"/rotate", nil, ""), ingest.CodeKeyEnded)
	slow := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"operator","name":"slow","rate":1}`).want(t, http.StatusCreated).text("secret"))
	slow.get("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
	say(slow.get("/v1/wallets/"+p.wallet), ingest.CodeRateLimited)
	say(slowBody(t, s.operator.base, p.shop.key, p.charges()), ingest.CodeRequestTimeout)
	s.db.state.Store(busy)
	say(p.payer.get("/v1/wallets/"+p.wallet), ingest.CodeReadsBusy)
	if n := s.metric(`monedero_shed_total{what="read"}`); n != 1 {
		t.Errorf("%v reads were shed by the metric", n)
	}
	s.db.state.Store(down)
	say(p.payer.get("/v1/wallets/"+p.wallet), ingest.CodeDatabaseUnavailable)
	s.kafka.Stop()
	say(p.shop.post(p.charges(), nil, good), ingest.CodeQueueUnavailable)

	// These come only from within; see TestPanic and TestDrain. And this one takes
	// many requests; see TestTooManyInHand.
	seen[string(ingest.CodeInternal)], seen[string(ingest.CodeDraining)] = true, true
	seen[string(ingest.CodeOverloaded)] = true
	for _, c := range []ingest.Code{ // what no handler sees; see TestWhatNoHandlerSees
		ingest.CodeExpectationFailed, ingest.CodeHeaderTooLarge, ingest.CodeUnsupportedCoding, ingest.CodeUnsupportedVersion,
	} {
		seen[string(c)] = true
	}
	for _, c := range ingest.Codes() {
		if !seen[string(c)] {
			t.Errorf("no request produced the code %s", c)
		}
	}
}
