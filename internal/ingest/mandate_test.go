package ingest_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/monedero/monedero/internal/ledger"
)

// TestMandates follows a mandate from its first grant to its end.
func TestMandates(t *testing.T) {
	t.Parallel()
	s := newStackAt(t, time.Date(2026, 1, 30, 23, 0, 0, 0, time.UTC))
	s.settle()
	p, other := s.peopleOf("Ada", "mandated"), s.people("Bob")
	s.fund(p, 10_000)
	n := 0
	ask := func(what, body, reason string) answer {
		t.Helper()
		n++
		a := p.shop.post("/v1/wallets/"+p.wallet+"/"+what, headers{"Idempotency-Key": fmt.Sprint(n), "Prefer": "wait=30"}, body).want(t, http.StatusOK)
		if a.text("failure.reason") != reason {
			t.Errorf("%s %s: want %q: %s", what, body, reason, a.body)
		}
		return a
	}
	charge := func(amount int, reason string) answer {
		t.Helper()
		return ask("charges", fmt.Sprintf(`{"amount":%d,"currency":"EUR"}`, amount), reason)
	}
	put := func(who *api, body string) answer { return who.do(http.MethodPut, p.mandate(), nil, body) }
	shows := func(want string) {
		t.Helper()
		for name, who := range map[string]*api{"merchant": p.shop, "client": p.payer, "operator": s.operator} {
			m := who.get(p.mandate()).want(t, http.StatusOK)
			got := strings.Join([]string{m.text("status"), m.text("used_today"), m.text("used_this_month"), m.text("used_total")}, " ")
			if got != want {
				t.Errorf("the %s sees %s, want %s: %s", name, got, want, m.body)
			}
		}
	}
	if w := p.payer.get("/v1/wallets/" + p.wallet); w.text("charges") != "mandated" {
		t.Errorf("the wallet: %s", w.body)
	}
	charge(1, "mandate_required")
	p.shop.get(p.mandate()).want(t, http.StatusNotFound)
	p.payer.get(p.mandate()).want(t, http.StatusNotFound)
	put(p.shop, `{"currency":"EUR"}`).want(t, http.StatusForbidden)
	put(other.payer, `{"currency":"EUR"}`).want(t, http.StatusNotFound)

	grant := put(p.payer, `{"currency":"EUR","max_amount":500,"per_day":600,"per_month":900,"total":1500,"valid_until":"2026-03-01T00:00:00Z"}`).want(t, http.StatusOK)
	if grant.text("status") != "accepted" || grant.text("kind") != "grant" || grant.text("limits.per_day") != "600" || grant.text("asked_by.role") != "client" {
		t.Errorf("the grant: %s", grant.body)
	}
	shows("active 0 0 0")
	if a := charge(501, "mandate_limit_exceeded"); a.text("failure.limit") != "max_amount" || a.text("failure.limit_left") != "500" {
		t.Errorf("too much at once: %s", a.body)
	}
	charge(400, "")
	if a := charge(201, "mandate_limit_exceeded"); a.text("failure.limit") != "per_day" || a.text("failure.limit_left") != "200" {
		t.Errorf("too much in a day: %s", a.body)
	}
	hold := ask("holds", `{"amount":200,"currency":"EUR","expires_in":3600}`, "").text("id")
	shows("active 600 600 600")
	ask("captures", `{"hold":"`+hold+`","amount":50,"currency":"EUR"}`, "") // and 150 come back
	shows("active 450 450 450")

	s.clock.advance(2 * time.Hour) // the next day, the same month
	shows("active 0 450 450")
	if a := charge(451, "mandate_limit_exceeded"); a.text("failure.limit") != "per_month" || a.text("failure.limit_left") != "450" {
		t.Errorf("too much in a month: %s", a.body)
	}
	charge(450, "")
	s.clock.advance(24 * time.Hour) // February
	shows("active 0 0 900")
	charge(500, "")
	if a := charge(101, "mandate_limit_exceeded"); a.text("failure.limit") != "per_day" {
		t.Errorf("of two limits: %s", a.body)
	}
	s.clock.advance(24 * time.Hour)
	if a := charge(101, "mandate_limit_exceeded"); a.text("failure.limit") != "total" || a.text("failure.limit_left") != "100" {
		t.Errorf("too much in all: %s", a.body)
	}
	put(s.operator, `{"currency":"EUR","total":1600,"valid_until":"2026-03-01T00:00:00Z","note":"by phone"}`).want(t, http.StatusOK)
	held := ask("holds", `{"amount":200,"currency":"EUR","expires_in":2592000}`, "").text("id")
	shows("active 200 700 1600")
	s.clock.advance(30 * 24 * time.Hour)
	shows("expired 0 0 1600")
	charge(1, "mandate_expired")
	put(p.payer, `{"currency":"EUR"}`).want(t, http.StatusOK)
	charge(1, "")
	other.payer.do(http.MethodDelete, p.mandate(), nil, "").want(t, http.StatusNotFound)
	s.db.state.Store(busy) // no read is before it
	revoked := p.payer.do(http.MethodDelete, p.mandate(), headers{"Idempotency-Key": "end"}, "").want(t, http.StatusOK)
	if revoked.text("kind") != "revoke" || revoked.text("status") != "accepted" {
		t.Errorf("the revocation: %s", revoked.body)
	}
	s.db.state.Store(up)
	again := p.payer.do(http.MethodDelete, p.mandate(), headers{"Idempotency-Key": "end"}, "").want(t, http.StatusOK)
	if again.text("id") != revoked.text("id") || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the revocation again: %s", again.body)
	}
	if gone := p.payer.do(http.MethodDelete, p.mandate(), nil, "").want(t, http.StatusOK); gone.text("failure.reason") != "mandate_not_found" {
		t.Errorf("one more: %s", gone.body)
	}
	charge(1, "mandate_required")
	ask("holds", `{"amount":1,"currency":"EUR"}`, "mandate_required")
	ask("captures", `{"hold":"`+held+`","amount":30,"currency":"EUR"}`, "") // the money was promised before
	shows("revoked 1 1 1431")
	if list := p.payer.get("/v1/wallets/"+p.wallet+"/mandates").want(t, http.StatusOK); len(list.get("data").([]any)) != 1 {
		t.Errorf("the list: %s", list.body)
	}
	if report, err := s.db.Verify(t.Context()); err != nil || !report.OK() {
		t.Errorf("verify: %v %v", report, err)
	}
}

