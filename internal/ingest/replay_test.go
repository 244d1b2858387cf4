package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/throttle"
)

// TestRetriesAreOneCharge sends one charge many times at once, to two replicas,
// and again later and to a replica started afterwards: one ID, one effect.
func TestRetriesAreOneCharge(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 1000)
	const body = `{"amount":10,"currency":"EUR"}`
	second := p.shop.at(s.serve())
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for i := range 20 {
		shop := p.shop
		if i%2 == 1 {
			shop = second
		}
		wg.Go(func() {
			got, err := shop.try(t.Context(), http.MethodPost, p.charges(), headers{"Idempotency-Key": "once"}, body)
			if err != nil || got.status != http.StatusAccepted && got.status != http.StatusOK {
				t.Errorf("charge: %d %s, %v", got.status, got.body, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.text("id")] = true
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Fatalf("one charge has %d IDs", len(ids))
	}
	for _, shop := range []*api{p.shop, second, p.shop.at(s.serve())} {
		got := shop.post(p.charges(), headers{"Idempotency-Key": "once", "Prefer": "wait=30"}, body).want(t, http.StatusOK)
		if !ids[got.text("id")] || got.text("status") != "accepted" || got.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("a late retry: %v %s", got.header, got.body)
		}
	}
	if got := p.payer.get("/v1/wallets/"+p.wallet).want(t, http.StatusOK); got.text("balance") != "990" {
		t.Errorf("the wallet after one charge: %s", got.body)
	}
	s.queue.before.Store(ptr(func(context.Context) error { return errShut }))
	p.shop.post(p.charges(), headers{"Idempotency-Key": "once"}, body).want(t, http.StatusServiceUnavailable)
}

// TestRepliesBesideTheSubmit holds the submit back until the look-up beside it is
// answered: the answer then tells what is decided, without any wait.
func TestRepliesBesideTheSubmit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	const body = `{"amount":10,"currency":"EUR","invoice":"i"}`
	first := p.shop.post(p.charges(), headers{"Prefer": "wait=30"}, body).want(t, http.StatusOK)
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the first charge is told as a replay")
	}
	s.awaitLookUps()
	again := p.shop.post(p.charges(), nil, body).want(t, http.StatusOK)
	if again.header.Get("Idempotent-Replayed") != "true" || again.text("id") != first.text("id") || again.text("status") != "failed" {
		t.Errorf("the retry: %v %s", again.header, again.body)
	}
	s.awaitLookUps()
	other := p.shop.post(p.charges(), nil, strings.Replace(body, "10", "11", 1)).want(t, http.StatusUnprocessableEntity)
	if other.text("code") != "idempotency_key_reused" {
		t.Errorf("another charge of the invoice without a key: %s", other.body)
	}
	s.awaitLookUps()
	fresh := p.shop.post(p.charges(), headers{"Idempotency-Key": "i"}, body).want(t, http.StatusAccepted)
	if fresh.text("id") == first.text("id") {
		t.Error("the invoice as key and the same text as header are one operation")
	}
}

// awaitLookUps holds what is submitted from now on until one more look-up was answered. Nobody else may ask.
func (s *stack) awaitLookUps() {
	const lookups = `monedero_lookups_total{result="ok"}`
	before := s.metric(lookups)
	s.queue.before.Store(ptr(func(ctx context.Context) error {
		for s.metric(lookups) == before && ctx.Err() == nil {
			throttle.Pause(ctx, time.Millisecond)
		}
		return ctx.Err()
	}))
}

