package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/monedero/monedero/internal/ledger"
)

const lookupPath = "/v1/operations/lookup"

// found is an answer to a look-up.
type found struct {
	Data []result
	Done bool
	More bool `json:"has_more"`
}

func (a *api) lookUp(t *testing.T, wait string, ids ...string) (f found, got answer) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	h := headers{}
	if wait != "" {
		h["Prefer"] = "wait=" + wait
	}
	got = a.post(lookupPath, h, string(body)).want(t, http.StatusOK)
	if err := json.Unmarshal([]byte(got.body), &f); err != nil {
		t.Fatal(err)
	}
	return f, got
}

// TestLookUpSaysOfEachWhatARequestForItWould asks for operations of every sort at once.
func TestLookUpSaysOfEachWhatARequestForItWould(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	ada, bob := s.people("Ada"), s.people("Bob")
	s.fund(ada, 100)
	key := func(k string) headers { return headers{"Idempotency-Key": k, "Prefer": "wait=30"} }
	accepted := ada.shop.post(ada.charges(), key("a"), charge).want(t, http.StatusOK).text("id")
	failed := ada.shop.post(ada.charges(), key("b"), `{"amount":1000,"currency":"EUR"}`).want(t, http.StatusOK).text("id")
	others := bob.shop.post(bob.charges(), key("c"), charge).want(t, http.StatusOK).text("id")
	ids := []string{failed, others, "op_nonsense", ledger.OperationID(uuid.New()).String(), accepted, failed}
	for name, who := range map[string]*api{"merchant": ada.shop, "client": ada.payer, "operator": s.operator} {
		got, _ := who.lookUp(t, "", ids...)
		if len(got.Data) != len(ids) || !got.Done || got.More {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, r := range got.Data {
			alone := who.get("/v1/operations/" + ids[i])
			if r.Status != alone.status || r.Operation.ID != alone.text("id") || r.Operation.Status != map[bool]string{true: alone.text("status")}[alone.status == http.StatusOK] || r.Problem.Code != alone.text("code") {
				t.Errorf("%s: %+v, alone %d %s", name, r, alone.status, alone.body)
			}
		}
		if at := got.Data[2].place(); at != "body.ids[2]" {
			t.Errorf("%s: the fault is at %q", name, at)
		}
	}
	tooMany := `{"ids":["` + strings.Repeat(accepted+`","`, 1000) + accepted + `"]}`
	for _, body := range []string{`{}`, `{"ids":[]}`, `{"ids":"` + accepted + `"}`, `{"ids":[1]}`, `{"ids":["` + accepted + `",""]}`, tooMany} {
		ada.shop.post(lookupPath, nil, body).want(t, http.StatusUnprocessableEntity)
	}
	// It is no operation.
	for method, want := range map[string]int{http.MethodGet: http.StatusMethodNotAllowed, http.MethodHead: http.StatusMethodNotAllowed, http.MethodDelete: http.StatusMethodNotAllowed} {
		if got := ada.shop.do(method, lookupPath, nil, ""); got.status != want || got.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d, Allow: %s", method, got.status, got.header.Get("Allow"))
		}
	}
}

// TestLookUpWaitsForAll waits for many operations, of which none is decided at first: until time is up, and until all are.
func TestLookUpWaitsForAll(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	const n = 500
	var batch strings.Builder
	for i := range n {
		fmt.Fprintln(&batch, p.item(fmt.Sprint(i), 1))
	}
	var ids []string
	for _, r := range results(t, p.shop.post(batchPath, asBatch(), batch.String())) {
		ids = append(ids, r.Operation.ID)
	}
	early, got := p.shop.lookUp(t, "1", ids...)
	if early.Done || got.header.Get("Retry-After") == "" || got.header.Get("Preference-Applied") != "wait=1" || len(early.Data) != n || early.Data[0].Operation.Status != "pending" {
		t.Errorf("while nothing is decided: %v %.500s", got.header, got.body)
	}
	before := s.db.decided.Load()
	answered := make(chan found, 1)
	start := time.Now()
	go func() {
		got, _ := p.shop.lookUp(t, "30", ids...)
		answered <- got
	}()
	s.settle()
	all := <-answered
	if !all.Done || time.Since(start) > 25*time.Second {
		t.Errorf("done %v after %v", all.Done, time.Since(start))
	}
	for i, r := range all.Data {
		if r.Operation.ID != ids[i] || r.Operation.Status != "failed" {
			t.Fatalf("the %dth: %+v", i, r)
		}
	}
	// As many as it takes to wait for one, some for all of them, and some to read them.
	if queries, most := s.db.decided.Load()-before, int64(2*time.Since(start)/(20*time.Millisecond))+30; queries > most {
		t.Errorf("%d queries, want %d at most", queries, most)
	}
}

// TestLookUpIsBounded asks for more than one answer may hold: it ends early, and says so.
func TestLookUpIsBounded(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	metadata := map[string]string{}
	for i := range 20 {
		metadata[fmt.Sprint("k", i)] = strings.Repeat("x", 500)
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	const n = 300 // of 10 KB each
	var batch strings.Builder
	for i := range n {
		fmt.Fprintf(&batch, `{"wallet_id":%q,"idempotency_key":"%d","amount":1,"currency":"EUR","metadata":%s}`+"\n", p.wallet, i, text)
	}
	var ids []string
	for _, r := range results(t, p.shop.post(batchPath, asBatch(), batch.String())) {
		ids = append(ids, r.Operation.ID)
	}
	seen := 0
	for len(ids) > 0 {
		got, raw := p.shop.lookUp(t, "30", ids...)
		if !got.Done || len(got.Data) == 0 || got.More != (len(got.Data) < len(ids)) || len(raw.body) > 4<<20 {
			t.Fatalf("%d of %d, %d bytes: %v %v", len(got.Data), len(ids), len(raw.body), got.Done, got.More)
		}
		seen += len(got.Data)
		ids = ids[len(got.Data):]
	}
	if seen != n {
		t.Errorf("%d of %d", seen, n)
	}
}