// TestMandateFaults: what cannot be meant is refused, and what would have no effect fails.
func TestMandateFaults(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p, open := s.peopleOf("Ada", "mandated"), s.people("Bob")
	for _, c := range []struct {
		who         *api
		body, place string
	}{
		{p.payer, `{}`, "body.currency"},
		{p.payer, `{"currency":"EUR","max_amount":0}`, "body.max_amount"},
		{p.payer, `{"currency":"EUR","per_day":-1}`, "body.per_day"},
		{p.payer, `{"currency":"EUR","per_month":9007199254740992}`, "body.per_month"},
		{p.payer, `{"currency":"EUR","note":"x"}`, "body.note"},
		{s.operator, `{"currency":"EUR","valid_until":"1969-12-31T00:00:00Z"}`, "body.valid_until"},
	} {
		got := c.who.do(http.MethodPut, p.mandate(), nil, c.body).want(t, http.StatusUnprocessableEntity)
		if !strings.Contains(got.body, `"`+c.place+`"`) {
			t.Errorf("%s: %s", c.body, got.body)
		}
	}
	fails := func(a answer, reason ledger.Reason) {
		t.Helper()
		if a.want(t, http.StatusOK).text("failure.reason") != string(reason) {
			t.Errorf("want %s: %s", reason, a.body)
		}
	}
	fails(p.payer.do(http.MethodPut, p.mandate(), nil, `{"currency":"USD"}`), ledger.ReasonCurrencyMismatch)
	fails(open.payer.do(http.MethodPut, open.mandate(), nil, `{"currency":"EUR"}`), ledger.ReasonWalletNotMandated)
	// What gave the merchant nothing does not tell it that there is the wallet.
	failed := p.payer.do(http.MethodPut, p.mandate(), nil, `{"currency":"USD","description":"read this"}`).want(t, http.StatusOK).text("id")
	p.payer.get("/v1/operations/"+failed).want(t, http.StatusOK)
	p.shop.get("/v1/operations/"+failed).want(t, http.StatusNotFound)
	p.shop.get("/v1/operations/"+failed+"/explain").want(t, http.StatusNotFound)
	for _, query := range []string{"", "?kind=grant", "?wallet_id=" + p.wallet} {
		if list := p.shop.get("/v1/operations"+query).want(t, http.StatusOK); len(list.get("data").([]any)) != 0 {
			t.Errorf("%s lists a grant that failed: %s", query, list.body)
		}
	}
	nobody := "/v1/wallets/" + p.wallet + "/mandates/" + ledger.MerchantID(uuid.New()).String()
	fails(p.payer.do(http.MethodPut, nobody, nil, `{"currency":"EUR"}`), ledger.ReasonMerchantNotFound)
	s.operator.post("/v1/wallets", nil, `{"client_id":"`+p.client+`","currency":"EUR","charges":"nobody"}`).want(t, http.StatusUnprocessableEntity)
	if w := s.operator.post("/v1/wallets", nil, `{"client_id":"`+p.client+`","currency":"EUR"}`).want(t, http.StatusCreated); w.text("charges") != "mandated" {
		t.Errorf("a wallet by default: %s", w.body)
	}
}