// TestConflictsHaveOneEffect sends two requests under one key before anything is
// decided: the first wins, the other is counted.
func TestConflictsHaveOneEffect(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	key := headers{"Idempotency-Key": "k"}
	topUp := func(amount int) answer {
		return s.operator.post("/v1/wallets/"+p.wallet+"/top-ups", key, fmt.Sprintf(`{"amount":%d,"currency":"EUR"}`, amount))
	}
	first, second := topUp(70).want(t, http.StatusAccepted), topUp(80).want(t, http.StatusAccepted)
	if first.text("id") != second.text("id") {
		t.Fatal("one key makes two IDs")
	}
	last := p.shop.post(p.charges(), headers{"Idempotency-Key": "last"}, `{"amount":1,"currency":"EUR"}`).want(t, http.StatusAccepted)
	s.settle()
	p.shop.do(http.MethodGet, last.header.Get("Location"), headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	got := s.operator.get("/v1/operations/"+first.text("id")).want(t, http.StatusOK)
	if got.text("amount") != "70" || got.text("conflicting_requests") != "1" {
		t.Errorf("after two top-ups under one key: %s", got.body)
	}
	if got := p.payer.get("/v1/wallets/" + p.wallet); got.text("balance") != "69" {
		t.Errorf("the wallet: %s", got.body)
	}
}

// TestCreationsAreIdempotent creates each thing at the same time from many
// callers under one key, and then another thing under it.
func TestCreationsAreIdempotent(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	for path, bodies := range map[string][2]string{
		"/v1/clients":                         {`{"name":"a"}`, `{"name":"b"}`},
		"/v1/merchants":                       {`{"name":"a"}`, `{"name":"a","client_id":"` + p.client + `"}`},
		"/v1/wallets":                         {`{"client_id":"` + p.client + `","currency":"EUR"}`, `{"client_id":"` + p.client + `","currency":"USD"}`},
		"/v1/api-keys":                        {`{"role":"operator","name":"a"}`, `{"role":"client","client_id":"` + p.client + `","name":"a"}`},
		"/v1/wallets/" + p.wallet + "/freeze": {`{"description":"a"}`, `{"description":"b"}`},
	} {
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids, secrets, made := map[string]bool{}, 0, 0
		for range 8 {
			wg.Go(func() {
				got, err := s.operator.try(t.Context(), http.MethodPost, path, headers{"Idempotency-Key": "k"}, bodies[0])
				if err != nil || got.status != http.StatusCreated && got.status != http.StatusOK {
					t.Errorf("%s: %d %s, %v", path, got.status, got.body, err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[got.text("id")] = true
				if got.text("secret") != "" {
					secrets++
				}
				if got.header.Get("Idempotent-Replayed") == "" {
					made++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || made != 1 {
			t.Errorf("%s: %d IDs, made %d times", path, len(ids), made)
		}
		if (path == "/v1/api-keys") != (secrets == 1) {
			t.Errorf("%s: %d secrets shown", path, secrets)
		}
		if got := s.operator.post(path, headers{"Idempotency-Key": "k"}, bodies[1]); got.text("code") != "idempotency_key_reused" {
			t.Errorf("%s with another body: %s", path, got.body)
		}
		a := s.operator.post(path, nil, bodies[0])
		b := s.operator.post(path, nil, bodies[0])
		if a.text("id") == "" || a.text("id") == b.text("id") {
			t.Errorf("%s without a key makes one thing of two requests: %s", path, a.body)
		}
	}
}

// TestWaitersShareQueries lets many wait at once: soon the database is asked once in
// 20 ms, and not once for each of them.
func TestWaitersShareQueries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	const waiters = 50
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() {
			h := headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=1"}
			got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), h, `{"amount":1,"currency":"EUR"}`)
			if err != nil || got.status != http.StatusAccepted || got.header.Get("Preference-Applied") != "wait=1" {
				t.Errorf("a wait in vain: %d %s, %v", got.status, got.body, err)
			}
		})
	}
	start := time.Now()
	wg.Wait()
	// Six for each request at most, one beside its submit, one as its wait begins and four looks that
	// come soon for its sake; and the looks of all, and when all are asked for.
	if most := 6*waiters + int64(time.Since(start)/(20*time.Millisecond)+time.Since(start)/(250*time.Millisecond)) + 2; s.db.decided.Load() > most {
		t.Errorf("%d queries, want at most %d", s.db.decided.Load(), most)
	}
	s.settle()
	for i := range waiters {
		wg.Go(func() {
			h := headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=30"}
			got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), h, `{"amount":1,"currency":"EUR"}`)
			if err != nil || got.status != http.StatusOK || got.text("failure.reason") != "insufficient_funds" {
				t.Errorf("a wait: %d %s, %v", got.status, got.body, err)
			}
		})
	}
	wg.Wait()
}

func ptr[T any](v T) *T { return &v }
