package ingest_test

import (
	"net/http"
	"sync"
	"testing"
)

// TestPollsShareALookUp polls one pending operation from many callers at once: they
// share queries, and what says how far the partition is comes with them.
func TestPollsShareALookUp(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	first := p.shop.post(p.charges(), headers{"Idempotency-Key": "first"}, charge).want(t, http.StatusAccepted)
	pending := p.shop.post(p.charges(), headers{"Idempotency-Key": "second"}, `{"amount":1,"currency":"EUR"}`).want(t, http.StatusAccepted)
	p.shop.get(first.header.Get("Location")).want(t, http.StatusOK)
	const callers, rounds = 64, 20
	before := s.db.decided.Load()
	var polling sync.WaitGroup
	for range callers {
		polling.Go(func() {
			for range rounds {
				got, err := p.shop.try(t.Context(), http.MethodGet, pending.header.Get("Location"), nil, "")
				if err != nil || got.text("status") != "pending" || got.text("records_ahead") != "1" {
					t.Errorf("%v %s", err, got.body)
					return
				}
			}
		})
	}
	polling.Wait()
	if n := s.db.decided.Load() - before; n > callers*rounds/2 {
		t.Errorf("%d polls made %d queries", callers*rounds, n)
	}
}
