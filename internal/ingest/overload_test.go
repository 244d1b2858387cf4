package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ingest"
)

const (
	inHand = 512            // requests that a replica works on at once
	share  = inHand * 3 / 4 // of one owner at most
)

// TestTooManyInHand holds the queue until no more requests are taken in hand: one merchant
// gets three quarters of the seats, another one its share of the rest, and everything
// beyond is refused at once.
func TestTooManyInHand(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	ada, bob := s.people("Ada"), s.people("Bob")
	for _, p := range []people{ada, bob} {
		p.shop.get("/v1/merchants/"+p.merchant).want(t, http.StatusOK) // from now on its key is known
	}
	release := make(chan struct{})
	var held atomic.Int64
	s.queue.before.Store(ptr(func(context.Context) error {
		held.Add(1)
		<-release
		return nil
	}))
	const more = 50
	var wg sync.WaitGroup
	var taken, unknown, refused atomic.Int64
	var letGo atomic.Bool
	send := func(p people, n int) {
		for i := range n {
			wg.Go(func() {
				got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), headers{"Idempotency-Key": fmt.Sprint("k", i)}, charge)
				switch {
				case err == nil && got.status == http.StatusAccepted:
					taken.Add(1)
				case err == nil && got.text("code") == "overloaded" && !letGo.Load():
					refused.Add(1)
				case err == nil && got.text("code") == "queue_unavailable": // it was held for too long
					unknown.Add(1)
				default:
					t.Errorf("a charge: %d %s, %v", got.status, got.body, err)
				}
			})
		}
	}
	send(ada, share+more)
	eventually(t, func() bool { return held.Load() == share && refused.Load() == more })
	send(bob, inHand-share) // the operator, Ada's shop and Bob's are active
	eventually(t, func() bool { return held.Load() == inHand })
	got := within(t, time.Second, func() answer { return s.operator.get("/v1/wallets/" + ada.wallet) })
	if got.status != http.StatusServiceUnavailable || got.text("code") != string(ingest.CodeOverloaded) || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	golden(t, filepath.Join("problems", string(ingest.CodeOverloaded)), got)
	// What is refused is not read: that would cost more than the refusal.
	unread := ada.shop.post(ada.charges(), headers{"Idempotency-Key": "unread", "Content-Type": "text/plain"}, charge)
	if unread.want(t, http.StatusServiceUnavailable); unread.text("code") != string(ingest.CodeOverloaded) {
		t.Errorf("a body that was not to be read: %s", unread.body)
	}
	s.operator.with("mon_nonsense").get("/v1/wallets/"+ada.wallet).want(t, http.StatusUnauthorized)
	s.operator.get("/livez").want(t, http.StatusOK)
	s.operator.get("/readyz").want(t, http.StatusOK)
	s.operator.get("/openapi.json").want(t, http.StatusOK)
	for what, want := range map[string]float64{"share": more, "request": 2} {
		if n := s.metric(`monedero_shed_total{what="` + what + `"}`); n != want {
			t.Errorf("%s: %v were shed by the metric, want %v", what, n, want)
		}
	}
	letGo.Store(true)
	close(release)
	wg.Wait()
	s.queue.before.Store(nil)
	if taken.Load()+unknown.Load() != inHand {
		t.Errorf("%d taken, %d unknown, %d refused", taken.Load(), unknown.Load(), refused.Load())
	}
	ada.shop.post(ada.charges(), nil, charge).want(t, http.StatusAccepted)
}

// TestReadsLeaveSeats hangs the database until no more reads are taken in hand:
// charges still are.
func TestReadsLeaveSeats(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	p := s.people("Ada")
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted) // from now on its key is known
	p.payer.get("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
	s.db.state.Store(hanging)
	var wg sync.WaitGroup
	defer wg.Wait()
	var refused atomic.Int64
	for range inHand + 50 {
		wg.Go(func() {
			got, err := p.payer.try(t.Context(), http.MethodGet, "/v1/wallets/"+p.wallet, nil, "")
			switch {
			case err == nil && got.text("code") == string(ingest.CodeOverloaded):
				refused.Add(1)
			case err == nil && got.text("code") == string(ingest.CodeDatabaseUnavailable):
			default:
				t.Errorf("a read: %d %s, %v", got.status, got.body, err)
			}
		})
	}
	eventually(t, func() bool { return refused.Load() > 0 })
	p.shop.post(p.charges(), headers{"Idempotency-Key": "meanwhile"}, charge).want(t, http.StatusAccepted)
	s.db.state.Store(up)
}

