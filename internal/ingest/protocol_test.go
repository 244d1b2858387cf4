package ingest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ingest"
)

// raw sends the text as it is and reads one answer; closed says whether the
// connection ends behind it.
func raw(t *testing.T, base, text string) (got answer, closed bool) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.40q: %v", text, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%.40q: %v", text, err)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = r.ReadByte()
	var network net.Error
	closed = err != nil && !(errors.As(err, &network) && network.Timeout())
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, closed
}

// TestWhatNoHandlerSees sends what net/http answers by itself: those are problems
// like every other.
func TestWhatNoHandlerSees(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for name, c := range map[string]struct {
		text string
		code ingest.Code
	}{
		"no HTTP":            {"hello\r\n\r\n", ingest.CodeMalformedRequest},
		"no host":            {"GET /livez HTTP/1.1\r\n\r\n", ingest.CodeMalformedRequest},
		"a bad header":       {"GET /livez HTTP/1.1\r\nHost: x\r\nbad header: y\r\n\r\n", ingest.CodeMalformedRequest},
		"two lengths":        {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ingest.CodeMalformedRequest},
		"a long header":      {"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", ingest.CodeHeaderTooLarge},
		"a transfer coding":  {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", ingest.CodeUnsupportedCoding},
		"a version":          {"GET /livez HTTP/3.0\r\nHost: x\r\n\r\n", ingest.CodeUnsupportedVersion},
		"an expectation":     {"GET /livez HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", ingest.CodeExpectationFailed},
		"a corrupt chunk":    {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.operator.key + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ingest.CodeMalformedRequest},
		"a long chunk":       {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.operator.key + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", ingest.CodeMalformedRequest},
		"a chunk's end":      {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.operator.key + "\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", ingest.CodeUnsupportedMediaType},
		"too large, chunked": {"POST /v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.operator.key + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat(" ", 0x20000) + "\r\n0\r\n\r\n", ingest.CodeBodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, closed := raw(t, s.operator.base, c.text)
			if got.status != c.code.Status() || got.text("code") != string(c.code) || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("want %s, got %d %v %s", c.code, got.status, got.header, got.body)
			}
			if id := got.header.Get("X-Request-Id"); id == "" || id != got.text("request_id") {
				t.Errorf("request ID %q: %s", id, got.body)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers: %v", got.header)
			}
			if !closed {
				t.Error("the connection is open: what follows is taken for another request")
			}
			if name == "a long header" || name == "a transfer coding" || name == "a version" || name == "an expectation" {
				golden(t, filepath.Join("problems", string(c.code)), got)
			}
		})
	}
}

// TestChunksCountBesideALength sends both: net/http takes the length away before any
// handler, and what follows the last chunk is the next request, not a part of this one.
func TestChunksCountBesideALength(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.operator.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "POST /v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.operator.key+
		"\r\nContent-Type: application/json\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"+
		"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, want := range []int{http.StatusUnprocessableEntity, http.StatusOK} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			t.Errorf("status %d, want %d: %v", resp.StatusCode, want, err)
		}
		resp.Body.Close()
	}
}

// TestEveryAnswerIsKeptFromCaches looks at answers of every kind.
func TestEveryAnswerIsKeptFromCaches(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	for name, got := range map[string]answer{
		"read": p.payer.get("/v1/wallets/" + p.wallet), "list": p.shop.get("/v1/operations"), "charge": p.shop.post(p.charges(), nil, charge),
		"created": s.operator.post("/v1/clients", nil, `{"name":"x"}`), "invalid": s.operator.post("/v1/clients", nil, `{}`),
		"no key": s.operator.with("").get("/v1/operations"), "forbidden": p.payer.post(p.charges(), nil, charge),
		"nothing": s.operator.get("/v1/nothing"), "method": s.operator.do(http.MethodPut, "/v1/operations", nil, ""),
		"live": s.operator.get("/livez"), "by huma": p.shop.get("/v1/operations?limit=x"), "head": p.payer.do(http.MethodHead, "/v1/wallets/"+p.wallet, nil, ""),
	} {
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
}

// TestHead asks for the header of everything that can be read.
func TestHead(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	id := p.shop.post(p.charges(), nil, charge).text("id")
	for _, path := range []string{
		"/v1/wallets/" + p.wallet, "/v1/operations?wallet_id=" + p.wallet, "/v1/operations/" + id, "/v1/merchants/" + p.merchant,
		"/v1/clients/" + p.client + "/wallets", "/livez", "/readyz", "/openapi.json", "/v1/operations", "/v1/nothing", "/v1/wallets/x",
	} {
		get, head := s.operator.get(path), s.operator.do(http.MethodHead, path, nil, "")
		if head.status != get.status || head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v %q, GET: %d", path, head.status, head.header, head.body, get.status)
		}
	}
	for path, allow := range map[string]string{"/v1/operations": "GET, HEAD", p.charges(): "POST", "/livez": "GET, HEAD"} {
		for _, method := range []string{http.MethodPut, "BREW", http.MethodOptions, http.MethodTrace} {
			if got := s.operator.do(method, path, nil, ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow: %s", method, path, got.status, got.header.Get("Allow"))
			}
		}
	}
	s.operator.do("BREW", "/v1/nothing", nil, "").want(t, http.StatusNotFound)
	if got, _ := raw(t, s.operator.base, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); got.text("code") != "not_found" {
		t.Errorf("OPTIONS *: %d %s", got.status, got.body)
	}
}

