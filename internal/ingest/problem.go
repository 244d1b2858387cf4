package ingest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// Code says what kind of problem kept a request from starting. Codes are shown
// to clients: add new ones, never rename or reuse one.
type Code string

// The codes.
const (
	CodeMalformedRequest     Code = "malformed_request"
	CodeMalformedJSON        Code = "malformed_json"
	CodeFilterRequired       Code = "filter_required"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeForbidden            Code = "forbidden"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeRequestTimeout       Code = "request_timeout"
	CodeBodyTooLarge         Code = "body_too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeInvalidRequest       Code = "invalid_request"
	CodeKeyReused            Code = "idempotency_key_reused"
	CodeKeyEnded             Code = "api_key_ended"
	CodeRateLimited          Code = "rate_limited"
	CodeInternal             Code = "internal_error"
	CodeQueueUnavailable     Code = "queue_unavailable"
	CodeDatabaseUnavailable  Code = "database_unavailable"
	CodeDraining             Code = "draining"
	CodeOverloaded           Code = "overloaded"
	CodeReadsBusy            Code = "reads_busy"
	CodeExpectationFailed    Code = "expectation_failed"
	CodeHeaderTooLarge       Code = "header_too_large"
	CodeUnsupportedCoding    Code = "unsupported_transfer_coding"
	CodeUnsupportedVersion   Code = "unsupported_http_version"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		CodeMalformedRequest, CodeMalformedJSON, CodeFilterRequired, CodeUnauthenticated, CodeForbidden, CodeNotFound,
		CodeMethodNotAllowed, CodeRequestTimeout, CodeBodyTooLarge, CodeUnsupportedMediaType, CodeInvalidRequest,
		CodeKeyReused, CodeKeyEnded, CodeRateLimited, CodeInternal, CodeQueueUnavailable, CodeDatabaseUnavailable, CodeDraining, CodeOverloaded, CodeReadsBusy,
		CodeExpectationFailed, CodeHeaderTooLarge, CodeUnsupportedCoding, CodeUnsupportedVersion,
	}
}

// Status is the HTTP status that goes with the code.
func (c Code) Status() int {
	status, _ := c.explain()
	return status
}

// Title is the code as a few words for people. It never changes with the
// occasion.
func (c Code) Title() string {
	_, title := c.explain()
	return title
}

// retryable reports whether the same request may succeed later.
func (c Code) retryable() bool {
	return c.Status() == http.StatusServiceUnavailable || c == CodeRequestTimeout || c == CodeRateLimited
}

func (c Code) explain() (int, string) {
	switch c {
	case CodeMalformedRequest:
		return http.StatusBadRequest, "The request is malformed"
	case CodeMalformedJSON:
		return http.StatusBadRequest, "The body is not JSON"
	case CodeFilterRequired:
		return http.StatusBadRequest, "The list needs a filter"
	case CodeUnauthenticated:
		return http.StatusUnauthorized, "The request needs a valid API key"
	case CodeForbidden:
		return http.StatusForbidden, "The API key's role may not do this"
	case CodeNotFound:
		return http.StatusNotFound, "There is no such thing"
	case CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed, "The path does not know the method"
	case CodeRequestTimeout:
		return http.StatusRequestTimeout, "The request took too long to arrive"
	case CodeBodyTooLarge:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	case CodeUnsupportedMediaType:
		return http.StatusUnsupportedMediaType, "The body must be JSON"
	case CodeInvalidRequest:
		return http.StatusUnprocessableEntity, "The request is not valid"
	case CodeKeyReused:
		return http.StatusUnprocessableEntity, "The idempotency key belongs to another request"
	case CodeKeyEnded:
		return http.StatusConflict, "The API key is good no more"
	case CodeRateLimited:
		return http.StatusTooManyRequests, "The caller sends too much"
	case CodeQueueUnavailable:
		return http.StatusServiceUnavailable, "The queue cannot be reached"
	case CodeDatabaseUnavailable:
		return http.StatusServiceUnavailable, "The database cannot be reached"
	case CodeDraining:
		return http.StatusServiceUnavailable, "The service is stopping"
	case CodeOverloaded:
		return http.StatusServiceUnavailable, "The service has more requests than it can carry"
	case CodeReadsBusy:
		return http.StatusServiceUnavailable, "The service has more reads than it can carry"
	case CodeExpectationFailed:
		return http.StatusExpectationFailed, "What the request expects cannot be met"
	case CodeHeaderTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge, "The header is too large"
	case CodeUnsupportedCoding:
		return http.StatusNotImplemented, "The transfer coding is not known"
	case CodeUnsupportedVersion:
		return http.StatusHTTPVersionNotSupported, "The version of HTTP is not known"
	case CodeInternal:
	}
	return http.StatusInternalServerError, "Something went wrong"
}

// Fault is one thing wrong with a request, and its place. It never holds the
// value at fault.
type Fault struct {
	Location string `json:"location" doc:"Where the fault is: body, query, path or header, and the name of the field." example:"body.amount"`
	Message  string `json:"message" doc:"What is wrong there." example:"must be from 1 to 9007199254740991 minor units"`
}