// TestWaitersTakeNoSeats: more callers wait for their outcome than may be in hand,
// and the next one is served all the same.
func TestWaitersTakeNoSeats(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	p.shop.get("/v1/merchants/"+p.merchant).want(t, http.StatusOK)
	const waiters, atOnce = inHand + 50, 64
	var wg sync.WaitGroup
	var answered atomic.Int64
	for i := range waiters {
		wg.Go(func() {
			h := headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=30"}
			got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), h, `{"amount":1,"currency":"EUR"}`)
			answered.Add(1)
			if err != nil || got.status != http.StatusOK || got.header.Get("Preference-Applied") != "wait=30" {
				t.Errorf("a wait: %d %s, %v", got.status, got.body, err)
			}
		})
		if i%atOnce == atOnce-1 || i == waiters-1 {
			eventually(t, func() bool { return s.produced() > int64(i) })
		}
	}
	p.shop.post(p.charges(), headers{"Idempotency-Key": "short"}, `{"amount":1,"currency":"EUR"}`).want(t, http.StatusAccepted)
	if n := answered.Load(); n != 0 {
		t.Errorf("%d waiters were answered before", n)
	}
	s.settle()
	wg.Wait()
}

// TestTooManyConnections opens all connections that a replica serves, over each of which
// a valid key came: the next ones are told at once that they are too many, and there is
// room again as soon as one closes.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	const most = 4
	s.connections, s.metrics = most, nil // of the replica that comes now
	base := s.serve()
	var held []net.Conn
	for i := range most {
		conn := dial(t, base)
		key := p.payer.key
		if i == most-1 {
			key = s.operator.key // nobody gets the last quarter too
		}
		if got := ask(t, conn, "/v1/wallets/"+p.wallet, key); got != http.StatusOK {
			t.Fatal(got)
		}
		held = append(held, conn)
	}
	shop := p.shop.at(base)
	shop.http = newHTTPClient(t)
	large := `{"amount":1,"currency":"EUR","invoice":"` + strings.Repeat("i", 1<<20) + `"}`
	const refused = 20
	for i := range refused {
		body := charge
		if i%2 == 1 {
			body = large // more than is received at once
		}
		got := shop.post(p.charges(), nil, body).want(t, http.StatusServiceUnavailable)
		if got.text("code") != "overloaded" || got.text("retryable") != "true" || got.header.Get("Retry-After") != "1" ||
			got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("X-Request-Id") != got.text("request_id") {
			t.Fatalf("%v %s", got.header, got.body)
		}
	}
	silent := dial(t, base)
	if n, err := io.Copy(io.Discard, silent); n != 0 || err != nil { // it ends when the replica gives up on it
		t.Errorf("who says nothing reads %d bytes, %v", n, err)
	}
	if n := s.metric(`monedero_shed_total{what="connection"}`); n != refused+1 {
		t.Errorf("%v connections were shed by the metric", n)
	}
	if n := s.produced(); n != 0 {
		t.Errorf("%d records were produced", n)
	}
	if err := held[0].Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return shop.post(p.charges(), nil, charge).status == http.StatusAccepted })
}

// TestConnectionsOfOneOwner: who has its share of the connections gets no more of them, and
// what it has is served.
func TestConnectionsOfOneOwner(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	const most = 4
	s.connections, s.metrics = most, nil // of the replica that comes now
	base := s.serve()
	path := "/v1/wallets/" + p.wallet
	var held []net.Conn
	for range 3 {
		held = append(held, dial(t, base))
		if got := ask(t, held[len(held)-1], path, p.payer.key); got != http.StatusOK {
			t.Fatal(got)
		}
	}
	for range 3 {
		beyond := dial(t, base)
		if got := ask(t, beyond, path, p.payer.key); got != http.StatusServiceUnavailable {
			t.Errorf("beyond its share it is answered %d", got)
		}
		if n, err := io.Copy(io.Discard, beyond); n != 0 || err != nil {
			t.Errorf("the connection is not closed: %d bytes, %v", n, err)
		}
	}
	// As soon as the last one that was refused is gone.
	eventually(t, func() bool { return ask(t, dial(t, base), path, s.operator.key) == http.StatusOK })
	if got := ask(t, held[0], path, s.operator.key); got != http.StatusServiceUnavailable {
		t.Errorf("the operator is answered %d over a connection that would be its second", got)
	}
	if got := ask(t, held[1], path, p.payer.key); got != http.StatusOK {
		t.Errorf("what it has is answered %d", got)
	}
}

// ask sends a request over the connection, and returns the status of the answer.
func ask(t *testing.T, conn net.Conn, path, key string) int {
	t.Helper()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, key)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// dial connects to the replica, for as long as patience at most.
func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}