// TestBodiesAreJSONAsTheyAre sends bodies of other kinds and in other codings.
func TestBodiesAreJSONAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	for name, h := range map[string]headers{
		"gzip": {"Content-Encoding": "gzip"}, "deflate": {"Content-Encoding": "identity, deflate"}, "no type": {"Content-Type": ""},
		"text": {"Content-Type": "text/plain"}, "latin 1": {"Content-Type": "application/json; charset=latin1"}, "nonsense": {"Content-Type": ";"},
	} {
		got := p.shop.post(p.charges(), h, charge)
		coded := h["Content-Encoding"] != ""
		if got.text("code") != "unsupported_media_type" || coded != (got.header.Get("Accept-Encoding") == "identity") {
			t.Errorf("%s: %d %v %s", name, got.status, got.header, got.body)
		}
	}
	if n := s.produced(); n != 0 {
		t.Errorf("%d records were produced", n)
	}
	for _, h := range []headers{
		{"Content-Encoding": "identity"}, {"Content-Type": "application/json; charset=UTF-8"}, {"Content-Type": "Application/JSON"},
	} {
		p.shop.post(p.charges(), h, charge).want(t, http.StatusAccepted)
	}
	s.operator.post("/v1/wallets/"+p.wallet+"/freeze", headers{"Content-Type": ""}, "").want(t, http.StatusOK) // there is no body
}

// TestEmptyIsNotAbsent sends every parameter and every text of a body empty.
func TestEmptyIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	p.shop.post(p.charges(), headers{"Idempotency-Key": "k"}, charge).want(t, http.StatusAccepted)
	invalid := func(got answer, place string) {
		t.Helper()
		if got.text("code") != "invalid_request" || !strings.Contains(got.body, `"location":"`+place+`"`) {
			t.Errorf("%s: %d %s", place, got.status, got.body)
		}
	}
	for _, who := range []*api{p.shop, p.payer, s.operator} {
		for _, name := range []string{"invoice", "wallet_id", "merchant_id", "cursor", "limit", "nonsense"} {
			rest := "&wallet_id=" + p.wallet
			if name == "wallet_id" {
				rest = "&merchant_id=" + p.merchant
			}
			invalid(who.get("/v1/operations?"+name+"="+rest), "query."+name)
			invalid(who.get("/v1/operations?"+name+rest), "query."+name)
			invalid(who.get("/v1/operations?"+name+"=1&"+name+"=2"+rest), "query."+name)
		}
		id := p.shop.post(p.charges(), headers{"Idempotency-Key": "k"}, charge).text("id")
		invalid(who.get("/v1/operations/"+id+"?offset="), "query.offset")
	}
	for _, name := range []string{"invoice", "description", "apply_before", "currency"} {
		h := headers{"Idempotency-Key": "e" + name}
		invalid(p.shop.post(p.charges(), h, `{"amount":1,"currency":"EUR","`+name+`":""}`), "body."+name)
	}
	for path, body := range map[string]string{
		"/v1/merchants":                       `{"name":"x","client_id":""}`,
		"/v1/wallets":                         `{"client_id":"","currency":"EUR"}`,
		"/v1/api-keys":                        `{"role":"operator","name":"x","client_id":""}`,
		"/v1/wallets/" + p.wallet + "/freeze": `{"note":"","client_id":"","description":""}`,
	} {
		for _, place := range []string{"client_id", "description", "note"} {
			if strings.Contains(body, place) {
				invalid(s.operator.post(path, headers{"Idempotency-Key": "k"}, body), "body."+place)
			}
		}
	}
}