// stranger asks, as a new merchant, for everything there is of a wallet that gave it no mandate. What it is told does not name
// the wallet, nor what goes by chance or time. The owner is the merchant's, if it is a client.
func stranger(t *testing.T, s *stack, owner string, suspended bool, wallet string) []string {
	t.Helper()
	var told []string
	merchant := s.operator.post("/v1/merchants", nil, `{"name":"x"`+owner+`}`).want(t, http.StatusCreated).text("id")
	shop := s.operator.with(s.operator.post("/v1/api-keys", nil, `{"role":"merchant","merchant_id":"`+merchant+`","name":"x"}`).text("secret"))
	if suspended {
		s.operator.post("/v1/merchants/"+merchant+"/suspend", nil, "").want(t, http.StatusOK)
	}
	path := "/v1/wallets/" + wallet
	const amount = `"amount":5,"currency":"EUR"`
	say := func(name string, a answer) answer {
		t.Helper()
		text := fmt.Sprint(name, " ", a.status, " ", a.header.Get("Retry-After"), a.header.Get("Idempotent-Replayed"), a.header.Get("Preference-Applied"), " ", a.body)
		text = strings.ReplaceAll(text, wallet, "the wallet")
		told = append(told, chance.ReplaceAllString(text, "..."))
		return a
	}
	ask := func(verb, key, body string) answer {
		t.Helper()
		s.clock.advance(time.Millisecond)                                               // the order of a list is that of the decisions
		if key != "c6" && (verb == "charges" || verb == "holds" || verb == "refunds") { // that one is decided by then, or not
			say("dry run of "+verb+" "+key, shop.post(path+"/"+verb+"?dry_run=true", headers{"Idempotency-Key": key}, body))
		}
		return say(verb+" "+key, shop.post(path+"/"+verb, headers{"Idempotency-Key": key, "Prefer": "wait=30"}, body))
	}
	charged := ask("charges", "c1", `{`+amount+`,"invoice":"INV-1"}`).text("id")
	ask("charges", "c1", `{`+amount+`,"invoice":"INV-1"}`)
	ask("charges", "c1", `{`+amount+`,"invoice":"INV-2"}`)
	ask("charges", "c2", `{`+amount+`,"invoice":"INV-1"}`)
	ask("charges", "c3", `{"amount":5,"currency":"USD"}`)
	ask("charges", "c4", `{"amount":9007199254740991,"currency":"EUR"}`)
	late := ask("charges", "c5", `{`+amount+`,"apply_before":"2020-01-01T00:00:00Z"}`).text("id")
	held := ask("holds", "h1", `{`+amount+`,"invoice":"INV-1"}`).text("id")
	ask("holds", "h2", `{"amount":5,"currency":"USD","expires_in":60}`)
	for i, of := range []string{charged, late, held} {
		for _, part := range []string{``, `,` + amount, `,"amount":5,"currency":"USD"`} {
			key := fmt.Sprint("of ", i, part)
			ask("refunds", "b"+key, `{"charge":"`+of+`"`+part+`}`)
			ask("captures", "p"+key, `{"hold":"`+of+`"`+part+`}`)
			ask("releases", "r"+key, `{"hold":"`+of+`"`+part+`}`)
		}
	}
	s.clock.advance(time.Millisecond)
	say("pending", shop.post(path+"/charges", headers{"Idempotency-Key": "c6"}, `{`+amount+`}`))
	// Whether it is told that it was decided, or queued, is a matter of time.
	shop.post("/v1/charges/batch", headers{"Content-Type": lines}, `{"wallet_id":"`+wallet+`","idempotency_key":"c1",`+amount+`,"invoice":"INV-1"}`).want(t, http.StatusOK)
	ask("charges", "c6", `{`+amount+`}`)
	for _, id := range []string{charged, late, held} {
		say("operation", shop.get("/v1/operations/"+id))
		say("explain", shop.get("/v1/operations/"+id+"/explain"))
	}
	say("look-up", shop.post("/v1/operations/lookup", nil, `{"ids":["`+charged+`","`+held+`"]}`))
	for _, query := range []string{"", "&kind=charge", "&invoice=INV-1", "&reason=mandate_required", "&idempotency_key=c1"} {
		list := "/v1/operations?wallet_id=" + wallet + query
		say("list"+query, shop.get(list))
		say("CSV"+query, shop.do(http.MethodGet, list, headers{"Accept": "text/csv"}, ""))
		page := say("page"+query, shop.get(list+"&limit=3"))
		if page.text("next_cursor") != "" {
			say("next page"+query, shop.get(list+"&limit=3&cursor="+page.text("next_cursor")))
		}
	}
	for _, what := range []string{"", "/statement", "/mandates", "/mandates/" + merchant} {
		say("read"+what, shop.get(path+what))
	}
	say("revoke", shop.do(http.MethodDelete, path+"/mandates/"+merchant, nil, ""))
	return told
}

