package ingest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/monedero/monedero/internal/ledger"
)

const schemaPrefix = "#/components/schemas/"

func apiConfig() huma.Config {
	config := huma.DefaultConfig("Monedero", "1.0.0")
	config.Info.Description = "Monedero takes charges against prepaid wallets, answers at once, decides them in order and shows what became of each. " +
		"A declined charge is an operation with the status failed and its reason; a request that cannot start is a problem (RFC 9457). " +
		"A field without a value is left out, never null, in requests and in answers. HEAD goes where GET goes. Amounts are integers in minor units. Times are RFC 3339 in UTC."
	config.Servers = []*huma.Server{{URL: "/", Description: "The ingest that serves this document."}}
	config.Tags = []*huma.Tag{
		{Name: "wallets", Description: "Prepaid money, and what is asked of it."},
		{Name: "charges", Description: "Many charges at once."},
		{Name: "operations", Description: "What was asked of wallets and what came of it."},
		{Name: "clients", Description: "Who owns wallets."},
		{Name: "merchants", Description: "Who charges wallets."},
		{Name: "api-keys", Description: "Who may ask."},
		{Name: "audit", Description: "Who did what."},
	}
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Components.Schemas = huma.NewMapRegistry(schemaPrefix, schemaName)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"apiKey": {Type: "http", Scheme: "bearer", Description: "An API key: mon_{role}_{key id}_{secret and checksum}."},
	}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // they would put $schema into every answer
	// Huma looks problems up under what follows the plus in their type.
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{transform}
	return config
}

// schemaName names the schema of a body. Clients that are made from the document
// have a type Client and functions New... of their own: no schema is named like those.
func schemaName(t reflect.Type, hint string) string {
	name := strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Body")
	if rest, creation := strings.CutPrefix(name, "New"); creation {
		return rest + "Creation"
	}
	if name == "Client" {
		return "ClientDetails"
	}
	return name
}

// schemaWithEmbedded describes a body with the fields of the structs that are embedded in it, which huma passes over
// where these are not exported.
func schemaWithEmbedded(schemas huma.Registry, body reflect.Type) *huma.Schema {
	ref := schemas.Schema(body, true, "")
	whole := schemas.SchemaFromRef(ref.Ref)
	for i := range body.NumField() {
		if f := body.Field(i); f.Anonymous {
			part := schemas.SchemaFromRef(schemas.Schema(f.Type, true, "").Ref)
			maps.Copy(whole.Properties, part.Properties)
			whole.Required = append(whole.Required, part.Required...)
		}
	}
	return ref
}

// operation describes the route.
func (rt route) operation(schemas huma.Registry) huma.Operation {
	var roles []string
	for _, r := range ledger.PermissionFor(rt.id).Roles() {
		roles = append(roles, string(r))
	}
	return huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Summary: rt.summary,
		Description:      rt.description + " For keys of the role " + strings.Join(roles, ", ") + ".",
		Tags:             []string{strings.Split(rt.path, "/")[2]},
		Security:         []map[string][]string{{"apiKey": {}}},
		DefaultStatus:    rt.status,
		SkipValidateBody: true,
		MaxBodyBytes:     maxBodyBytes + 1,
		Responses:        rt.problems(schemas),
	}
}

// problems describes the answers that are not a success.
func (rt route) problems(schemas huma.Registry) map[string]*huma.Response {
	codes := []Code{
		CodeMalformedRequest, CodeUnauthenticated, CodeForbidden, CodeMethodNotAllowed, CodeInvalidRequest, CodeRateLimited,
		CodeInternal, CodeDatabaseUnavailable, CodeOverloaded,
		CodeExpectationFailed, CodeHeaderTooLarge, CodeUnsupportedCoding, CodeUnsupportedVersion, // what no handler sees
	}
	if rt.method == http.MethodGet || rt.status == http.StatusCreated {
		codes = append(codes, CodeReadsBusy)
	}
	if rt.body != nil {
		codes = append(codes, CodeMalformedJSON, CodeRequestTimeout, CodeBodyTooLarge, CodeUnsupportedMediaType)
	}
	codes = append(codes, rt.codes...)
	byStatus := map[int][]string{}
	for _, c := range codes {
		byStatus[c.Status()] = append(byStatus[c.Status()], string(c))
	}
	responses := map[string]*huma.Response{}
	for status, names := range byStatus {
		slices.Sort(names)
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status) + ": " + strings.Join(names, ", "),
			Headers:     problemHeaders(status),
			Content: map[string]*huma.MediaType{
				problemType: {Schema: schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")},
			},
		}
	}
	return responses
}

