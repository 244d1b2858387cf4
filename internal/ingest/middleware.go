package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ledger"
)

// maxBodyBytes bounds a request's body.
const maxBodyBytes = 64 << 10

const requestIDHeader = "X-Request-Id"

var goodRequestID = regexp.MustCompile(`^[A-Za-z0-9._:/=+-]{1,100}$`)

type requestIDKey struct{}

// requestID is the ID under which the log speaks of the request.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// identify gives each request an ID: the caller's, if it can go into a log as
// it is, or a new one. And it keeps every answer out of caches, and browsers from
// guessing what it is.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if id == "" || !goodRequestID.MatchString(id) {
			id = newRequestID()
		}
		keepToCaller(w.Header())
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// keepToCaller sets the headers that every answer has.
func keepToCaller(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func newRequestID() string {
	var entropy [8]byte
	rand.Read(entropy[:])
	return "req_" + hex.EncodeToString(entropy[:])
}

// observe counts and times requests, and answers for a handler that panics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			if cause := recover(); cause != nil {
				if cause == any(http.ErrAbortHandler) {
					panic(cause) // the answer is broken off on purpose
				}
				failed := s.panicked(r.Context(), cause)
				if ww.Status() != 0 {
					// The answer has begun: the caller must not take it for whole.
					panic(http.ErrAbortHandler)
				}
				failed.problem(requestID(r.Context())).write(ww)
			}
			route, took := chi.RouteContext(r.Context()).RoutePattern(), time.Since(start)
			s.metrics.answered(r.Method, route, ww.Status(), took)
			s.tell(r, route, ww.Status(), took)
		}()
		next.ServeHTTP(ww, r)
	})
}

// panicked logs a panic, and is what is answered of it.
func (s *Server) panicked(ctx context.Context, cause any) *refusal {
	s.log.ErrorContext(ctx, "request panicked", "request_id", requestID(ctx), "err", fmt.Sprint(cause), "stack", string(debug.Stack()))
	return refuse(CodeInternal, "the service failed")
}

// tell logs an answer that is no success, under the ID that its caller has seen: what
// the caller did wrong for those who look closely, what we did for everybody. Where they are many,
// one a second stands for the others. Paths, bodies and keys are not for logs.
func (s *Server) tell(r *http.Request, route string, status int, took time.Duration) {
	level, sample := slog.LevelDebug, &s.refusedRequests
	switch {
	case status < http.StatusBadRequest:
		return
	case status >= http.StatusInternalServerError:
		level, sample = slog.LevelInfo, &s.failedRequests
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	if skipped, ok := sample.Next(); ok {
		s.log.LogAttrs(r.Context(), level, "request not served", slog.String("request_id", requestID(r.Context())),
			slog.String("method", r.Method), slog.String("route", route), slog.Int("status", status),
			slog.Float64("seconds", took.Seconds()), slog.Int("skipped", skipped))
	}
}

// patient lifts the deadline for reading from a request that has no body: at the
// deadline the server would take a caller who waits for an outcome to be gone.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == http.NoBody {
			// Not supported only where there is no connection, as in a test.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}
		next.ServeHTTP(w, r)
	})
}

// single lists the headers that would be ambiguous if they came twice, in
// canonical form.
func single() [4]string {
	return [...]string{"Authorization", "Idempotency-Key", "Content-Type", requestIDHeader}
}

type callerKey struct{}

// caller is the API key that the request was sent with.
func caller(ctx context.Context) ledger.Key {
	key, _ := ctx.Value(callerKey{}).(ledger.Key)
	return key
}

// author is who changes master data over the API.
func author(ctx context.Context) ledger.Author {
	return ledger.Author{Asker: caller(ctx).Asker(), RequestID: requestID(ctx)}
}

// authenticate lets pass who has a valid API key of a role that may do it.
func (s *Server) authenticate(to ledger.Permission) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(c)
		if err := errors.Join(checkHeaders(r.Header), checkQuery(r.URL.RawQuery)); err != nil {
			s.problem(c.Context(), err).write(w)
			return
		}
		scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			s.problem(c.Context(), refuse(CodeUnauthenticated, "send Authorization: Bearer and an API key")).write(w)
			return
		}
		key, err := s.keys.Verify(c.Context(), strings.TrimSpace(text))
		if err != nil {
			s.problem(c.Context(), err).write(w)
			return
		}
		if !admission.KeepConnection(c.Context(), key.Party) {
			s.metrics.shed("connection")
			w.Header().Set("Connection", "close")
			s.problem(c.Context(), refuse(CodeOverloaded, "the key's owner has its share of the connections; the request was not taken: send it again, under the same idempotency key")).write(w)
			return
		}
		if refused := s.overRate(key); refused != nil {
			s.problem(c.Context(), refused).write(w)
			return
		}
		if to.Reach(key.Role) == ledger.ReachNone {
			s.problem(c.Context(), refuse(CodeForbidden, "a key of the role "+string(key.Role)+" may not do this")).write(w)
			return
		}
		next(huma.WithValue(c, callerKey{}, key))
	}
}

