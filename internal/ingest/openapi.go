package ingest

import (
	"encoding/json"
	"fmt"
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
		"A field without a value is left out, never null, in requests and in answers. Amounts are integers in minor units. Times are RFC 3339 in UTC."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Components.Schemas = huma.NewMapRegistry(schemaPrefix, func(t reflect.Type, hint string) string {
		return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Body")
	})
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

// operation describes the route.
func (rt route) operation(schemas huma.Registry) huma.Operation {
	roles := make([]string, 0, len(rt.roles))
	for _, r := range rt.roles {
		roles = append(roles, string(r))
	}
	return huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Summary: rt.summary,
		Description:      rt.description + " For keys of the role " + strings.Join(roles, ", ") + ".",
		Security:         []map[string][]string{{"apiKey": {}}},
		DefaultStatus:    rt.status,
		SkipValidateBody: true,
		MaxBodyBytes:     maxBodyBytes + 1,
		Responses:        rt.problems(schemas),
	}
}

// problems describes the answers that are not a success.
func (rt route) problems(schemas huma.Registry) map[string]*huma.Response {
	codes := []Code{CodeMalformedRequest, CodeUnauthenticated, CodeForbidden, CodeInvalidRequest, CodeRateLimited, CodeInternal, CodeDatabaseUnavailable, CodeOverloaded}
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
			Content: map[string]*huma.MediaType{
				problemType: {Schema: schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")},
			},
		}
	}
	return responses
}

// bodySchema describes a body. The limits are those of the rules; the decoder
// and the rules enforce them, not the schema.
func (s *Server) bodySchema(body reflect.Type) *huma.Schema {
	schemas := s.api.OpenAPI().Components.Schemas
	ref := schemas.Schema(body, true, "")
	for name, p := range schemas.SchemaFromRef(ref.Ref).Properties {
		switch name {
		case "amount":
			p.Minimum, p.Maximum = ptr(1.0), ptr(float64(ledger.MaxAmount))
		case "currency":
			p.Pattern = "^[A-Z]{3}$"
		case "invoice":
			p.MaxLength = ptr(ledger.MaxInvoiceLength)
		case "description":
			p.MaxLength = ptr(ledger.MaxDescriptionLength)
		case "note":
			p.MaxLength = ptr(ledger.MaxNoteLength)
		case "metadata":
			p.MaxProperties = ptr(ledger.MaxMetadataEntries)
			p.AdditionalProperties = &huma.Schema{Type: huma.TypeString, MaxLength: ptr(ledger.MaxMetadataValueLength)}
		case "name":
			p.MinLength, p.MaxLength = ptr(1), ptr(ledger.MaxNameLength)
		}
	}
	return ref
}

func ptr[T any](v T) *T { return &v }

// publish completes the document and serves it.
func (s *Server) publish(r chi.Router) error {
	doc := s.api.OpenAPI()
	s.secondSuccess(doc)
	// Huma describes errors of its own; transform lets none of them out.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	requests := map[string]bool{}
	for _, path := range doc.Paths {
		if path.Post != nil && path.Post.RequestBody != nil {
			ref := path.Post.RequestBody.Content["application/json"].Schema.Ref
			requests[strings.TrimPrefix(ref, schemaPrefix)] = true
		}
	}
	for name, schema := range doc.Components.Schemas.Map() {
		if !requests[name] {
			// Answers may grow; a client must not refuse what it does not know.
			schema.AdditionalProperties = nil
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

// secondSuccess describes the 200 of routes whose first success is another
// status: the same body, when the outcome is already there.
func (s *Server) secondSuccess(doc *huma.OpenAPI) {
	for _, path := range doc.Paths {
		if op := path.Post; op != nil && op.DefaultStatus != http.StatusOK {
			first := op.Responses[strconv.Itoa(op.DefaultStatus)]
			op.Responses["200"] = &huma.Response{
				Description: "OK: already there, or in time for Prefer: wait", Headers: first.Headers, Content: first.Content,
			}
		}
	}
}