// addFault adds a fault, unless there is one at the place already: who found that
// one knows better, since to everybody after it the field is only empty.
func addFault(faults []Fault, place, message string) []Fault {
	for _, f := range faults {
		if f.Location == place {
			return faults
		}
	}
	return append(faults, Fault{Location: place, Message: message})
}

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	Type      string  `json:"type" format:"uri" doc:"The code as a URI." example:"urn:monedero:problem:invalid_request"`
	Title     string  `json:"title" doc:"The code as a few words for people." example:"The request is not valid"`
	Status    int     `json:"status" doc:"The HTTP status." example:"422"`
	Detail    string  `json:"detail" doc:"What to know about this occasion." example:"1 fault in the request"`
	Code      Code    `json:"code" doc:"What kind of problem it is: a closed set, for machines." example:"invalid_request"`
	RequestID string  `json:"request_id" doc:"The ID under which the service's log speaks of this request." example:"req_4f2a9c0d1e8b7a65"`
	Retryable bool    `json:"retryable" doc:"Whether the same request, under the same idempotency key, may succeed later." example:"false"`
	Errors    []Fault `json:"errors,omitempty" doc:"Every fault in the request, with its place." example:"[{\"location\":\"body.amount\",\"message\":\"must be from 1 to 9007199254740991 minor units\"}]"`
	headers   http.Header
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus tells huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders tells huma the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType tells huma that the body is a problem.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// refusal is an error that already knows its code.
type refusal struct {
	code    Code
	detail  string
	faults  []Fault
	headers http.Header
}

func (r *refusal) Error() string { return string(r.code) + ": " + r.detail }

// refuse makes the error that is answered with the code.
func refuse(c Code, detail string) *refusal { return &refusal{code: c, detail: detail} }

// invalid makes the error that lists faults; nil if there are none.
func invalid(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &refusal{code: CodeInvalidRequest, detail: "the request has faults; errors lists them", faults: faults}
}

func (r *refusal) problem(requestID string) *Problem {
	p := &Problem{
		Type: "urn:monedero:problem:" + string(r.code), Title: r.code.Title(), Status: r.code.Status(), Detail: r.detail,
		Code: r.code, RequestID: requestID, Retryable: r.code.retryable(), Errors: r.faults, headers: r.headers,
	}
	if p.headers == nil {
		p.headers = http.Header{}
	}
	if p.Retryable {
		p.headers.Set("Retry-After", retryAfter)
	}
	if p.Code == CodeUnauthenticated {
		p.headers.Set("WWW-Authenticate", `Bearer realm="monedero"`)
	}
	return p
}

// text is the problem as the answer on a connection on which no handler answers, and
// which is closed then.
func (p *Problem) text() []byte {
	body, err := json.Marshal(p)
	if err != nil {
		panic("a problem did not encode: " + err.Error()) // cannot happen
	}
	keepToCaller(p.headers)
	p.headers.Set("Content-Type", problemType)
	p.headers.Set(requestIDHeader, p.RequestID)
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Header: p.headers, Close: true,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var text bytes.Buffer
	_ = answer.Write(&text) // into memory it does not fail
	return text.Bytes()
}

// write sends the problem where huma does not.
func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone; there is nobody left to tell
}

// transform turns what huma itself refuses into a problem of ours. Huma's errors
// hold the value at fault: it is left behind.
func transform(ctx huma.Context, _ string, body any) (any, error) {
	model, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	r := refuse(codeOf(model.Status), "the request has faults; errors lists them")
	for _, e := range model.Errors {
		r.faults = append(r.faults, Fault{Location: safePlace(e.Location), Message: e.Message})
	}
	if r.code == CodeInternal {
		r.faults, r.detail = nil, "the service failed"
	} else if len(r.faults) == 0 {
		r.detail = model.Detail
	}
	p := r.problem(requestID(ctx.Context()))
	for name := range p.headers {
		ctx.SetHeader(name, p.headers.Get(name))
	}
	return p, nil
}

// codeOf is the code of a status that huma chose.
func codeOf(status int) Code {
	switch status {
	case http.StatusBadRequest:
		return CodeMalformedRequest
	case http.StatusRequestTimeout:
		return CodeRequestTimeout
	case http.StatusRequestEntityTooLarge:
		return CodeBodyTooLarge
	case http.StatusUnsupportedMediaType:
		return CodeUnsupportedMediaType
	case http.StatusUnprocessableEntity:
		return CodeInvalidRequest
	}
	return CodeInternal
}

// maxPlace bounds the name of a field that the caller made up, in characters.
const maxPlace = 64

// safePlace is the place, cut before a name that may not be shown as it is.
func safePlace(place string) string {
	if utf8.ValidString(place) && utf8.RuneCountInString(place) <= maxPlace && strings.IndexFunc(place, unicode.IsControl) < 0 {
		return place
	}
	parent, _, _ := strings.Cut(place, ".")
	return parent
}
