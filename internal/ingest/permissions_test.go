package ingest_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/monedero/monedero/internal/ledger"
)

// fixture is how a test asks for an operation of the API. What stands in braces, here and in the
// path of the document, is filled in with things of somebody; see [things].
type fixture struct {
	query, body string
	none        int    // the answer to who may reach everything, where there is no such thing; 0: 404
	kind        string // of the body; empty: JSON
	each        bool   // whose things they are is answered in the body, for each
}

// fixtures has a line for each operation of the API.
func fixtures() map[string]fixture {
	return map[string]fixture{
		"charge":           {body: `{"amount":1,"currency":"EUR"}`, none: http.StatusAccepted},
		"refund":           {body: `{"charge":"{id}"}`, none: http.StatusUnprocessableEntity},
		"hold":             {body: `{"amount":1,"currency":"EUR"}`, none: http.StatusAccepted},
		"capture":          {body: `{"hold":"{id}"}`, none: http.StatusUnprocessableEntity},
		"release":          {body: `{"hold":"{id}"}`, none: http.StatusUnprocessableEntity},
		"charge-batch":     {body: `{"wallet_id":"{wallet}","idempotency_key":"x","amount":1,"currency":"EUR"}`, kind: lines, none: http.StatusAccepted, each: true},
		"top-up":           {body: `{"amount":1,"currency":"EUR"}`, none: http.StatusAccepted},
		"withdraw":         {body: `{"amount":1,"currency":"EUR"}`, none: http.StatusAccepted},
		"freeze-wallet":    {},
		"unfreeze-wallet":  {},
		"close-wallet":     {},
		"set-credit-limit": {body: `{"credit_limit":1,"currency":"EUR"}`},
		"put-mandate":      {body: `{"currency":"EUR"}`},
		"revoke-mandate":   {}, "get-mandate": {}, "list-mandates": {},
		"get-operation":     {},
		"explain-operation": {},
		"lookup-operations": {body: `{"ids":["{id}"]}`, each: true},
		"list-operations":   {query: "?wallet_id={wallet}&merchant_id={merchant}", none: http.StatusOK},
		"get-wallet":        {},
		"get-statement":     {},
		"get-settlement":    {},
		"get-account":       {},
		"get-merchant":      {},
		"create-client":     {body: `{"name":"x"}`},
		"create-merchant":   {body: `{"name":"x","client_id":"{client}"}`, none: http.StatusUnprocessableEntity},
		"open-wallet":       {body: `{"client_id":"{client}","currency":"EUR"}`, none: http.StatusUnprocessableEntity},
		"create-api-key":    {body: `{"role":"merchant","merchant_id":"{merchant}","name":"x"}`, none: http.StatusUnprocessableEntity},
		"list-clients":      {}, "get-client": {}, "list-merchants": {}, "list-wallets": {}, "list-api-keys": {},
		"suspend-merchant": {}, "resume-merchant": {}, "get-api-key": {}, "rotate-api-key": {}, "revoke-api-key": {},
		"list-audit": {query: "?about={merchant}", none: http.StatusOK},
	}
}

// things are what may stand in braces: things of somebody, each made by a function, so that a
// request that uses one up leaves the others theirs. Of some there is one for each role.
type things map[string]func(role ledger.Role) string

// thingsOf are the things of people that are there, of which charged is an operation.
func (s *stack) thingsOf(p people, charged string) things {
	same := func(id string) func(ledger.Role) string { return func(ledger.Role) string { return id } }
	owned := s.operator.post("/v1/merchants", nil, `{"name":"x","client_id":"`+p.client+`"}`).want(s.t, http.StatusCreated).text("id")
	p.payer.do(http.MethodPut, "/v1/wallets/"+p.wallet+"/mandates/"+owned, nil, `{"currency":"EUR"}`).want(s.t, http.StatusOK)
	return things{
		"wallet": same(p.wallet), "client": same(p.client), "id": same(charged),
		"merchant": func(role ledger.Role) string {
			if role == ledger.RoleClient {
				return owned
			}
			return p.merchant
		},
		"key": func(role ledger.Role) string {
			body := `{"role":"merchant","merchant_id":"` + p.merchant + `","name":"x"}`
			if role == ledger.RoleClient {
				body = `{"role":"client","client_id":"` + p.client + `","name":"x"}`
			}
			return s.operator.post("/v1/api-keys", nil, body).want(s.t, http.StatusCreated).text("id")
		},
	}
}