// TestOneFaultHasOneCode sends IDs that are none to every route that takes them.
func TestOneFaultHasOneCode(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	for path, place := range map[string]string{
		"GET /v1/wallets/%s": "path.wallet", "POST /v1/wallets/%s/charges": "path.wallet", "POST /v1/wallets/%s/top-ups": "path.wallet",
		"POST /v1/wallets/%s/withdrawals": "path.wallet", "POST /v1/wallets/%s/holds": "path.wallet", "POST /v1/wallets/%s/captures": "path.wallet",
		"POST /v1/wallets/%s/releases": "path.wallet", "POST /v1/wallets/%s/refunds": "path.wallet",
		"POST /v1/wallets/%s/freeze": "path.wallet", "POST /v1/wallets/%s/unfreeze": "path.wallet", "POST /v1/wallets/%s/close": "path.wallet",
		"GET /v1/operations/%s": "path.id", "GET /v1/merchants/%s": "path.merchant", "GET /v1/clients/%s/wallets": "path.client",
		"GET /v1/operations?wallet_id=%s": "query.wallet_id", "GET /v1/operations?merchant_id=%s": "query.merchant_id",
	} {
		method, path, _ := strings.Cut(path, " ")
		who, body := s.operator, ""
		switch {
		case strings.HasSuffix(path, "charges"):
			who, body = p.shop, charge
		case strings.HasSuffix(path, "refunds"):
			who, body = p.shop, `{"charge":""}`
		case strings.HasSuffix(path, "captures"), strings.HasSuffix(path, "releases"):
			who, body = p.shop, `{"hold":""}`
		case strings.HasSuffix(path, "holds"):
			who, body = p.shop, charge
		case strings.HasSuffix(path, "top-ups"), strings.HasSuffix(path, "withdrawals"):
			body = `{"amount":1,"currency":"EUR"}`
		}
		for _, bad := range []string{"x", "wal_", strings.ToUpper(p.wallet), "op_0", "%20"} {
			got := who.do(method, fmt.Sprintf(path, bad), headers{"Idempotency-Key": "k"}, body)
			if got.text("code") != "invalid_request" || !strings.Contains(got.body, `"location":"`+place+`"`) {
				t.Errorf("%s %s with %s: %d %s", method, path, bad, got.status, got.body)
			}
		}
	}
}

// TestFaultsFit reads what is said about what is missing.
func TestFaultsFit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	faults := func(got answer) map[string]string {
		t.Helper()
		got.want(t, http.StatusUnprocessableEntity)
		var problem struct {
			Errors []struct{ Location, Message string } `json:"errors"`
		}
		if err := json.Unmarshal([]byte(got.body), &problem); err != nil {
			t.Fatal(err)
		}
		said := map[string]string{}
		for _, e := range problem.Errors {
			if said[e.Location] != "" {
				t.Errorf("two faults at %s: %s", e.Location, got.body)
			}
			said[e.Location] = e.Message
		}
		return said
	}
	expired := s.clock.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		who                        *api
		path, body, place, message string
	}{
		{p.shop, p.charges(), `{"currency":"EUR","invoice":"i"}`, "body.amount", "is required"},
		{p.shop, p.charges(), `{"amount":0,"currency":"EUR","invoice":"i"}`, "body.amount", "must be from 1 to 9007199254740991 minor units"},
		{p.shop, p.charges(), `{"amount":1,"invoice":"i"}`, "body.currency", "is required"},
		{p.shop, p.charges(), `{"amount":1,"currency":"EUR"}`, "header.Idempotency-Key", "is required where there is no invoice"},
		{s.operator, "/v1/wallets/" + p.wallet + "/top-ups", `{"amount":1,"currency":"EUR"}`, "header.Idempotency-Key", "is required"},
		{s.operator, "/v1/clients", `{}`, "body.name", "is required"},
		{s.operator, "/v1/wallets", `{"currency":"EUR"}`, "body.client_id", "is required"},
		{s.operator, "/v1/api-keys", `{"name":"x"}`, "body.role", "is required"},
		{s.operator, "/v1/api-keys", `{"name":"x","role":"merchant"}`, "body.merchant_id", "is required for a merchant's key"},
		{s.operator, "/v1/api-keys", `{"name":"x","role":"client"}`, "body.client_id", "is required for a client's key"},
		{s.operator, "/v1/api-keys", `{"name":"x","role":"operator","expires_at":"` + expired + `"}`, "body.expires_at", "must lie in the future"},
	} {
		if said := faults(c.who.post(c.path, nil, c.body)); said[c.place] != c.message {
			t.Errorf("%s %s: %v", c.path, c.body, said)
		}
	}
}

// TestRecordsAheadEndWithTheLog asks with offsets that are made up.
func TestRecordsAheadEndWithTheLog(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	var id string
	for i := range 3 {
		id = p.shop.post(p.charges(), headers{"Idempotency-Key": fmt.Sprint(i)}, charge).want(t, http.StatusAccepted).text("id")
		// The end of the log was asked for before; a moment later the new one counts.
		eventually(t, func() bool {
			return p.shop.get(fmt.Sprintf("/v1/operations/%s?offset=%d", id, i)).text("records_ahead") == fmt.Sprint(i)
		})
	}
	eventually(t, func() bool { return p.shop.get("/v1/operations/"+id+"?offset=1000").text("records_ahead") == "3" })
	for _, offset := range []string{"4", "1000", "9223372036854775807"} {
		if got := p.shop.get("/v1/operations/" + id + "?offset=" + offset).text("records_ahead"); got != "3" {
			t.Errorf("offset %s has %s records ahead, and the log ends at 3", offset, got)
		}
	}
}
