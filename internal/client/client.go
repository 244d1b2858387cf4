package client

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

// Client calls the API at one address, under whatever API key each call names.
// It is safe for concurrent use.
type Client struct {
	base string // http://host:port
	http *http.Client
}

// New makes a client of the API at base, such as http://127.0.0.1:8080. It keeps
// so many connections open when they are idle, and opens more where more
// requests are in flight. Close ends it.
func New(base string, connections int) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// Close closes the idle connections. Requests in flight are not affected.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base is the address that the client was made with.
func (c *Client) Base() string { return c.base }

// Call is one request.
type Call struct {
	Method, Path   string
	Key            string // the API key; empty: none
	IdempotencyKey string // empty: none
	Prefer         string // empty: none
	Body           any    // sent as JSON; nil: none
}

// Answer is the API's answer, whatever its status. Of a body longer than 1 MiB
// it holds the beginning.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem is an RFC 9457 body.
type Problem struct {
	Code   string  `json:"code"`
	Detail string  `json:"detail"`
	Errors []Fault `json:"errors"`
}

// Fault is one thing wrong with a request, and its place.
type Fault struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Do sends the request, and sends it again while the answer is 503, after a pause
// that grows: that is what the API asks its clients to do, and the idempotency
// key makes it safe. After eight attempts the 503 is the answer. An error means
// that no whole answer came; whether the request had an effect is unknown then.
func (c *Client) Do(ctx context.Context, r Call) (Answer, error) {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		a, err := c.Once(ctx, r)
		if err != nil || a.Status != http.StatusServiceUnavailable || attempt == maxAttempts {
			return a, err
		}
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// Once sends the request once, whatever the answer. One that is in hand when ctx
// ends gets 2 s to be answered: what is broken off looks like trouble to the
// services. No request takes longer than 40 s.
func (c *Client) Once(ctx context.Context, r Call) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	ctx, cancel := linger(ctx)
	defer cancel()
	var body io.Reader
	switch {
	case r.Body != nil:
		text, err := json.Marshal(r.Body)
		if err != nil {
			return Answer{}, fmt.Errorf("encode the body of %s %s: %w", r.Method, r.Path, err)
		}
		body = bytes.NewReader(text)
	case r.Method != http.MethodGet:
		body = io.MultiReader() // empty, and not to be read again
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, body)
	if err != nil {
		return Answer{}, err
	}
	// With a body to read again, or none, and an idempotency key, the transport would send
	// the request a second time when the connection breaks, and say nothing.
	req.GetBody = nil
	header := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if r.Key != "" {
		header("Authorization", "Bearer "+r.Key)
	}
	if r.Body != nil {
		header("Content-Type", "application/json")
	}
	header("Idempotency-Key", r.IdempotencyKey)
	header("Prefer", r.Prefer)
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// linger is a context that ends a while after ctx does.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return work, func() { stop(); cancel() }
}

// Expect does what Do does and decodes an answer of one of the statuses into
// out; every other answer is an error.
func (c *Client) Expect(ctx context.Context, r Call, out any, statuses ...int) error {
	a, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	if !slices.Contains(statuses, a.Status) {
		return fmt.Errorf("%s %s: %w", r.Method, r.Path, a.Err())
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("decode the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return nil
}

// Problem is the answer's problem; zero if it holds none.
func (a Answer) Problem() Problem {
	var p Problem
	if json.Unmarshal(a.Body, &p) != nil {
		return Problem{}
	}
	return p
}

// Err says what the API refused, with every fault that it named. It is never
// nil: ask only where the status is not the one that was wanted.
func (a Answer) Err() error {
	p := a.Problem()
	text := fmt.Sprintf("answered %d %s %s", a.Status, p.Code, p.Detail)
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return errors.New(text)
}
