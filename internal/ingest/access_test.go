package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestListsUnderEveryRole asks for lists by every filter; what else each role may do is of TestPermissions.
func TestListsUnderEveryRole(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	const (
		hidden = http.StatusNotFound
		ok     = http.StatusOK
		lacks  = http.StatusBadRequest
		none   = http.StatusUnauthorized
	)
	for _, c := range []struct {
		path                             string
		shop, payer, operator, anonymous int
	}{
		{"/v1/operations", ok, ok, lacks, none},
		{"/v1/operations?invoice=i", ok, ok, lacks, none},
		{"/v1/operations?status=failed&kind=charge&reason=expired&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z", ok, ok, lacks, none},
		{"/v1/operations?client_id=" + p.client, hidden, ok, ok, none},
		{"/v1/operations?client_id=" + other.client, hidden, hidden, ok, none},
		{"/v1/operations?client_id=" + p.client + "&wallet_id=" + other.wallet, hidden, hidden, ok, none},
		{"/v1/operations?idempotency_key=k", lacks, lacks, lacks, none},
		{"/v1/operations?idempotency_key=k&wallet_id=" + p.wallet, ok, ok, ok, none},
		{"/v1/operations?idempotency_key=k&wallet_id=" + other.wallet, ok, hidden, ok, none},
		{"/v1/operations?wallet_id=" + p.wallet, ok, ok, ok, none},
		{"/v1/operations?wallet_id=" + other.wallet, ok, hidden, ok, none},
		{"/v1/operations?merchant_id=" + p.merchant, ok, ok, ok, none},
		{"/v1/operations?merchant_id=" + other.merchant, hidden, ok, ok, none},
		{"/livez", ok, ok, ok, ok},
		{"/openapi.json", ok, ok, ok, ok},
		{"/openapi.yaml", ok, ok, ok, ok},
	} {
		for who, want := range map[*api]int{
			p.shop: c.shop, p.payer: c.payer, s.operator: c.operator, s.operator.with(""): c.anonymous,
		} {
			if got := who.get(c.path); got.status != want {
				t.Errorf("%s with %.12q: %d, want %d: %s", c.path, who.key, got.status, want, got.body)
			}
		}
	}
}

// TestWhoSeesAnOperation reads one operation before and after it is decided.
func TestWhoSeesAnOperation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	owner := s.operator.post("/v1/merchants", nil, `{"name":"own","client_id":"`+p.client+`"}`).want(t, http.StatusCreated).text("id")
	p.payer.get("/v1/merchants/"+owner).want(t, http.StatusOK)
	path := p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted).header.Get("Location")
	everybody := []*api{p.shop, p.payer, s.operator, other.shop, other.payer}
	for _, who := range everybody {
		got := who.get(path).want(t, http.StatusOK)
		if got.text("status") != "pending" || strings.Contains(got.body, "wallet") || strings.Contains(got.body, "amount") {
			t.Errorf("a pending operation: %s", got.body)
		}
	}
	s.settle()
	p.shop.do(http.MethodGet, path, headers{"Prefer": "wait=30"}, "").want(t, http.StatusOK)
	for i, who := range everybody {
		got := who.get(path)
		if i > 2 {
			got.want(t, http.StatusNotFound)
			continue
		}
		got.want(t, http.StatusOK)
		if seen := got.get("sequence") != nil && got.get("balance_after") != nil; seen != (i > 0) {
			t.Errorf("balance and sequence: %s", got.body)
		}
	}
	// An ID that is well formed but was never computed here.
	id := strings.TrimPrefix(strings.Split(path, "?")[0], "/v1/operations/")
	last := "0"
	if strings.HasSuffix(id, last) {
		last = "1"
	}
	s.operator.get("/v1/operations/"+id[:len(id)-1]+last).want(t, http.StatusNotFound)
}

