package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server that answers with the function, and makes a client of it.
func serve(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	c := client.New(server.URL, 4)
	t.Cleanup(func() {
		c.Close()
		server.Close()
	})
	return c
}

func TestCallIsSentAsItSays(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body client.Request
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer key", "Content-Type": "application/json", "Idempotency-Key": "one", "Prefer": "wait=3",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("the header %s is %q, want %q", name, got, want)
			}
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/here" || body.Amount != 7 {
			t.Errorf("got %s %s %+v", r.Method, r.URL, body)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":"op_1","status":"pending"}`))
	})
	a, err := c.Once(t.Context(), client.Call{
		Method: http.MethodPost, Path: "/v1/here", Key: "key", IdempotencyKey: "one", Prefer: "wait=3", Body: client.Request{Amount: 7},
	})
	if err != nil || !client.Taken(a.Status) {
		t.Fatalf("%d, %v", a.Status, err)
	}
	if op, err := a.Operation(); err != nil || op.ID != "op_1" || op.Final() || op.Reason() != "" {
		t.Errorf("%+v, %v", op, err)
	}
}

// TestRequestsNameWhatTheyReferTo: each under the field of its kind.
func TestRequestsNameWhatTheyReferTo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		client.Request
		path, want string
	}{
		{client.Request{Kind: ledger.KindRefund}.Of("op_1"), "refunds", `{"charge":"op_1"}`},
		{client.Request{Kind: ledger.KindCapture}.Of("op_1"), "captures", `{"hold":"op_1"}`},
		{client.Request{Kind: ledger.KindCapture, Amount: 2, Currency: "EUR"}.Of("op_1").Kept(), "captures", `{"hold":"op_1","amount":2,"currency":"EUR","final":false}`},
		{client.Request{Kind: ledger.KindRelease}.Of("op_1"), "releases", `{"hold":"op_1"}`},
		{client.Request{Kind: ledger.KindHold, Amount: 2, Currency: "EUR", ExpiresIn: 60}.Of("op_1"), "holds", `{"amount":2,"currency":"EUR","expires_in":60}`},
	} {
		row.Wallet = "wal_1"
		call := row.Call("key", "one")
		body, err := json.Marshal(call.Body)
		if err != nil || string(body) != row.want || call.Path != "/v1/wallets/wal_1/"+row.path {
			t.Errorf("%s %s, %v; want %s", call.Path, body, err, row.want)
		}
		if refers := row.Refers() != ""; refers != client.Refers(row.Kind) || row.Keeps() != strings.Contains(row.want, "final") {
			t.Errorf("%s refers to %q, keeps %v", row.Kind, row.Refers(), row.Keeps())
		}
	}
	if slices.Contains(client.Asked(), ledger.KindExpire) || !client.Refers(ledger.KindExpire) {
		t.Error("an expire refers to a hold, and nobody submits one")
	}
}

func TestUnavailableIsTriedAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"not_found","detail":"nothing","errors":[{"location":"path.id","message":"is odd"}]}`))
	})
	if a, err := c.Once(t.Context(), client.Call{Method: http.MethodGet, Path: "/"}); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("once: %d, %v", a.Status, err)
	}
	a, err := c.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/"})
	if err != nil || a.Status != http.StatusNotFound || calls.Load() != 3 {
		t.Errorf("%d after %d calls, %v", a.Status, calls.Load(), err)
	}
	err = c.Expect(t.Context(), client.Call{Method: http.MethodGet, Path: "/x"}, nil, http.StatusOK)
	for _, want := range []string{"GET /x", "404", "not_found", "path.id: is odd"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// TestRequestInHandOutlivesItsContext: it is answered all the same, and no other
// one begins.
func TestRequestInHandOutlivesItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		time.Sleep(20 * time.Millisecond) // so that a request that is broken off has the time to be
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if a, err := c.Once(ctx, client.Call{Method: http.MethodGet, Path: "/"}); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d, %v", a.Status, err)
	}
	if _, err := c.Do(ctx, client.Call{Method: http.MethodGet, Path: "/"}); err == nil {
		t.Error("a request began after its context had ended")
	}
}

// TestOnceIsOnce breaks a connection that was used before: with a body or without one, no request is sent
// again behind the caller's back, though its key would make that safe.
func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	for _, r := range []client.Call{
		{Method: http.MethodPost, Path: "/", IdempotencyKey: "one", Body: client.Request{Amount: 1}},
		{Method: http.MethodPost, Path: "/", IdempotencyKey: "one"},
		{Method: http.MethodDelete, Path: "/", IdempotencyKey: "one"},
	} {
		var calls atomic.Int64
		c := serve(t, func(_ http.ResponseWriter, got *http.Request) {
			if body, err := io.ReadAll(got.Body); err != nil || (len(body) > 0) != (r.Body != nil) {
				t.Errorf("%s came with the body %q, %v", r.Method, body, err)
			}
			if calls.Add(1) > 1 {
				panic(http.ErrAbortHandler)
			}
		})
		if _, err := c.Once(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Once(t.Context(), r); err == nil || calls.Load() != 2 {
			t.Errorf("%s with the body %v: %d calls, %v", r.Method, r.Body, calls.Load(), err)
		}
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	err := client.Each(t.Context(), 2, 1000, func(_ context.Context, i int) error {
		calls.Add(1)
		if i == 10 {
			return http.ErrServerClosed
		}
		return nil
	})
	if n := calls.Load(); err == nil || n < 11 || n > 100 {
		t.Errorf("%d calls, %v", n, err)
	}
}

// TestMandatesAreAskedForAtTheirOwnPlace: what is decided at once is not among what can be submitted.
func TestMandatesAreAskedForAtTheirOwnPlace(t *testing.T) {
	t.Parallel()
	q := client.Request{Wallet: "wal_1", Merchant: "mer_1", Currency: "EUR", Limits: client.Limits{PerDay: 7}}
	for kind, method := range map[ledger.Kind]string{ledger.KindGrant: http.MethodPut, ledger.KindRevoke: http.MethodDelete} {
		q.Kind = kind
		call := q.Call("key", "one")
		if call.Method != method || call.Path != "/v1/wallets/wal_1/mandates/mer_1" || (call.Body != nil) != (kind == ledger.KindGrant) {
			t.Errorf("%+v", call)
		}
		if !slices.Contains(client.Asked(), kind) || slices.Contains(client.Submitted(), kind) {
			t.Errorf("%s is not asked for, or submitted", kind)
		}
	}
	q.Kind = ledger.KindGrant
	if body, err := json.Marshal(q); err != nil || string(body) != `{"currency":"EUR","per_day":7}` {
		t.Errorf("%s, %v", body, err)
	}
}
