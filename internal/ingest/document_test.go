package ingest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// document is what the API says of itself.
type document struct {
	Paths      map[string]map[string]documentedRoute `json:"paths"`
	Components struct {
		Schemas map[string]documentedSchema `json:"schemas"`
	} `json:"components"`
}

type documentedRoute struct {
	OperationID string                      `json:"operationId"`
	Responses   map[string]documentedAnswer `json:"responses"`
}

type documentedAnswer struct {
	Description string                                       `json:"description"`
	Headers     map[string]struct{ Required bool }           `json:"headers"`
	Content     map[string]struct{ Schema documentedSchema } `json:"content"`
}

type documentedSchema struct {
	Ref                  string                      `json:"$ref"`
	Type                 string                      `json:"type"`
	Properties           map[string]documentedSchema `json:"properties"`
	AdditionalProperties *documentedSchema           `json:"additionalProperties"`
	Required             []string                    `json:"required"`
	Items                *documentedSchema           `json:"items"`
	OneOf                []documentedSchema          `json:"oneOf"`
	Enum                 []any                       `json:"enum"`
	Pattern              string                      `json:"pattern"`
	MinLength            int                         `json:"minLength"`
	MaxLength            *int                        `json:"maxLength"`
	Minimum              *float64                    `json:"minimum"`
	Maximum              *float64                    `json:"maximum"`
}

// nothing is behind a server that only shows its document.
type nothing struct {
	ingest.Queue
	ingest.History
	ingest.Accounts
	ingest.Registry
	ingest.Direct
	ingest.DryRuns
}

var published = sync.OnceValue(func() (doc document) {
	minter, err := ledger.NewMinter([]byte(testSecret))
	if err != nil {
		panic(err)
	}
	s, err := ingest.New(ingest.Options{
		Queue: nothing{}, History: nothing{}, Accounts: nothing{}, Registry: nothing{}, Direct: nothing{}, DryRuns: nothing{}, Minter: minter, Partitions: partitions,
	})
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	// Where a request takes no other fields, that is "false": no schema.
	text := strings.ReplaceAll(w.Body.String(), `"additionalProperties":false,`, "")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		panic(err)
	}
	return doc
})

// asDocumented is what the document does not know of the answer; nil where it knows it all. It looks
// at status, code, headers and body of every answer that a test gets from a documented path.
func asDocumented(method, path string, got answer) (unknown []string) {
	say := func(format string, args ...any) { unknown = append(unknown, fmt.Sprintf(format, args...)) }
	doc := published()
	route, ok := doc.route(method, path)
	if !ok {
		return nil
	}
	want, ok := route.Responses[strconv.Itoa(got.status)]
	if !ok {
		say("the status %d", got.status)
		return unknown
	}
	for _, name := range []string{
		"Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed", "WWW-Authenticate", "Allow", "Accept-Encoding", "X-Request-Id", "Link",
	} {
		h, documented := want.Headers[name]
		switch sent := got.header.Get(name) != ""; {
		case sent && !documented:
			say("the header %s of a %d", name, got.status)
		case !sent && h.Required:
			say("a %d without the header %s", got.status, name)
		}
	}
	kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	content, ok := want.Content[kind]
	if !ok {
		say("the type %s of a %d", got.header.Get("Content-Type"), got.status)
	}
	if method == http.MethodHead || kind == "text/csv" {
		return unknown
	}
	if code := got.text("code"); got.status >= http.StatusBadRequest && !slices.Contains(regexp.MustCompile(`\w+`).FindAllString(want.Description, -1), code) {
		say("the code %s of a %d", code, got.status)
	}
	dec := json.NewDecoder(strings.NewReader(got.body))
	dec.UseNumber()
	for values := 0; ; values++ {
		var body any
		if err := dec.Decode(&body); errors.Is(err, io.EOF) && (values == 1 || got.header.Get("Content-Type") == lines) {
			return unknown
		} else if err != nil {
			say("a body that is not JSON: %v", err)
			return unknown
		}
		doc.compare("body", content.Schema, body, say)
	}
}

// route is the documented one of the path; for a method that the path does not know,
// any of the path's.
func (d document) route(method, path string) (any documentedRoute, known bool) {
	path, _, _ = strings.Cut(path, "?")
	for template, routes := range d.Paths {
		if !regexp.MustCompile("^" + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(template, "[^/]+") + "$").MatchString(path) {
			continue
		}
		if r, ok := routes[strings.ToLower(strings.Replace(method, http.MethodHead, http.MethodGet, 1))]; ok {
			return r, true
		}
		for _, r := range routes {
			any, known = r, true
		}
	}
	return any, known
}

// resolved is the schema that a reference names.
func (d document) resolved(s documentedSchema) documentedSchema {
	if s.Ref != "" {
		return d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// compare says where a value is not what the schema describes.
func (d document) compare(place string, s documentedSchema, value any, say func(string, ...any)) {
	s = d.resolved(s)
	if object, ok := value.(map[string]any); ok {
		for _, one := range s.OneOf {
			if one = d.resolved(one); slices.Contains(one.Properties["object"].Enum, object["object"]) {
				s = one
			}
		}
	}
	kind := ""
	switch v := value.(type) {
	case map[string]any:
		kind = "object"
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				say("%s without %s", place, name)
			}
		}
		for name, member := range v {
			p, ok := s.Properties[name]
			switch {
			case ok:
				d.compare(place+"."+name, p, member, say)
			case s.AdditionalProperties != nil:
				d.compare(place+"."+name, *s.AdditionalProperties, member, say)
			default:
				say("%s.%s", place, name)
			}
		}
	case []any:
		kind = "array"
		for i, item := range v {
			d.compare(fmt.Sprintf("%s[%d]", place, i), *s.Items, item, say)
		}
	case string:
		kind = "string"
		n := utf8.RuneCountInString(v)
		if n < s.MinLength || s.MaxLength != nil && n > *s.MaxLength ||
			s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) || s.Enum != nil && !slices.Contains(s.Enum, any(v)) {
			say("%s %q", place, v)
		}
	case json.Number:
		kind = "integer"
		n, err := v.Float64()
		if err != nil || s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum {
			say("%s %s", place, v)
		}
	case bool:
		kind = "boolean"
	}
	if s.Type != kind {
		say("%s of the type %s", place, kind)
	}
}