// complete corrects what huma says of the route: the limits of its parameters, and which
// headers belong to which answer.
func (rt route) complete(op *huma.Operation) {
	for _, p := range op.Parameters {
		documented := *p.Schema // huma validates by the other one, and would answer in its own words
		limit(p.Name, &documented, true)
		p.Schema = &documented
		p.Required = p.Required || rt.keyRequired && p.Name == "Idempotency-Key"
	}
	success := op.Responses[strconv.Itoa(rt.status)]
	switch {
	case rt.status != http.StatusOK:
		op.Responses["200"] = &huma.Response{
			Description: "OK: already there, or in time for Prefer: wait",
			Headers:     only(success.Headers, "Preference-Applied", "Idempotent-Replayed"), Content: success.Content,
		}
		success.Headers = only(success.Headers, "Location", "Retry-After", "Preference-Applied")
		for name, h := range success.Headers {
			h.Required = name != "Preference-Applied"
		}
	case rt.method == http.MethodGet:
		success.Headers = only(success.Headers, "Retry-After", "Preference-Applied", "Link")
	}
	for _, answer := range op.Responses {
		if answer.Headers == nil {
			answer.Headers = map[string]*huma.Param{}
		}
		answer.Headers[requestIDHeader] = always("The request's ID: the caller's, or a new one.", "req_4f2a9c0d1e8b7a65")
	}
}

// only copies the headers of the names.
func only(headers map[string]*huma.Param, names ...string) map[string]*huma.Param {
	some := map[string]*huma.Param{}
	for name, h := range headers {
		if slices.Contains(names, name) {
			copied := *h
			some[name] = &copied
		}
	}
	return some
}

// problemHeaders are the headers of a problem of the status.
func problemHeaders(status int) map[string]*huma.Param {
	switch status {
	case http.StatusUnauthorized:
		return map[string]*huma.Param{"WWW-Authenticate": always("How to send a key.", `Bearer realm="monedero"`)}
	case http.StatusMethodNotAllowed:
		return map[string]*huma.Param{"Allow": always("The methods that the path knows.", "GET, HEAD")}
	case http.StatusUnsupportedMediaType:
		coding := always("Where the Content-Encoding is refused: the one that is not (RFC 7694).", "identity")
		coding.Required = false
		return map[string]*huma.Param{"Accept-Encoding": coding}
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return map[string]*huma.Param{"Retry-After": always("Seconds after which to send again.", retryAfter)}
	}
	return nil
}

// always describes a header that its answers never lack.
func always(doc, example string) *huma.Param {
	return &huma.Header{Description: doc, Required: true, Schema: &huma.Schema{
		Type: huma.TypeString, Description: doc, Examples: []any{example}, MinLength: ptr(1),
	}}
}

// publish completes the document and serves it.
func (s *Server) publish(r chi.Router) error {
	doc := s.api.OpenAPI()
	// Huma describes errors of its own; transform lets none of them out.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	requests := map[string]bool{}
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Post, path.Put} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Content {
				requests[strings.TrimPrefix(content.Schema.Ref, schemaPrefix)] = true
			}
		}
	}
	for name, schema := range doc.Components.Schemas.Map() {
		if !requests[name] {
			// Answers may grow; a client must not refuse what it does not know.
			schema.AdditionalProperties = nil
		}
		for field, p := range schema.Properties {
			limit(field, p, requests[name])
		}
		if name == schemaName(reflect.TypeFor[newKeyBody](), "") {
			schema.Extensions = keyOwners()
		}
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("write OpenAPI as JSON: %w", err)
	}
	asYAML, err := doc.YAML()
	if err != nil {
		return fmt.Errorf("write OpenAPI as YAML: %w", err)
	}
	serve := func(kind string, text []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(text)
		}
	}
	r.Get("/openapi.json", serve("application/vnd.oai.openapi+json", asJSON))
	r.Get("/openapi.yaml", serve("application/vnd.oai.openapi", asYAML))
	return nil
}
