package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

// unconnected are parts that nothing is asked of: what is tested with them never
// gets that far.
type unconnected struct {
	Queue
	History
	Accounts
	Registry
	Direct
	DryRuns
}

var testMinter = func() *ledger.Minter {
	m, err := ledger.NewMinter([]byte(strings.Repeat("s", ledger.SecretBytes)))
	if err != nil {
		panic(err)
	}
	return m
}()

// noKeys is a registry without keys.
type noKeys struct{ access.Registry }

func (noKeys) Key(context.Context, ledger.KeyID) (ledger.Key, error) {
	return ledger.Key{}, ledger.ErrNotFound
}

func newUnconnected(t *testing.T) *Server {
	t.Helper()
	none := unconnected{}
	s, err := New(Options{Queue: none, History: none, Accounts: none, Registry: none, Direct: none, DryRuns: none, Minter: testMinter, Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type openAPI struct {
	OpenAPI string                             `json:"openapi"`
	Paths   map[string]map[string]openAPIRoute `json:"paths"`
	Schemas struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type openAPIRoute struct {
	Summary, Description string
	Parameters           []struct {
		Name, Description string
		Schema            schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Headers map[string]struct{ Schema schema }
		Content map[string]struct{ Schema schema }
	}
	Security []map[string][]string
}

type schema struct {
	Ref         string            `json:"$ref"`
	Description string            `json:"description"`
	Examples    []any             `json:"examples"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	OneOf       []schema          `json:"oneOf"`
}

func fetch(t *testing.T, s *Server, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d", path, w.Code)
	}
	return w
}

func TestOpenAPIDescribesEverything(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	var doc openAPI
	if err := json.Unmarshal(fetch(t, s, "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI version %q", doc.OpenAPI)
	}
	var routes []string
	for path, methods := range doc.Paths {
		for method, r := range methods {
			name := strings.ToUpper(method) + " " + path
			routes = append(routes, name)
			if r.Summary == "" || r.Description == "" || len(r.Security) == 0 {
				t.Errorf("%s lacks a summary, a description or its security", name)
			}
			for _, p := range r.Parameters {
				if p.Description == "" || len(p.Schema.Examples) == 0 {
					t.Errorf("%s: the parameter %s lacks a description or an example", name, p.Name)
				}
			}
			for kind, c := range r.RequestBody.Content {
				if kind != jsonType && kind != linesType || c.Schema.Ref == "" {
					t.Errorf("%s takes %s without a schema", name, kind)
				}
			}
			for status, answer := range r.Responses {
				for header, h := range answer.Headers {
					if h.Schema.Description == "" || len(h.Schema.Examples) == 0 {
						t.Errorf("%s: the header %s of a %s lacks a description or an example", name, header, status)
					}
				}
				for kind, c := range answer.Content {
					if kind == csvType && status == "200" && c.Schema.Description != "" {
						continue
					}
					for _, one := range append([]schema{c.Schema}, c.Schema.OneOf...)[min(1, len(c.Schema.OneOf)):] {
						if (status >= "400") != (kind == problemType) || one.Ref == "" {
							t.Errorf("%s answers %s with %s", name, status, kind)
						}
					}
				}
			}
		}
	}
	slices.Sort(routes)
	want := []string{
		"DELETE /v1/wallets/{wallet}/mandates/{merchant}", "GET /v1/api-keys", "GET /v1/api-keys/{key}", "GET /v1/audit", "GET /v1/clients", "GET /v1/clients/{client}",
		"GET /v1/clients/{client}/wallets", "GET /v1/merchants", "GET /v1/merchants/{merchant}", "GET /v1/merchants/{merchant}/settlement", "GET /v1/operations", "GET /v1/operations/{id}", "GET /v1/operations/{id}/explain",
		"GET /v1/wallets", "GET /v1/wallets/{wallet}", "GET /v1/wallets/{wallet}/mandates", "GET /v1/wallets/{wallet}/mandates/{merchant}", "GET /v1/wallets/{wallet}/statement", "POST /v1/api-keys", "POST /v1/api-keys/{key}/revoke", "POST /v1/api-keys/{key}/rotate", "POST /v1/charges/batch",
		"POST /v1/clients", "POST /v1/merchants", "POST /v1/merchants/{merchant}/resume", "POST /v1/merchants/{merchant}/suspend", "POST /v1/operations/lookup", "POST /v1/wallets",
		"POST /v1/wallets/{wallet}/captures", "POST /v1/wallets/{wallet}/charges", "POST /v1/wallets/{wallet}/close",
		"POST /v1/wallets/{wallet}/credit-limit", "POST /v1/wallets/{wallet}/freeze",
		"POST /v1/wallets/{wallet}/holds", "POST /v1/wallets/{wallet}/refunds", "POST /v1/wallets/{wallet}/releases",
		"POST /v1/wallets/{wallet}/top-ups", "POST /v1/wallets/{wallet}/unfreeze",
		"POST /v1/wallets/{wallet}/withdrawals", "PUT /v1/wallets/{wallet}/mandates/{merchant}",
	}
	if diff := cmp.Diff(want, routes); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	for name, fields := range map[string][]string{"Item": {"wallet_id", "amount", "invoice"}, "ItemResult": {"line", "status", "operation"}} {
		for _, field := range fields {
			if _, ok := doc.Schemas.Schemas[name].Properties[field]; !ok {
				t.Errorf("the schema %s lacks the field %s", name, field)
			}
		}
	}
	for name, body := range doc.Schemas.Schemas {
		if len(body.Properties) == 0 {
			t.Errorf("the schema %s has no properties", name)
		}
		for field, p := range body.Properties {
			composed := p.Ref != "" || p.Items != nil // its parts have the examples
			if p.Description == "" && p.Ref == "" || len(p.Examples) == 0 && !composed {
				t.Errorf("%s.%s lacks a description or an example", name, field)
			}
		}
	}
}

// TestExamplesAreReal reads the examples as the API would.
func TestExamplesAreReal(t *testing.T) {
	t.Parallel()
	text := fetch(t, newUnconnected(t), "/openapi.json").Body.String()
	parsers := map[string]func(string) error{
		"op":  func(s string) error { _, err := ledger.ParseOperationID(s); return err },
		"wal": func(s string) error { _, err := ledger.ParseWalletID(s); return err },
		"mer": func(s string) error { _, err := ledger.ParseMerchantID(s); return err },
		"cli": func(s string) error { _, err := ledger.ParseClientID(s); return err },
		"key": func(s string) error { _, err := ledger.ParseKeyID(s); return err },
		"mon": func(s string) error { // no key of ours, but issued by us
			keys := access.NewKeys(noKeys{}, testMinter, time.Now, func(string) {}, slog.New(slog.DiscardHandler))
			if _, err := keys.Verify(t.Context(), s); err == nil || err.Error() != "there is no such API key" {
				return fmt.Errorf("it was not issued: %w", err)
			}
			return nil
		},
		"": func(s string) error { // a cursor: of the wallet's operations, or of the client's wallets
			wallet, err := ledger.ParseWalletID("wal_01hzy3v7k2m4n6p8q0r2s4t6v8")
			if err != nil {
				return err
			}
			_, err = testCursors(t, new(listInput).list(Filter{Wallet: wallet})...).parse(s)
			if err != nil {
				_, err = testCursors(t, "wallets", "cli_01hzy3v7k2m4n6p8q0r2s4t6v8").parse(s)
			}
			return err
		},
	}
	found := map[string]bool{}
	for _, example := range regexp.MustCompile(`"examples":\["((?:(op|wal|mer|cli|key|mon)_)\w+|[\w-]{102})"\]`).FindAllStringSubmatch(text, -1) {
		found[example[2]] = true
		if err := parsers[example[2]](example[1]); err != nil {
			t.Errorf("the example %s: %v", example[1], err)
		}
	}
	if len(found) != len(parsers) {
		t.Errorf("examples of %v only", found)
	}
}

func TestOpenAPIKnowsEveryCode(t *testing.T) {
	t.Parallel()
	text := fetch(t, newUnconnected(t), "/openapi.json").Body.String()
	for _, c := range Codes() {
		// The text of an answer's description ends with its codes. One belongs to no route: to /readyz.
		if c != CodeDraining && !regexp.MustCompile(`"description":"[^"]*: (\w+, )*`+string(c)+`[,"]`).MatchString(text) {
			t.Errorf("no route names the code %s", c)
		}
	}
	if yaml := fetch(t, newUnconnected(t), "/openapi.yaml").Body.String(); !strings.Contains(yaml, "openapi: 3.1") {
		t.Error("/openapi.yaml is not an OpenAPI document")
	}
}

func TestCodesAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[Code]bool{}
	for _, c := range Codes() {
		if seen[c] || c.Title() == "" || c.Status() < 400 {
			t.Errorf("code %s: %d %q", c, c.Status(), c.Title())
		}
		if c != CodeInternal && c.Title() == CodeInternal.Title() {
			t.Errorf("code %s has no title of its own", c)
		}
		seen[c] = true
	}
}

// TestDocumentLimitsEverything looks for texts and numbers of which the document does not
// say what they may be, and for null, which no value ever is.
func TestDocumentLimitsEverything(t *testing.T) {
	t.Parallel()
	var doc struct {
		Servers, Tags []any
		Paths         map[string]map[string]struct {
			Tags       []string
			Parameters []struct {
				Name     string
				Required bool
				Schema   map[string]any
			}
			RequestBody struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(fetch(t, newUnconnected(t), "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Servers) == 0 || len(doc.Tags) == 0 {
		t.Error("no servers, or no tags")
	}
	limited := func(place string, s map[string]any, asked bool) {
		_, ref := s["$ref"]
		has := func(keywords ...string) bool {
			return slices.ContainsFunc(keywords, func(k string) bool { return s[k] != nil })
		}
		switch kind := s["type"]; {
		case ref || kind == "boolean":
		case kind == "string" && (has("pattern", "enum", "format", "maxLength") || !asked && has("minLength")):
		case kind == "integer" && (has("minimum") && has("maximum") || !asked && has("minimum", "maximum")):
		case kind == "array" && has("items"), kind == "object" && (has("properties") || has("propertyNames") && has("maxProperties")):
		default:
			t.Errorf("%s is not limited: %v", place, s)
		}
	}
	asked := map[string]bool{}
	for path, routes := range doc.Paths {
		for method, r := range routes {
			if len(r.Tags) != 1 || !slices.ContainsFunc(doc.Tags, func(tag any) bool { return tag.(map[string]any)["name"] == r.Tags[0] }) {
				t.Errorf("%s %s has the tags %v", method, path, r.Tags)
			}
			for _, p := range r.Parameters {
				if p.Name != "Prefer" && p.Name != "offset" { // an odd preference counts as absent, and an offset has no end
					limited(method+" "+path+" "+p.Name, p.Schema, true)
				}
				if p.Name == "Idempotency-Key" && p.Required != keyRequired.MatchString(path) {
					t.Errorf("%s %s: required is %v of its key", method, path, p.Required)
				}
			}
			for _, c := range r.RequestBody.Content {
				asked[strings.TrimPrefix(c.Schema["$ref"].(string), schemaPrefix)] = true
			}
		}
	}
	for name, s := range doc.Components.Schemas {
		limited(name, s, asked[name])
		for field, p := range s["properties"].(map[string]any) {
			limited(name+"."+field, p.(map[string]any), asked[name])
		}
	}
}

// keyRequired are the paths under which a request has no other identity than its key.
var keyRequired = regexp.MustCompile("/(top-ups|withdrawals|refunds|holds|captures|releases)$")

// TestSchemaNamesDoNotCollide with what oapi-codegen and openapi-python-client name
// in the clients that they make.
func TestSchemaNamesDoNotCollide(t *testing.T) {
	t.Parallel()
	var doc openAPI
	if err := json.Unmarshal(fetch(t, newUnconnected(t), "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	taken := regexp.MustCompile(`^(New.*|.*(Params|Response|RequestBody|Request)|(Authenticated)?Client|Client(Option|Interface|WithResponses.*)|RequestEditorFn|HttpRequestDoer|Response|Unset|File)$`)
	for name := range doc.Schemas.Schemas {
		if taken.MatchString(name) {
			t.Errorf("the schema %s has a name that generated clients use", name)
		}
	}
}
