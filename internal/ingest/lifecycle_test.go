package ingest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestDrain stops the service while a request waits for its outcome: it is
// answered with what is known, and the service ends.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	base, stop := s.serveUntil()
	shop := p.shop.at(base)
	shop.get("/v1/operations?limit=1").want(t, http.StatusOK) // the key is known now
	answered := make(chan answer, 1)
	go func() {
		got, err := shop.try(t.Context(), http.MethodPost, p.charges(), headers{"Prefer": "wait=30"}, charge)
		if err != nil {
			t.Error("the waiting request:", err)
		}
		answered <- got
	}()
	eventually(t, func() bool { return s.produced() == 1 })
	start := time.Now()
	if err := stop(); err != nil {
		t.Error("stop:", err)
	}
	if got := <-answered; got.status != http.StatusAccepted {
		t.Errorf("the waiting request: %d %s", got.status, got.body)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := shop.try(t.Context(), http.MethodGet, "/livez", nil, ""); err == nil {
		t.Error("the service still answers")
	}
}

// TestLongWaitsOutliveReadDeadlines waits longer than a request may take to
// arrive: the one limit must not end the other.
func TestLongWaitsOutliveReadDeadlines(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for twelve seconds")
	}
	s := newStack(t)
	p := s.people("Ada")
	path := p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted).header.Get("Location")
	var wg sync.WaitGroup
	for method, path := range map[string]string{http.MethodPost: p.charges(), http.MethodGet: path} {
		wg.Go(func() {
			body := ""
			if method == http.MethodPost {
				body = charge
			}
			start := time.Now()
			got, err := p.shop.try(t.Context(), method, path, headers{"Prefer": "wait=12"}, body)
			if took := time.Since(start); err != nil || got.text("status") != "pending" || took < 12*time.Second {
				t.Errorf("%s ended after %v: %d %s, %v", method, took, got.status, got.body, err)
			}
		})
	}
	wg.Wait()
}

// TestRefusedBodyIsNotAwaited sends a request that is refused before its body is
// read, and never the body: the connection does not stay open for it.
func TestRefusedBodyIsNotAwaited(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	s := newStack(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.operator.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /v1/clients HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	text, err := io.ReadAll(conn) // ends when the server closes the connection
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 401 ") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestPanic makes the queue panic: the caller gets a problem, and the service
// goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	p := s.people("Ada")
	s.queue.before.Store(ptr(func(context.Context) error { panic("secret") }))
	got := p.shop.post(p.charges(), nil, charge).want(t, http.StatusInternalServerError)
	golden(t, "problems/internal_error", got)
	if strings.Contains(got.body, "secret") {
		t.Errorf("the panic is shown: %s", got.body)
	}
	s.queue.before.Store(nil)
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
}

// TestLastUse finds in the database when a key was last used, once the service
// ended.
func TestLastUse(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	p := s.people("Ada")
	base, stop := s.serveUntil()
	p.payer.at(base).get("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var at time.Time
	if err := conn.QueryRow(t.Context(), "select last_used_at from api_keys where name = 'payer'").Scan(&at); err != nil {
		t.Fatal(err)
	}
	if !at.Equal(fixedTime()) {
		t.Errorf("last used at %v, want %v", at, fixedTime())
	}
}

// TestMetrics reads what was counted.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	waiting := headers{"Prefer": "wait=30"}
	p.shop.post(p.charges(), waiting, charge).want(t, http.StatusOK)
	p.shop.post(p.charges(), waiting, charge).want(t, http.StatusOK)
	p.shop.post(p.charges(), waiting, strings.Replace(charge, "1", "2", 1)).want(t, http.StatusUnprocessableEntity)
	p.shop.get("/nowhere").want(t, http.StatusNotFound)
	p.shop.do("BREW", "/livez", nil, "").want(t, http.StatusMethodNotAllowed)
	for series, want := range map[string]float64{
		`monedero_submissions_total{kind="charge",result="queued"}`:                                     3,
		`monedero_replays_total{kind="charge"}`:                                                         1,
		`monedero_key_conflicts_total{kind="charge"}`:                                                   1,
		`monedero_http_requests_total{method="POST",route="/v1/wallets/{wallet}/charges",status="200"}`: 2,
		`monedero_http_requests_total{method="POST",route="/v1/wallets/{wallet}/charges",status="422"}`: 1,
		`monedero_http_requests_total{method="GET",route="unknown",status="404"}`:                       1,
		`monedero_http_requests_total{method="other",route="unknown",status="405"}`:                     1,
		`monedero_api_key_checks_total{result="miss"}`:                                                  2, // the operator's and the shop's
	} {
		// A request is counted just after its answer.
		if !holds(func() bool { return s.metric(series) == want }) {
			t.Errorf("%s is %v, want %v", series, s.metric(series), want)
		}
	}
}
