package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ingest"
)

const inHand = 512 // requests that a replica works on at once

// TestTooManyInHand holds the queue until no more requests are taken in hand: all
// others are refused at once, whoever sends them.
func TestTooManyInHand(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, fixedTime())
	p := s.people("Ada")
	p.shop.get("/v1/merchants/"+p.merchant).want(t, http.StatusOK) // from now on its key is known
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
	for i := range inHand + more {
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
	eventually(t, func() bool { return held.Load() == inHand && refused.Load() == more })
	got := within(t, time.Second, func() answer { return s.operator.with("mon_nonsense").get("/v1/wallets/" + p.wallet) })
	if got.status != http.StatusServiceUnavailable || got.text("code") != string(ingest.CodeOverloaded) || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	golden(t, filepath.Join("problems", string(ingest.CodeOverloaded)), got)
	s.operator.get("/livez").want(t, http.StatusOK)
	s.operator.get("/readyz").want(t, http.StatusOK)
	s.operator.get("/openapi.json").want(t, http.StatusOK)
	if n := s.metric(`monedero_shed_total{what="request"}`); n != more+1 {
		t.Errorf("%v requests were shed by the metric", n)
	}
	letGo.Store(true)
	close(release)
	wg.Wait()
	s.queue.before.Store(nil)
	if taken.Load()+unknown.Load() != inHand {
		t.Errorf("%d taken, %d unknown, %d refused", taken.Load(), unknown.Load(), refused.Load())
	}
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
}

// TestWaitersTakeNoPlaces: more callers wait for their outcome than may be in hand,
// and the next one is served all the same.
func TestWaitersTakeNoPlaces(t *testing.T) {
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