// chance is what differs between two requests that are told the same.
var chance = regexp.MustCompile(`(op|req|key|mer|wal)_[0-9a-z]{16,26}|\d{4}-\d\d-\d\dT[0-9:.]+Z|"(partition|offset|records_ahead|decided_in_seconds)":\d+,?|"next_cursor":"[^"]+"|partition \d+, log \d+, offset \d+`)

// TestAStrangerLearnsNothingOfAWallet: a merchant that a wallet never gave a mandate is told the same of it, whatever it is,
// as of a wallet that is not there.
func TestAStrangerLearnsNothingOfAWallet(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	ada, bob := s.mandated("Ada"), s.people("Bob")
	s.fund(ada, 1000)
	ada.shop.post(ada.charges(), headers{"Idempotency-Key": "c1", "Prefer": "wait=30"}, `{"amount":5,"currency":"EUR","invoice":"INV-1"}`).want(t, http.StatusOK)
	opened := func(name, currency string) string {
		return s.operator.post("/v1/wallets", headers{"Idempotency-Key": name}, `{"client_id":"`+ada.client+`","currency":"`+currency+`"}`).want(t, http.StatusCreated).text("id")
	}
	frozen, closed := opened("frozen", "EUR"), opened("closed", "EUR")
	s.operator.post("/v1/wallets/"+frozen+"/freeze", nil, "").want(t, http.StatusOK)
	s.operator.post("/v1/wallets/"+closed+"/close", nil, "").want(t, http.StatusOK)
	worlds := map[string]string{
		"with money, and charged by another": ada.wallet, "empty": opened("empty", "EUR"), "in another currency": opened("dollars", "USD"),
		"frozen": frozen, "closed": closed,
	}
	none := func() string { return ledger.WalletID(uuid.New()).String() }
	want := stranger(t, s, "", false, none())
	for name, wallet := range worlds {
		if diff := cmp.Diff(want, stranger(t, s, "", false, wallet)); diff != "" {
			t.Errorf("a wallet that is %s (-none +it):\n%s", name, diff)
		}
	}
	own := `,"client_id":"` + ada.client + `"`
	if diff := cmp.Diff(stranger(t, s, own, false, none()), stranger(t, s, own, false, ada.wallet)); diff != "" {
		t.Errorf("to its owner's merchant (-none +it):\n%s", diff)
	}
	if diff := cmp.Diff(stranger(t, s, "", true, none()), stranger(t, s, "", true, frozen)); diff != "" {
		t.Errorf("to a suspended merchant (-none +it):\n%s", diff)
	}
	// At the door, once the budget for wallets that are not there is spent.
	const tries = 400
	refused := func(wallet string) bool {
		a := bob.shop.post("/v1/wallets/"+wallet+"/charges", headers{"Idempotency-Key": uuid.NewString()}, `{"amount":1,"currency":"EUR"}`)
		if a.status == http.StatusTooManyRequests && !strings.Contains(a.body, "mandate_required") {
			t.Errorf("it says something else: %s", a.body)
		}
		return a.status == http.StatusTooManyRequests
	}
	spent := false
	for n := 0; n < tries && !spent; n++ {
		spent = refused(ledger.WalletID(uuid.New()).String())
		time.Sleep(time.Millisecond)
	}
	if !spent {
		t.Fatal("the budget is not spent")
	}
	for name, wallet := range worlds {
		for range 3 { // it is looked for after the first one
			if !refused(wallet) {
				t.Errorf("a wallet that is %s is let in", name)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if !soon(func() bool { return !refused(bob.wallet) }) {
		t.Error("a wallet that anyone may charge is not let in")
	}
}

// soon asks again for a few seconds.
func soon(is func() bool) bool {
	for range 100 {
		if is() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