// nothings are things that are not there.
func nothings() things {
	id := func(text func(uuid.UUID) string) func(ledger.Role) string {
		return func(ledger.Role) string { return text(uuid.New()) }
	}
	return things{
		"wallet":   id(func(id uuid.UUID) string { return ledger.WalletID(id).String() }),
		"client":   id(func(id uuid.UUID) string { return ledger.ClientID(id).String() }),
		"merchant": id(func(id uuid.UUID) string { return ledger.MerchantID(id).String() }),
		"key":      id(func(id uuid.UUID) string { return ledger.KeyID(id).String() }),
		"id":       id(func(id uuid.UUID) string { return ledger.OperationID(id).String() }),
	}
}

var braces = regexp.MustCompile(`\{(\w+)\}`)

// fill fills in the text; named says whether it names a thing at all.
func (x things) fill(text string, role ledger.Role) (filled string, named bool) {
	filled = braces.ReplaceAllStringFunc(text, func(found string) string {
		if thing := x[strings.Trim(found, "{}")]; thing != nil {
			return thing(role)
		}
		return found
	})
	return filled, filled != text
}

// TestPermissions asks for every operation that the document knows, under every role and without a
// key, with things of the caller's own, with another's, and with some that are not there. The answers
// follow from the table of permissions.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	ada, bob := s.mandated("Ada"), s.mandated("Bob")
	charged := func(p people) string {
		return p.shop.post(p.charges(), headers{"Idempotency-Key": "first", "Prefer": "wait=30"}, charge).want(t, http.StatusOK).text("id")
	}
	belonging := map[string]things{"own": s.thingsOf(ada, charged(ada)), "other's": s.thingsOf(bob, charged(bob)), "none": nothings()}
	callers := map[ledger.Role]*api{
		ledger.RoleMerchant: ada.shop, ledger.RoleClient: ada.payer, ledger.RoleOperator: s.operator, "": s.operator.with(""),
	}

	untried := fixtures()
	unserved := map[string]bool{}
	for _, p := range ledger.Permissions() {
		unserved[p.Operation] = true
	}
	cells := 0
	doc := published()
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, route := range doc.Paths[path] {
			operation := route.OperationID
			f, ok := untried[operation]
			if !ok || !unserved[operation] {
				t.Errorf("%s %s: %q has no fixture, or no row in the table of permissions", method, path, operation)
				continue
			}
			delete(untried, operation)
			delete(unserved, operation)
			for role, who := range callers {
				for whose, x := range belonging {
					ask, named := x.fill(path+f.query+"\n"+f.body, role)
					at, body, _ := strings.Cut(ask, "\n")
					var h headers
					if method != "get" {
						h = headers{"Idempotency-Key": fmt.Sprint(operation, role, whose)}
					}
					if f.kind != "" {
						h["Content-Type"] = f.kind
					}
					got := who.do(strings.ToUpper(method), at, h, body)
					if f.each && got.status == http.StatusOK {
						got.status = itemStatus(t, got)
					}
					if want := f.statusOf(operation, role, whose, named); got.status != want && (want != http.StatusOK || got.status/100 != 2) {
						t.Errorf("%s as %q, whose: %s: %d, want %d: %s", operation, role, whose, got.status, want, got.body)
					}
					cells++
				}
			}
		}
	}
	for operation := range untried {
		t.Errorf("there is no operation %q to try", operation)
	}
	for operation := range unserved {
		t.Errorf("there is no operation %q that anybody may do", operation)
	}
	if want := len(fixtures()) * len(callers) * len(belonging); cells != want {
		t.Errorf("%d cells of %d were tried", cells, want)
	}
}

// itemStatus is the status of the first item of an answer.
func itemStatus(t *testing.T, got answer) int {
	t.Helper()
	if data, ok := got.get("data").([]any); ok && len(data) > 0 {
		first, _ := data[0].(map[string]any)
		got.body = fmt.Sprintf(`{"status":%v}`, first["status"])
	}
	status, err := strconv.Atoi(got.text("status"))
	if err != nil {
		t.Errorf("no status of an item: %s", got.body)
	}
	return status
}

// statusOf is the status that follows from the table of permissions; 200 stands for any success.
func (f fixture) statusOf(operation string, role ledger.Role, whose string, named bool) int {
	reach := ledger.PermissionFor(operation).Reach(role)
	switch {
	case role == "":
		return http.StatusUnauthorized
	case reach == ledger.ReachNone:
		return http.StatusForbidden
	case whose == "own" || !named:
		return http.StatusOK
	case reach == ledger.ReachOwn:
		return http.StatusNotFound
	case whose == "none":
		if f.none == 0 {
			return http.StatusNotFound
		}
		return f.none
	}
	return http.StatusOK
}
