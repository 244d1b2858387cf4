package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

func newHTTPClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// api calls the HTTP API under one key.
type api struct {
	t    testing.TB
	base string
	key  string
	http *http.Client
}

// with is the same API under another key.
func (a *api) with(key string) *api {
	other := *a
	other.key = key
	return &other
}

// at is another replica of the API.
func (a *api) at(base string) *api {
	other := *a
	other.base = base
	return &other
}

type answer struct {
	status int
	header http.Header
	body   string
}

// get reads a field of the body, with dots between the names.
func (a answer) get(path string) any {
	var value any
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.UseNumber()
	if dec.Decode(&value) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

func (a answer) text(path string) string {
	if value := a.get(path); value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

type headers map[string]string

func (a *api) do(method, path string, h headers, body string) answer {
	a.t.Helper()
	got, err := a.try(a.t.Context(), method, path, h, body)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, unknown := range asDocumented(method, path, got) {
		a.t.Errorf("%s %s: the document does not know %s", method, path, unknown)
	}
	return got
}

func (a *api) try(ctx context.Context, method, path string, h headers, body string) (answer, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, r)
	if err != nil {
		return answer{}, err
	}
	all := headers{}
	if a.key != "" {
		all["Authorization"] = "Bearer " + a.key
	}
	if body != "" {
		all["Content-Type"] = "application/json"
	}
	maps.Copy(all, h)
	for name, value := range all {
		req.Header.Set(name, value)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}, err
}

func (a *api) get(path string) answer {
	a.t.Helper()
	return a.do(http.MethodGet, path, nil, "")
}

func (a *api) post(path string, h headers, body string) answer {
	a.t.Helper()
	return a.do(http.MethodPost, path, h, body)
}

// want ends the test unless the answer has the status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}