// TestLists goes through pages of a wallet's and of a merchant's operations, and
// finds failed attempts by their invoice.
func TestLists(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p, other := s.people("Ada"), s.people("Bob")
	s.fund(p, 3)
	for i := range 5 { // three are paid, two are not
		h := headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=30"}
		body := fmt.Sprintf(`{"amount":1,"currency":"EUR","invoice":"INV-%d"}`, i)
		p.shop.post(p.charges(), h, body).want(t, http.StatusOK)
	}
	unknown := "wal_01hzy3v7k2m4n6p8q0r2s4t6v8"
	lost := p.shop.post("/v1/wallets/"+unknown+"/charges", headers{"Prefer": "wait=30"}, `{"amount":1,"currency":"EUR","invoice":"INV-4"}`).want(t, http.StatusOK)
	if lost.text("failure.reason") != "mandate_required" {
		t.Errorf("a charge of no wallet: %s", lost.body)
	}
	for query, want := range map[string]int{
		"wallet_id=" + p.wallet:                                                        7, // opened, funded, five charges
		"wallet_id=" + p.wallet + "&merchant_id=" + p.merchant:                         5,
		"wallet_id=" + p.wallet + "&merchant_id=" + other.merchant:                     0,
		"merchant_id=" + p.merchant:                                                    6,
		"merchant_id=" + p.merchant + "&invoice=INV-4":                                 2,
		"wallet_id=" + p.wallet + "&invoice=INV-4":                                     1,
		"wallet_id=" + unknown:                                                         1,
		"client_id=" + p.client:                                                        7,
		"client_id=" + p.client + "&merchant_id=" + other.merchant:                     0,
		"client_id=" + p.client + "&wallet_id=" + p.wallet:                             7,
		"client_id=" + p.client + "&wallet_id=" + other.wallet:                         0,
		"client_id=" + p.client + "&wallet_id=" + unknown:                              0,
		"client_id=" + other.client:                                                    1,
		"client_id=cli_01hzy3v7k2m4n6p8q0r2s4t6v8":                                     0,
		"client_id=" + p.client + "&kind=charge&status=failed":                         2,
		"wallet_id=" + p.wallet + "&status=accepted":                                   5,
		"wallet_id=" + p.wallet + "&reason=insufficient_funds":                         2,
		"wallet_id=" + p.wallet + "&reason=expired":                                    0,
		"wallet_id=" + p.wallet + "&kind=top_up":                                       1,
		"wallet_id=" + p.wallet + "&from=2020-01-01T00:00:00Z":                         7,
		"wallet_id=" + p.wallet + "&to=2020-01-01T00:00:00Z":                           0,
		"merchant_id=" + p.merchant + "&status=failed":                                 3,
		"merchant_id=" + p.merchant + "&invoice=INV-4&reason=mandate_required":         1,
		"wallet_id=" + p.wallet + "&idempotency_key=fund":                              1, // the operator's own
		"wallet_id=" + p.wallet + "&idempotency_key=k1":                                0, // a merchant's
		"wallet_id=" + p.wallet + "&idempotency_key=fund&kind=charge":                  0,
		"wallet_id=" + p.wallet + "&merchant_id=" + p.merchant + "&idempotency_key=k1": 0,
		"wallet_id=" + other.wallet:                                                    1,
	} {
		for _, limit := range []int{1, 2, 50} {
			ids := s.pages(query, limit)
			if len(ids) != want {
				t.Errorf("%s by %d: %d operations, want %d", query, limit, len(ids), want)
			}
		}
	}
	if got := p.shop.get("/v1/operations?wallet_id="+other.wallet).want(t, http.StatusOK); len(got.get("data").([]any)) != 0 {
		t.Errorf("a merchant sees another wallet's history: %s", got.body)
	}
	for who, want := range map[*api]int{p.shop: 1, p.payer: 0} { // a key is its asker's
		got := who.get("/v1/operations?idempotency_key=k1&wallet_id="+p.wallet).want(t, http.StatusOK)
		if data := got.get("data").([]any); len(data) != want {
			t.Errorf("operations under k1 with %.12q: %s, want %d", who.key, got.body, want)
		}
	}
	first := p.payer.get("/v1/operations?limit=1&wallet_id=" + p.wallet)
	if data := first.get("data").([]any); data[0].(map[string]any)["sequence"] != json.Number("7") {
		t.Errorf("the newest is not first: %s", first.body)
	}
}

// pages reads every page and returns the IDs; none may come twice.
func (s *stack) pages(query string, limit int) (ids []string) {
	s.t.Helper()
	seen := map[string]bool{}
	for cursor := ""; ; {
		got := s.operator.get(fmt.Sprintf("/v1/operations?%s&limit=%d%s", query, limit, cursor)).want(s.t, http.StatusOK)
		data := got.get("data").([]any)
		for _, d := range data {
			id := d.(map[string]any)["id"].(string)
			if seen[id] {
				s.t.Errorf("%s: %s comes twice", query, id)
			}
			seen[id] = true
			ids = append(ids, id)
		}
		if got.text("has_more") != "true" {
			return ids
		}
		if len(data) != limit && !strings.Contains(query, "client_id=") { // a page of a client may end with a wallet
			s.t.Errorf("%s: a page of %d, want %d", query, len(data), limit)
		}
		cursor = "&cursor=" + got.text("next_cursor")
	}
}

// TestKeys takes keys through expiry and revocation.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	path := "/v1/wallets/" + p.wallet
	expires := s.clock.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	brief := p.payer.with(s.operator.post("/v1/api-keys", nil,
		`{"role":"client","client_id":"`+p.client+`","name":"brief","expires_at":"`+expires+`"}`).want(t, http.StatusCreated).text("secret"))
	brief.get(path).want(t, http.StatusOK)
	p.payer.get(path).want(t, http.StatusOK)

	s.exec("update api_keys set revoked_at = now() where client_id is not null and name = 'payer'")
	s.clock.advance(5 * time.Second)
	if got := p.payer.get(path).want(t, http.StatusUnauthorized); got.header.Get("WWW-Authenticate") == "" {
		t.Error("a 401 without WWW-Authenticate")
	}
	s.db.state.Store(down)
	s.clock.advance(time.Minute)
	brief.get(path).want(t, http.StatusUnauthorized) // expiry counts without the database
	p.payer.get(path).want(t, http.StatusUnauthorized)
	s.db.state.Store(up)

	good := p.shop.key
	swapped := "mon_merchant_" + strings.TrimPrefix(good, "mon_merchant_")[:30] + p.payer.key[len(p.payer.key)-50:]
	for _, bad := range []string{good[:len(good)-1], good + "x", swapped, "mon_merchant_x", strings.ToLower(good)} {
		p.shop.with(bad).post(p.charges(), nil, charge).want(t, http.StatusUnauthorized)
	}
	p.shop.do(http.MethodPost, p.charges(), headers{"Authorization": "Basic " + good}, charge).want(t, http.StatusUnauthorized)
	p.shop.do(http.MethodPost, p.charges(), headers{"Authorization": "bearer " + good}, charge).want(t, http.StatusAccepted)
}
