package ingest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRevokedKeyStops within 5 seconds on every replica, also where it was just used.
func TestRevokedKeyStops(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	path := "/v1/wallets/" + p.wallet
	replicas := []*api{p.payer, p.payer.at(s.serve())}
	keys := s.operator.get("/v1/api-keys?client_id="+p.client).want(t, http.StatusOK).get("data").([]any)
	id := keys[0].(map[string]any)["id"].(string)
	for _, r := range replicas {
		r.get(path).want(t, http.StatusOK)
	}
	s.clock.advance(time.Second)
	for _, r := range replicas { // read as late as it can be
		r.get(path).want(t, http.StatusOK)
	}
	revoked := s.operator.post("/v1/api-keys/"+id+"/revoke", nil, `{"note":"stolen"}`).want(t, http.StatusOK)
	if revoked.text("revoked_at") == "" {
		t.Errorf("the answer: %s", revoked.body)
	}
	const step = 500 * time.Millisecond
	stopped := make([]bool, len(replicas))
	for after := step; after <= 5*time.Second; after += step {
		s.clock.advance(step)
		for i, r := range replicas {
			switch status := r.get(path).status; {
			case status == http.StatusUnauthorized:
				stopped[i] = true
			case stopped[i]:
				t.Errorf("replica %d takes the key again after %s: %d", i, after, status)
			}
		}
	}
	if slices.Contains(stopped, false) {
		t.Errorf("5 s after it was revoked the key is taken still: %v", stopped)
	}
	again := s.operator.post("/v1/api-keys/"+id+"/revoke", nil, "").want(t, http.StatusOK)
	if again.text("revoked_at") != revoked.text("revoked_at") {
		t.Errorf("revoked a second time: %s", again.body)
	}
	s.operator.post("/v1/api-keys/"+id+"/rotate", nil, "").want(t, http.StatusConflict)
}

// TestRotation: the old key works for the overlap, the new one from now on, as often as the
// request is sent.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, other := s.people("Ada"), s.people("Bob")
	path := "/v1/wallets/" + p.wallet
	keys := p.payer.get("/v1/api-keys").want(t, http.StatusOK).get("data").([]any)
	if len(keys) != 1 {
		t.Fatalf("an owner sees %v", keys)
	}
	id := keys[0].(map[string]any)["id"].(string)
	other.payer.post("/v1/api-keys/"+id+"/rotate", nil, "").want(t, http.StatusNotFound)
	p.shop.post("/v1/api-keys/"+id+"/revoke", nil, "").want(t, http.StatusNotFound)

	h := headers{"Idempotency-Key": "this year"}
	made := p.payer.post("/v1/api-keys/"+id+"/rotate", h, `{"overlap_seconds":60}`).want(t, http.StatusCreated)
	next := p.payer.with(made.text("secret"))
	if made.text("id") == id || made.text("name") != "payer" || made.text("client_id") != p.client || made.text("expires_at") != "" {
		t.Errorf("the successor: %s", made.body)
	}
	replay := p.payer.post("/v1/api-keys/"+id+"/rotate", h, `{"overlap_seconds":60}`).want(t, http.StatusOK)
	if replay.text("id") != made.text("id") || replay.text("secret") != "" || replay.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a retry: %s", replay.body)
	}
	next.get(path).want(t, http.StatusOK)
	p.payer.get(path).want(t, http.StatusOK)
	s.clock.advance(59 * time.Second)
	p.payer.get(path).want(t, http.StatusOK)
	s.clock.advance(time.Second)
	p.payer.get(path).want(t, http.StatusUnauthorized)
	next.get(path).want(t, http.StatusOK)
	if got := next.post("/v1/api-keys/"+id+"/rotate", h, "").want(t, http.StatusOK); got.text("id") != made.text("id") {
		t.Errorf("a late retry: %s", got.body)
	}
	next.post("/v1/api-keys/"+id+"/rotate", nil, "").want(t, http.StatusConflict)

	// A key that ends has a successor that ends with it.
	expires := s.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	brief := s.operator.post("/v1/api-keys", nil, `{"role":"operator","name":"brief","expires_at":"`+expires+`"}`).want(t, http.StatusCreated)
	got := s.operator.with(brief.text("secret")).post("/v1/api-keys/"+brief.text("id")+"/rotate", nil, "").want(t, http.StatusCreated)
	if got.text("expires_at") != brief.text("expires_at") {
		t.Errorf("it outlives the old one: %s", got.body)
	}
	for _, body := range []string{`{"overlap_seconds":-1}`, `{"overlap_seconds":2592001}`, `{"note":"` + strings.Repeat("x", 2000) + `"}`} {
		s.operator.post("/v1/api-keys/"+got.text("id")+"/rotate", nil, body).want(t, http.StatusUnprocessableEntity)
	}
}

