package system

import (
	"net/http"
	"testing"
)

// TestANewLogIsToldFromTheOneBefore resubmits a top-up so that it comes to the very
// offset in a new log that it had in the one before. It is a retry all the same; and
// an offset that only the log before had says nothing of this one.
func TestANewLogIsToldFromTheOneBefore(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	p.recreateTopic()
	for _, partition := range []string{"0", "1"} {
		p.setProgress("--partition", partition, "--offset", "0", "--new-log")
	}
	wallet := p.wallets[0].String()
	headers := map[string]string{"Idempotency-Key": "funding of " + wallet, "Prefer": "wait=30"}
	body := map[string]any{"amount": 100, "currency": "EUR"}
	status, o, err := p.shop.operator.call(t.Context(), http.MethodPost, "/v1/wallets/"+wallet+"/top-ups", headers, body)
	if err != nil || status != http.StatusOK || o.Status != "accepted" || !o.Replayed {
		t.Errorf("the top-up of the log before: %d %s %s, replayed %v, %v", status, o.Status, o.Code, o.Replayed, err)
	}
	id, err := p.shop.till.charge(t.Context(), wallet, "pending", 1)
	p.must(err)
	for query, want := range map[string]int64{"": 2, "?offset=1": 1, "?offset=1000": 2} {
		_, o, err := p.shop.till.call(t.Context(), http.MethodGet, "/v1/operations/"+id+query, nil, nil)
		if err != nil || o.RecordsAhead == nil || *o.RecordsAhead != want {
			t.Errorf("%q: %v records ahead, want %d, %v", query, o.RecordsAhead, want, err)
		}
	}
	p.processor()
	if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
		t.Errorf("the charge is %s, %v", o.Status, err)
	}
	p.monedero("verify")
}
