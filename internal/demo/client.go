package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// The limits of one request to the API.
const (
	requestTimeout = 40 * time.Second // longer than the API's longest wait, 30 s
	maxAttempts    = 8                // of a request that is answered 503
	firstBackoff   = 50 * time.Millisecond
	maxBackoff     = 2 * time.Second
	maxAnswerBytes = 1 << 20
	grace          = 2 * time.Second // for a request in hand, when its context ends
)

// client calls the HTTP API as anybody's client would: it knows the documented
// bodies and nothing else. It is safe for concurrent use.
type client struct {
	base string // http://host:port
	http *http.Client
}

func newClient(base string, callers int) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: callers, MaxIdleConns: callers}
	return &client{base: base, http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	Method, Path   string
	Key            string // the API key
	IdempotencyKey string // empty: none
	Prefer         string // empty: none
	Body           any    // nil: none
}

// answer is the API's answer, whatever its status.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// operation is an operation as the API shows it. What a pending one does not
// say is zero.
type operation struct {
	ID                  string   `json:"id"`
	Status              string   `json:"status"`
	Amount              int64    `json:"amount"`
	Currency            string   `json:"currency"`
	Invoice             string   `json:"invoice"`
	Failure             *failure `json:"failure"`
	ConflictingRequests int      `json:"conflicting_requests"`
}

type failure struct {
	Reason      string `json:"reason"`
	DuplicateOf string `json:"duplicate_of"`
}

// problem is an RFC 9457 body.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// do sends the request, and sends it again while the answer is 503: that is
// what the API asks its clients to do, and the idempotency key makes it safe.
func (c *client) do(ctx context.Context, r call) (answer, error) {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, r)
		if err != nil || a.Status != http.StatusServiceUnavailable || attempt == maxAttempts {
			return a, err
		}
		select {
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once sends the request once. One that is in hand when ctx ends gets some grace
// to be answered: what is broken off looks like trouble to the services.
func (c *client) once(ctx context.Context, r call) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	ctx, cancel := linger(ctx)
	defer cancel()
	var body io.Reader
	if r.Body != nil {
		text, err := json.Marshal(r.Body)
		if err != nil {
			return answer{}, fmt.Errorf("encode the body of %s %s: %w", r.Method, r.Path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, body)
	if err != nil {
		return answer{}, err
	}
	header := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if r.Key != "" {
		header("Authorization", "Bearer "+r.Key)
	}
	if body != nil {
		header("Content-Type", "application/json")
	}
	header("Idempotency-Key", r.IdempotencyKey)
	header("Prefer", r.Prefer)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// linger is a context that ends a while after ctx does.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return work, func() { stop(); cancel() }
}

// expect sends the request and decodes an answer of one of the statuses into
// out; every other answer is an error.
func (c *client) expect(ctx context.Context, r call, out any, statuses ...int) error {
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if !slices.Contains(statuses, a.Status) {
		return fmt.Errorf("%s %s: %w", r.Method, r.Path, a.err())
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("decode the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return nil
}

// problem is the answer's problem; zero if it holds none.
func (a answer) problem() problem {
	var p problem
	if json.Unmarshal(a.Body, &p) != nil {
		return problem{}
	}
	return p
}

// err says what the API refused.
func (a answer) err() error {
	p := a.problem()
	text := fmt.Sprintf("answered %d %s %s", a.Status, p.Code, p.Detail)
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return errors.New(text)
}