// TestRotationWithoutOverlap: the old key stops at once, which is within 5 seconds where it
// was just used; who says nothing of an overlap has a day.
func TestRotationWithoutOverlap(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	path := "/v1/wallets/" + p.wallet
	other := p.payer.at(s.serve())
	id := p.payer.get("/v1/api-keys").want(t, http.StatusOK).get("data").([]any)[0].(map[string]any)["id"].(string)
	other.get(path).want(t, http.StatusOK)
	h := headers{"Idempotency-Key": "stolen"}
	made := p.payer.post("/v1/api-keys/"+id+"/rotate", h, `{"overlap_seconds":0}`).want(t, http.StatusCreated)
	old := s.operator.get("/v1/api-keys/"+id).want(t, http.StatusOK)
	if old.text("expires_at") != made.text("created_at") {
		t.Errorf("the old key expires at %s, its successor was made at %s", old.text("expires_at"), made.text("created_at"))
	}
	s.clock.advance(5 * time.Second)
	p.payer.get(path).want(t, http.StatusUnauthorized)
	other.get(path).want(t, http.StatusUnauthorized)
	next := p.payer.with(made.text("secret"))
	next.get(path).want(t, http.StatusOK)
	if got := next.post("/v1/api-keys/"+id+"/rotate", h, `{"overlap_seconds":0}`).want(t, http.StatusOK); got.text("id") != made.text("id") {
		t.Errorf("a retry: %s", got.body)
	}
	next.post("/v1/api-keys/"+made.text("id")+"/rotate", nil, `{}`).want(t, http.StatusCreated)
	s.clock.advance(24*time.Hour - time.Second)
	next.get(path).want(t, http.StatusOK)
	s.clock.advance(time.Second)
	next.get(path).want(t, http.StatusUnauthorized)
}

