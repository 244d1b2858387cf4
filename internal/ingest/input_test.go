package ingest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// slowBody sends the head of a request and never its body.
func slowBody(t *testing.T, base, key, path string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{", path, key)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// places are the locations of the answer's faults, in order.
func (a answer) places() []string {
	var p struct {
		Errors []struct{ Location, Message string }
	}
	if json.Unmarshal([]byte(a.body), &p) != nil {
		return nil
	}
	var places []string
	for _, e := range p.Errors {
		if e.Message != "" {
			places = append(places, e.Location)
		}
	}
	return places
}

// TestBadInput sends what cannot be a charge. Each answer names the places of
// all faults and never shows a value, and nothing is produced.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	long := func(n int) string { return strings.Repeat("é", n) }
	many := map[string]string{}
	for i := range 21 {
		many[fmt.Sprint("k", i)] = "v"
	}
	tooMany, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	charge := func(fields string) string { return `{"amount":5,"currency":"EUR","invoice":"i",` + fields + `}` }
	for _, c := range []struct {
		body   string
		header headers
		places []string
	}{
		{`{"amount":5,"AMOUNT":-700,"currency":"EUR","invoice":"i"}`, nil, []string{"body.AMOUNT"}},
		{charge(`"amount":6`), nil, []string{"body.amount"}},
		{charge(`"merchant_id":"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`), nil, []string{"body.merchant_id"}},
		{`{"amount":0,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":-5,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":1.0,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":1e3,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":"5","currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":null,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":9007199254740992,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":18446744073709551617,"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"currency":"EUR","invoice":"i"}`, nil, []string{"body.amount"}},
		{`{"amount":5,"currency":"XXX","invoice":"i"}`, nil, []string{"body.currency"}},
		{`{"amount":5,"currency":"eur","invoice":"i"}`, nil, []string{"body.currency"}},
		{`{"amount":5,"invoice":"i"}`, nil, []string{"body.currency"}},
		{`{"amount":5,"currency":"EUR"}`, nil, []string{"header.Idempotency-Key"}},
		{`{"amount":5,"currency":"EUR","invoice":""}`, nil, []string{"body.invoice"}},
		{charge(`"x":1`), headers{"Idempotency-Key": ""}, []string{"header.Idempotency-Key"}},
		{charge(`"description":"d"`), headers{"Idempotency-Key": strings.Repeat("k", 256)}, []string{"header.Idempotency-Key"}},
		{charge(`"description":"d"`), headers{"Idempotency-Key": "\xff"}, []string{"header.Idempotency-Key"}},
		{`{"amount":5,"currency":"EUR","invoice":"` + long(129) + `"}`, nil, []string{"body.invoice"}},
		{`{"amount":5,"currency":"EUR","invoice":"secret\u0000"}`, nil, []string{"body.invoice"}},
		{charge(`"description":"` + long(501) + `"`), nil, []string{"body.description"}},
		{charge(`"description":"secret\u0007"`), nil, []string{"body.description"}},
		{charge(`"metadata":{"secret\u0000":"v"}`), nil, []string{"body.metadata"}},
		{charge(`"metadata":{"a":"secret\u001f"}`), nil, []string{"body.metadata.a"}},
		{charge(`"metadata":{"a":1}`), nil, []string{"body.metadata.a"}},
		{charge(`"metadata":{"":"v"}`), nil, []string{"body.metadata"}},
		{charge(`"metadata":{"a":"` + long(501) + `"}`), nil, []string{"body.metadata.a"}},
		{charge(`"metadata":` + string(tooMany)), nil, []string{"body.metadata"}},
		{charge(`"apply_before":"soon"`), nil, []string{"body.apply_before"}},
		{`{"amount":0,"currency":"secret","description":5,"y":1,"metadata":[]}`, nil, []string{
			"body.description", "body.y", "body.metadata", "body.amount", "body.currency", "header.Idempotency-Key",
		}},
	} {
		got := p.shop.post(p.charges(), c.header, c.body)
		if got.status != http.StatusUnprocessableEntity || !slices.Equal(got.places(), c.places) {
			t.Errorf("%.80s: %d at %v, want 422 at %v", c.body, got.status, got.places(), c.places)
		}
		if strings.Contains(got.body, "secret") || strings.Contains(got.body, "-700") {
			t.Errorf("%.80s is echoed: %s", c.body, got.body)
		}
	}
	if got := p.shop.post("/v1/wallets/WAL_0/charges", nil, charge(`"x":1`)).want(t, http.StatusUnprocessableEntity); !slices.Equal(got.places(), []string{"body.x", "path.wallet"}) {
		t.Error("a wallet that is none:", got.body)
	}
	for _, body := range []string{"x", `{"amount":5`, `{"amount":5,}`, `{"amount":5}{}`, "{\"invoice\":\"\xff\"}"} {
		p.shop.post(p.charges(), nil, body).want(t, http.StatusBadRequest)
	}
	s.operator.post("/v1/wallets/"+p.wallet+"/top-ups", nil, `{"amount":5,"currency":"EUR"}`).want(t, http.StatusUnprocessableEntity)
	s.operator.post("/v1/wallets/"+p.wallet+"/top-ups", headers{"Idempotency-Key": "k"}, `{"amount":5,"currency":"EUR","invoice":"i"}`).want(t, http.StatusUnprocessableEntity)
	if n := s.produced(); n != 0 {
		t.Errorf("%d records were produced", n)
	}
}

func TestBadRequestsElsewhere(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	op := s.operator
	nobody := "cli_01hzy3v7k2m4n6p8q0r2s4t6v8"
	for _, c := range []struct {
		path, body string
		places     []string
	}{
		{"/v1/clients", `{"name":""}`, []string{"body.name"}},
		{"/v1/clients", `{"name":"` + strings.Repeat("x", 201) + `"}`, []string{"body.name"}},
		{"/v1/clients", `{"name":"a\u0000"}`, []string{"body.name"}},
		{"/v1/merchants", `{"name":"m","client_id":"x"}`, []string{"body.client_id"}},
		{"/v1/merchants", `{"name":"m","client_id":"` + nobody + `"}`, []string{"body.client_id"}},
		{"/v1/wallets", `{"currency":"EUR"}`, []string{"body.client_id"}},
		{"/v1/wallets", `{"client_id":"` + nobody + `","currency":"EUR"}`, []string{"body.client_id"}},
		{"/v1/wallets", `{"client_id":"` + p.client + `","currency":"QQQ"}`, []string{"body.currency"}},
		{"/v1/api-keys", `{"role":"admin","name":"k"}`, []string{"body.role"}},
		{"/v1/api-keys", `{"role":"merchant","name":"k"}`, []string{"body.merchant_id"}},
		{"/v1/api-keys", `{"role":"merchant","merchant_id":"x","name":"k"}`, []string{"body.merchant_id"}},
		{"/v1/api-keys", `{"role":"operator","client_id":"` + p.client + `","name":"k"}`, []string{"body.client_id"}},
		{"/v1/api-keys", `{"role":"client","client_id":"` + nobody + `","name":"k"}`, []string{"body.client_id"}},
		{"/v1/api-keys", `{"role":"client","client_id":"` + p.client + `","name":"","expires_at":"x"}`, []string{"body.name", "body.expires_at"}},
		{"/v1/wallets/" + p.wallet + "/freeze", `{"reason":"x"}`, []string{"body.reason"}},
	} {
		got := op.post(c.path, nil, c.body)
		if got.status != http.StatusUnprocessableEntity || !slices.Equal(got.places(), c.places) {
			t.Errorf("%s %s: %d at %v, want 422 at %v", c.path, c.body, got.status, got.places(), c.places)
		}
	}
	for query, place := range map[string]string{
		"limit=0": "query.limit", "limit=201": "query.limit", "limit=x": "query.limit", "cursor=x": "query.cursor",
		"merchant_id=x": "query.merchant_id", "invoice=%00": "query.invoice", "colour=red": "query.colour",
		"limit=1&limit=2": "query.limit", "client_id=x": "query.client_id", "status=pending": "query.status", "kind=dance": "query.kind",
		"reason=none": "query.reason", "reason=expired&status=accepted": "query.reason", "from=yesterday": "query.from",
		"to=2026-01-01": "query.to", "from=1969-01-01T00:00:00Z": "query.from", "idempotency_key=%00": "query.idempotency_key",
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "query.to",
	} {
		got := op.get("/v1/operations?wallet_id=" + p.wallet + "&" + query)
		if got.status != http.StatusUnprocessableEntity || !slices.Equal(got.places(), []string{place}) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	op.get("/v1/operations?wallet_id="+p.wallet+"&invoice=%zz").want(t, http.StatusBadRequest)
	op.get("/v1/operations/x?offset=-1").want(t, http.StatusUnprocessableEntity)
	op.get("/v1/operations/x").want(t, http.StatusUnprocessableEntity)
	op.get("/v1/wallets/x").want(t, http.StatusUnprocessableEntity)
	op.get("/v1/nothing").want(t, http.StatusNotFound)
	op.get("/v1/clients/"+nobody+"/wallets").want(t, http.StatusNotFound)
	op.post("/v1/wallets/wal_01hzy3v7k2m4n6p8q0r2s4t6v8/freeze", nil, "").want(t, http.StatusNotFound)
	if got := op.do(http.MethodPut, p.charges(), nil, "").want(t, http.StatusMethodNotAllowed); got.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
	if got := op.do(http.MethodGet, "/livez", headers{"X-Request-Id": "mine-1"}, ""); got.header.Get("X-Request-Id") != "mine-1" {
		t.Error("the caller's request ID is lost")
	}
	if got := op.do(http.MethodGet, "/livez", headers{"X-Request-Id": "<script>"}, ""); !strings.HasPrefix(got.header.Get("X-Request-Id"), "req_") {
		t.Error("a bad request ID is taken:", got.header.Get("X-Request-Id"))
	}
}

// TestBodyLimit lets a body of 64 KiB pass and not one byte more.
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	body := `{"amount":5,"currency":"EUR","invoice":"i"`
	body += strings.Repeat(" ", 64<<10-len(body)-1) + "}"
	p.shop.post(p.charges(), nil, body).want(t, http.StatusAccepted)
	p.shop.post(p.charges(), nil, body+" ").want(t, http.StatusRequestEntityTooLarge)
}

func TestHeadersMustNotBeAmbiguous(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.shop.base+p.charges(), strings.NewReader(`{"amount":5,"currency":"EUR"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + p.shop.key}, "Content-Type": {"application/json"}, "Idempotency-Key": {"one", "two"},
	}
	resp, err := p.shop.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
}
