package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// api calls the HTTP API under one key. It is safe for concurrent use.
type api struct {
	t    *testing.T
	base string
	key  string
	http *http.Client
}

func newAPI(t *testing.T, base, key string) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	return &api{t: t, base: base, key: key, http: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// as is the same API under another key.
func (a *api) as(key string) *api {
	other := *a
	other.key = key
	return &other
}

// at is the same API of another ingest.
func (a *api) at(base string) *api {
	other := *a
	other.base = base
	return &other
}

// object is what the tests read of any answer.
type object struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Secret  string `json:"secret"`
	Code    string `json:"code"`
	Failure struct {
		Reason string `json:"reason"`
	} `json:"failure"`
	Conflicts    int     `json:"conflicting_requests"`
	Balance      int64   `json:"balance"`
	RecordsAhead *int64  `json:"records_ahead"`
	Holding      holding `json:"holding"`

	Replayed   bool   `json:"-"` // the header Idempotent-Replayed
	RetryAfter string `json:"-"` // the header Retry-After
}

// holding is what became of a hold.
type holding struct {
	State         string    `json:"state"`
	Captured      int64     `json:"captured"`
	Released      int64     `json:"released"`
	Expired       int64     `json:"expired"`
	Remaining     int64     `json:"remaining"`
	CaptureBefore time.Time `json:"capture_before"`
}

// call sends one request; body nil means none.
func (a *api) call(ctx context.Context, method, path string, headers map[string]string, body any) (int, object, error) {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return 0, object{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, &text)
	if err != nil {
		return 0, object{}, err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, object{}, err
	}
	defer resp.Body.Close()
	var o object
	into := any(&o)
	if resp.StatusCode >= http.StatusBadRequest {
		into = &struct { // a problem: its status is a number
			Code *string `json:"code"`
		}{&o.Code}
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return resp.StatusCode, object{}, fmt.Errorf("decode the answer to %s %s (%d): %w", method, path, resp.StatusCode, err)
	}
	o.Replayed = resp.Header.Get("Idempotent-Replayed") == "true"
	o.RetryAfter = resp.Header.Get("Retry-After")
	return resp.StatusCode, o, nil
}

// create posts and wants a 201.
func (a *api) create(path string, body any) object {
	a.t.Helper()
	status, o, err := a.call(a.t.Context(), http.MethodPost, path, nil, body)
	if err != nil || status != http.StatusCreated {
		a.t.Fatalf("POST %s: %d %s, %v", path, status, o.Code, err)
	}
	return o
}

// topUp puts money into a wallet and waits until it is there.
func (a *api) topUp(wallet string, amount int64) {
	a.t.Helper()
	headers := map[string]string{"Idempotency-Key": "funding of " + wallet, "Prefer": "wait=30"}
	body := map[string]any{"amount": amount, "currency": "EUR"}
	status, o, err := a.call(a.t.Context(), http.MethodPost, "/v1/wallets/"+wallet+"/top-ups", headers, body)
	if err != nil || status != http.StatusOK || o.Status != "accepted" {
		a.t.Fatalf("top up: %d %s %s, %v", status, o.Status, o.Code, err)
	}
}

// submit sends one charge once, whatever the answer.
func (a *api) submit(ctx context.Context, wallet, key string, amount int64) (int, object, error) {
	body := map[string]any{"amount": amount, "currency": "EUR", "invoice": "INV " + key}
	return a.call(ctx, http.MethodPost, "/v1/wallets/"+wallet+"/charges", map[string]string{"Idempotency-Key": key}, body)
}

// charge submits a charge until it is taken, under the same key each time, as
// the API asks of its clients; it returns the operation's ID.
func (a *api) charge(ctx context.Context, wallet, key string, amount int64) (string, error) {
	for {
		status, o, err := a.submit(ctx, wallet, key, amount)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusAccepted || status == http.StatusOK:
			return o.ID, nil
		case status != http.StatusServiceUnavailable:
			return "", fmt.Errorf("charge: %d %s", status, o.Code)
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// pause is what a client waits before it asks again.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// outcome waits for the operation's outcome, and meanwhile for whoever knows it.
func (a *api) outcome(ctx context.Context, id string) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	for {
		status, o, err := a.call(ctx, http.MethodGet, "/v1/operations/"+id, map[string]string{"Prefer": "wait=30"}, nil)
		if err != nil {
			return object{}, err
		}
		if status == http.StatusOK && o.Status != "pending" {
			return o, nil
		}
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			return object{}, fmt.Errorf("operation %s: %d %s", id, status, o.Code)
		}
		if err := pause(ctx); err != nil {
			return object{}, err
		}
	}
}
