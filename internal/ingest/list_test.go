package ingest_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// TestCursorsGoWithTheirFilters sends the cursor of a list with one filter more, or another one.
func TestCursorsGoWithTheirFilters(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 3)
	filters := map[string]string{
		"wallet_id": p.wallet, "status": "accepted", "from": "2020-01-01T00:00:00Z", "to": "9000-01-01T00:00:00Z", "client_id": p.client,
	}
	others := map[string]string{
		"merchant_id": p.merchant, "kind": "open", "invoice": "i", "idempotency_key": "k", "from": "2020-01-01T00:00:00.000001Z", "to": "8999-01-01T00:00:00Z",
	}
	query := url.Values{"limit": {"1"}}
	for name, value := range filters {
		query.Set(name, value)
	}
	cursor := s.operator.get("/v1/operations?"+query.Encode()).want(t, http.StatusOK).text("next_cursor")
	query.Set("cursor", cursor)
	query.Set("limit", "200") // is no filter
	query.Set("from", "2020-01-01T01:00:00+01:00")
	s.operator.get("/v1/operations?"+query.Encode()).want(t, http.StatusOK)
	query.Set("from", filters["from"])
	refused := func(name string) {
		t.Helper()
		got := s.operator.get("/v1/operations?" + query.Encode())
		if got.status != http.StatusUnprocessableEntity || !slices.Equal(got.places(), []string{"query.cursor"}) {
			t.Errorf("a cursor with another %s: %d %s", name, got.status, got.body)
		}
	}
	for name, value := range others {
		query.Set(name, value)
		refused(name)
		query.Del(name)
		if filters[name] != "" {
			query.Set(name, filters[name])
		}
	}
	for name, value := range filters {
		if name == "wallet_id" {
			continue // the list lies elsewhere then
		}
		query.Del(name)
		refused(name)
		query.Set(name, value)
	}
	s.operator.get("/v1/operations?"+query.Encode()).want(t, http.StatusOK)
}