// TestRegistryLists goes through every list, page by page.
func TestRegistryLists(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	var p people
	for i := range 3 {
		s.clock.advance(time.Second)
		p = s.people(fmt.Sprint("Ada ", i))
	}
	for path, want := range map[string]int{
		"/v1/clients": 3, "/v1/merchants": 3, "/v1/wallets": 3, "/v1/api-keys": 7, "/v1/api-keys?merchant_id=" + p.merchant: 1,
		"/v1/api-keys?client_id=" + p.client: 1, "/v1/audit": 16, "/v1/audit?only=changes": 13, "/v1/audit?about=" + p.client: 1, "/v1/audit?about=" + p.wallet: 1,
	} {
		for _, limit := range []int{1, 2, want, 200} {
			seen, pages := map[string]bool{}, 0
			for cursor := ""; ; pages++ {
				mark := "?"
				if strings.Contains(path, "?") {
					mark = "&"
				}
				got := s.operator.get(fmt.Sprintf("%s%slimit=%d%s", path, mark, limit, cursor)).want(t, http.StatusOK)
				for _, d := range got.get("data").([]any) {
					seen[fmt.Sprint(d)] = true
				}
				if got.text("has_more") != "true" {
					break
				}
				cursor = "&cursor=" + got.text("next_cursor")
			}
			if len(seen) != want || pages != (want-1)/limit {
				t.Errorf("%s by %d: %d in %d pages, want %d", path, limit, len(seen), pages+1, want)
			}
		}
	}
	newest := s.operator.get("/v1/clients?limit=1").get("data").([]any)[0].(map[string]any)["name"]
	if newest != "Ada 2" {
		t.Errorf("the first client of the list is %v", newest)
	}
	p.payer.get("/v1/clients/"+p.client).want(t, http.StatusOK)
	s.people("Bob").payer.get("/v1/clients/"+p.client).want(t, http.StatusNotFound)
	s.operator.get("/v1/api-keys?client_id="+p.client+"&merchant_id="+p.merchant).want(t, http.StatusNotFound)
	p.payer.get("/v1/api-keys?merchant_id="+p.merchant).want(t, http.StatusNotFound)
	s.operator.get("/v1/audit?about="+strings.Repeat("x", 65)).want(t, http.StatusUnprocessableEntity)
	for _, path := range []string{"/v1/clients", "/v1/merchants", "/v1/wallets", "/v1/audit"} {
		p.payer.get(path).want(t, http.StatusForbidden)
		p.shop.get(path).want(t, http.StatusForbidden)
	}
}

// TestSuspension: a suspended merchant's charges fail until it is resumed, and the audit log
// shows the merchant's charges and changes in the order of time.
func TestSuspension(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 100)
	merchant := "/v1/merchants/" + p.merchant
	charge := func(key, reason string) {
		t.Helper()
		got := p.shop.post(p.charges(), headers{"Idempotency-Key": key, "Prefer": "wait=30"}, `{"amount":1,"currency":"EUR"}`).want(t, http.StatusOK)
		if got.text("failure.reason") != reason {
			t.Errorf("%s: %s", key, got.body)
		}
	}
	charge("before", "")
	if got := s.operator.post(merchant+"/suspend", nil, `{"note":"Case 93"}`).want(t, http.StatusOK); got.text("suspended") != "true" {
		t.Errorf("suspended: %s", got.body)
	}
	s.operator.post(merchant+"/suspend", nil, "").want(t, http.StatusOK)
	charge("meanwhile", "merchant_suspended")
	s.operator.post(merchant+"/resume", nil, "").want(t, http.StatusOK)
	charge("after", "")
	s.operator.post("/v1/merchants/mer_01hzy3v7k2m4n6p8q0r2s4t6v8/suspend", nil, "").want(t, http.StatusNotFound)
	p.shop.post(merchant+"/resume", nil, "").want(t, http.StatusForbidden)

	for _, limit := range []int{1, 2, 3, 50} {
		var actions []string
		var times []string
		for cursor := ""; ; {
			got := s.operator.get(fmt.Sprintf("/v1/audit?about=%s&limit=%d%s", p.merchant, limit, cursor)).want(t, http.StatusOK)
			for _, d := range got.get("data").([]any) {
				entry := d.(map[string]any)
				actions, times = append(actions, entry["action"].(string)), append(times, entry["at"].(string))
				if entry["action"] == "merchant_suspended" && (entry["note"] != "Case 93" || entry["key_id"] == nil || entry["request_id"] == nil) {
					t.Errorf("the suspension: %v", entry)
				}
			}
			if got.text("has_more") != "true" {
				break
			}
			cursor = "&cursor=" + got.text("next_cursor")
		}
		slices.Sort(actions)
		if want := []string{"charge", "charge", "charge", "merchant_created", "merchant_resumed", "merchant_suspended"}; !slices.Equal(actions, want) {
			t.Errorf("by %d: %v", limit, actions)
		}
		if !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("by %d, not newest first: %v", limit, times)
		}
	}
}