// overRate counts a request under the key. It returns the refusal where the key's rate does not allow it.
func (s *Server) overRate(key ledger.Key) *refusal {
	if s.rates.Take(key) {
		return nil
	}
	s.metrics.shed("rate")
	return refuse(CodeRateLimited, fmt.Sprintf("the API key may send %d requests a second; this one was not taken", key.Rate))
}

func checkHeaders(h http.Header) error {
	for _, name := range single() {
		if len(h[name]) > 1 {
			return refuse(CodeMalformedRequest, "the header "+name+" must not appear twice")
		}
	}
	if values, sent := h["Idempotency-Key"]; sent && values[0] == "" {
		return invalid([]Fault{{Location: "header.Idempotency-Key", Message: "must not be empty"}})
	}
	// Preferences may be spread over several headers (RFC 7240); huma reads one.
	if values := h["Prefer"]; len(values) > 1 {
		h.Set("Prefer", strings.Join(values, ","))
	}
	return nil
}

// checkQuery refuses what huma would pass over: it reads the first of two values,
// none where the text is broken, and takes an empty one for none: who filters by
// nothing would get everything.
func checkQuery(text string) error {
	if text == "" {
		return nil
	}
	query, err := url.ParseQuery(text)
	if err != nil {
		return refuse(CodeMalformedRequest, "the query is malformed")
	}
	var faults []Fault
	for _, name := range slices.Sorted(maps.Keys(query)) {
		message := ""
		switch values := query[name]; {
		case len(values) > 1:
			message = "must not appear twice"
		case values[0] == "":
			message = "must not be empty: leave it out"
		default:
			continue
		}
		if len(faults) < maxFaults {
			faults = append(faults, Fault{Location: safePlace("query." + name), Message: message})
		}
	}
	return invalid(faults)
}

// readBody reads the body before the handler runs, within the limit of its size;
// the server limits its time.
func (s *Server) readBody(c huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(c)
	controller := http.NewResponseController(w)
	arriving := s.arrivals.Begin(caller(c.Context()).Party, func() {
		_ = controller.SetReadDeadline(time.Unix(1, 0)) // not supported only where there is no connection
	})
	body, err := readAll(w, r)
	s.arrivals.End(arriving)
	if err == nil {
		// A deadline left behind would end a request that waits for its outcome.
		if err = controller.SetReadDeadline(time.Time{}); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	if err != nil {
		s.problem(c.Context(), err).write(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(c)
}

const jsonType = "application/json"

// isType reports whether the Content-Type is the one that is wanted, and UTF-8, as JSON is (RFC 8259).
func isType(sent, want string) bool {
	if sent == want {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(sent)
	charset, given := parameters["charset"]
	return err == nil && kind == want && (!given || strings.EqualFold(charset, "utf-8"))
}

// checkType refuses a body of another type than is wanted.
func checkType(sent, want string) error {
	if !isType(sent, want) {
		return refuse(CodeUnsupportedMediaType, "send Content-Type: "+want)
	}
	return nil
}

// checkCoding refuses a body in a coding.
func checkCoding(h http.Header) error {
	if coding := h.Values("Content-Encoding"); len(coding) > 0 && !strings.EqualFold(strings.Join(coding, ","), "identity") {
		refused := refuse(CodeUnsupportedMediaType, "send the body as it is, without Content-Encoding")
		refused.headers = http.Header{"Accept-Encoding": {"identity"}} // RFC 7694
		return refused
	}
	return nil
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind := r.Header.Get("Content-Type")
	if kind != "" {
		if err := checkType(kind, jsonType); err != nil {
			return nil, err
		}
	}
	if err := checkCoding(r.Header); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		// Where the next request would begin, nobody can tell, or nobody wants to wait for.
		refused := unreadable(err, maxBodyBytes)
		refused.headers = http.Header{"Connection": {"close"}}
		return nil, refused
	}
	if kind == "" && len(body) > 0 {
		return nil, checkType(kind, jsonType)
	}
	return body, nil
}

// unreadable is why a body of at most so many bytes could not be read.
func unreadable(err error, most int) *refusal {
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return refuse(CodeBodyTooLarge, fmt.Sprintf("the body must not be larger than %d bytes", most))
	case errors.As(err, &network) && network.Timeout():
		return refuse(CodeRequestTimeout, "the body did not arrive in time")
	}
	return refuse(CodeMalformedRequest, "the body did not arrive whole")
}
