package ingest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/monedero/monedero/internal/ledger"
)

// route is one operation of the API.
type route struct {
	method, path string
	id           string // its name in the OpenAPI document, under which [ledger.Permissions] says who may
	summary      string
	description  string
	status       int          // of a success; 202: it is to be queued
	body         reflect.Type // nil: it takes none
	bodyOptional bool
	keyRequired  bool         // it needs an Idempotency-Key, whatever its body says
	dryRun       bool         // it may be tried without being queued
	page         bool         // it answers with a page that may be large
	table        reflect.Type // of a page as JSON, where a caller may ask for all of the list as CSV; nil: there is no CSV
	codes        []Code       // of its problems, besides those that any route has
}

// routes builds the router, and with it the OpenAPI document.
func (s *Server) routes() (http.Handler, error) {
	r := chi.NewRouter()
	r.Use(identify, s.observe, patient, s.literally(r), middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		refuse(CodeNotFound, "there is nothing under this path").problem(requestID(r.Context())).write(w)
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, q *http.Request) {
		known := s.allowed(r, q.URL.Path)
		if len(known) == 0 { // nothing is there under any method
			r.NotFoundHandler()(w, q)
			return
		}
		w.Header().Set("Allow", strings.Join(known, ", "))
		refuse(CodeMethodNotAllowed, "the header Allow lists the methods of this path").problem(requestID(q.Context())).write(w)
	})
	r.Get("/livez", s.live)
	r.Get("/readyz", s.ready)
	s.api = humachi.New(r, apiConfig())
	s.queued()
	s.batches()
	s.decided()
	s.explaining()
	s.resources()
	s.registered()
	if err := s.publish(r); err != nil {
		return nil, err
	}
	return r, nil
}

// literally keeps requests for a path that the API knows as it stands from the routes of a path with a parameter that it would
// fit, too: /v1/operations/lookup is no operation, whatever the method.
func (s *Server) literally(r *chi.Mux) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if known := s.literal(q.URL.Path); known != nil && !slices.Contains(known, q.Method) {
				r.MethodNotAllowedHandler()(w, q)
				return
			}
			next.ServeHTTP(w, q)
		})
	}
}

// literal are the methods that the API knows of a path as it stands; none if it does not.
func (s *Server) literal(path string) []string {
	item := s.api.OpenAPI().Paths[path]
	if item == nil {
		return nil
	}
	var known []string
	for _, m := range []struct {
		name string
		op   *huma.Operation
	}{
		{http.MethodGet, item.Get},
		{http.MethodHead, item.Get},
		{http.MethodPost, item.Post},
		{http.MethodPut, item.Put},
		{http.MethodPatch, item.Patch},
		{http.MethodDelete, item.Delete},
	} {
		if m.op != nil {
			known = append(known, m.name)
		}
	}
	return known
}

// allowed are the methods that the path knows.
func (s *Server) allowed(routes chi.Routes, path string) []string {
	if known := s.literal(path); known != nil {
		return known
	}
	var known []string
	for _, method := range methods() {
		asked := method
		if method == http.MethodHead {
			asked = http.MethodGet // where there is a GET there is a HEAD
		}
		if routes.Match(chi.NewRouteContext(), asked, path) {
			known = append(known, method)
		}
	}
	return known
}

func (s *Server) queued() {
	submit := []Code{CodeKeyReused, CodeQueueUnavailable}
	triable := append(slices.Clone(submit), CodeReadsBusy)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/charges", id: "charge", summary: "Charge a wallet",
		description: "Queues the charge and answers at once. Its outcome is read under Location. The merchant is the key's. " +
			"A retry under the same key, or without one with the same invoice, is the same charge. With dry_run it queues nothing, and says what would become of it.",
		status: http.StatusAccepted, body: reflect.TypeFor[chargeBody](), dryRun: true, codes: triable,
	}, s.charge)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/refunds", id: "refund", summary: "Refund a charge",
		description: "Queues money that goes back from the merchant to the wallet: a charge of its own, wholly or in part, as often as something is left. " +
			"The charge may be pending: the refund is decided after it. Its outcome is read under Location. With dry_run it queues nothing, and says what would become of it.",
		status: http.StatusAccepted, body: reflect.TypeFor[refundBody](), keyRequired: true, dryRun: true, codes: triable,
	}, s.refund)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/holds", id: "hold", summary: "Hold money of a wallet",
		description: "Queues a hold: money that stays in the wallet, and is available to nobody but your captures until you release it or it expires. " +
			"Its outcome is read under Location. With dry_run it queues nothing, and says what would become of it.",
		status: http.StatusAccepted, body: reflect.TypeFor[holdBody](), keyRequired: true, dryRun: true, codes: triable,
	}, s.hold)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/captures", id: "capture", summary: "Capture held money",
		description: "Queues money that goes from the wallet to the merchant, out of a hold of its own. The capture ends the hold, and what is left is available again; " +
			"with final false it stays held, for up to 50 captures. A capture that is answered 202 before the hold's capture_before is never refused for its expiry.",
		status: http.StatusAccepted, body: reflect.TypeFor[captureBody](), keyRequired: true, codes: submit,
	}, s.capture)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/releases", id: "release", summary: "Release held money",
		description: "Queues the end of a hold of the merchant's own, or of a part of it: what was held is available again. Its outcome is read under Location.",
		status:      http.StatusAccepted, body: reflect.TypeFor[releaseBody](), keyRequired: true, codes: submit,
	}, s.release)
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/top-ups", id: "top-up", summary: "Top up a wallet",
		description: "Queues money that came in for the wallet. Its outcome is read under Location.",
		status:      http.StatusAccepted, body: reflect.TypeFor[fundingBody](), keyRequired: true, codes: submit,
	}, s.funding(ledger.KindTopUp))
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/withdrawals", id: "withdraw", summary: "Withdraw from a wallet",
		description: "Queues money that leaves the wallet: a payout before it is closed, or a top-up that is taken back. It takes no credit: " +
			"a balance below zero is never made by it. Its outcome is read under Location.",
		status: http.StatusAccepted, body: reflect.TypeFor[fundingBody](), keyRequired: true, codes: submit,
	}, s.funding(ledger.KindWithdraw))
	for _, d := range []struct {
		kind             ledger.Kind
		summary, comment string
	}{
		{ledger.KindFreeze, "Freeze a wallet", "A frozen wallet cannot be charged; it can be topped up."},
		{ledger.KindUnfreeze, "Unfreeze a wallet", "The wallet can be charged again."},
		{ledger.KindClose, "Close a wallet", "Only an empty wallet can be closed, and it stays closed. A close that fails is an answer with the status failed."},
	} {
		handle(s, route{
			method: http.MethodPost, path: "/v1/wallets/{wallet}/" + string(d.kind), id: string(d.kind) + "-wallet", summary: d.summary,
			description: d.comment + " It takes effect at once, before every charge that is still queued.",
			status:      http.StatusOK, body: reflect.TypeFor[directBody](), bodyOptional: true,
			codes: []Code{CodeNotFound, CodeKeyReused},
		}, s.directly(d.kind))
	}
	handle(s, route{
		method: http.MethodPost, path: "/v1/wallets/{wallet}/credit-limit", id: "set-credit-limit", summary: "Set a wallet's credit limit",
		description: "A wallet may owe as much. A limit below what it owes is not set: that is an answer with the status failed. " +
			"It takes effect at once, before every charge that is still queued.",
		status: http.StatusOK, body: reflect.TypeFor[limitBody](), codes: []Code{CodeNotFound, CodeKeyReused},
	}, s.setLimit)
	s.mandated()
}

// mandated are the routes of mandates.
func (s *Server) mandated() {
	const path = "/v1/wallets/{wallet}/mandates/{merchant}"
	handle(s, route{
		method: http.MethodPut, path: path, id: "put-mandate", summary: "Give a merchant a mandate",
		description: "Lets the merchant charge the wallet and hold its money, within limits, if the wallet is charged under mandates. Given again, the limits are " +
			"replaced, and what is used stays used. It takes effect at once. A client gives mandates of its own wallets.",
		status: http.StatusOK, body: reflect.TypeFor[grantBody](), codes: []Code{CodeNotFound, CodeKeyReused},
	}, s.grant)
	handle(s, route{
		method: http.MethodDelete, path: path, id: "revoke-mandate", summary: "Revoke a merchant's mandate",
		description: "From now on the merchant's charges and holds fail, also those that are queued. What it holds already it may capture. " +
			"A client revokes mandates of its own wallets.",
		status: http.StatusOK, codes: []Code{CodeNotFound, CodeKeyReused},
	}, s.revoke)
	handle(s, route{
		method: http.MethodGet, path: path, id: "get-mandate", summary: "Read a mandate",
		description: "Shows what the mandate allows and what was used of it: to the merchant that has it, the client that owns the wallet and the operator.",
		status:      http.StatusOK, codes: []Code{CodeNotFound},
	}, s.mandate)
	handle(s, route{
		method: http.MethodGet, path: "/v1/wallets/{wallet}/mandates", id: "list-mandates", summary: "List a wallet's mandates",
		description: fmt.Sprintf("Lists all mandates that the wallet ever gave, which are at most %d, to the client that owns the wallet and the operator.", ledger.MaxMandates),
		status:      http.StatusOK, page: true, codes: []Code{CodeNotFound},
	}, s.mandates)
}

func (s *Server) decided() {
	handle(s, route{
		method: http.MethodGet, path: "/v1/operations/{id}", id: "get-operation", summary: "Read an operation",
		description: "Shows the outcome to the merchant that asked, the client that owns the wallet and the operator. " +
			"An operation without an outcome yet is pending to everybody who has its ID.",
		status: http.StatusOK, codes: []Code{CodeNotFound},
	}, s.operation)
	handle(s, route{
		method: http.MethodPost, path: "/v1/operations/lookup", id: "lookup-operations", summary: "Read many operations",
		description: fmt.Sprintf("Shows up to %d operations, in the order in which they are asked for, each with what a request for it alone would have been answered. "+
			"With Prefer: wait it answers when all of them have an outcome, or the time ends.", maxLookupIDs),
		status: http.StatusOK, body: reflect.TypeFor[lookupBody](), page: true, codes: []Code{CodeReadsBusy},
	}, s.lookup)
	handle(s, route{
		method: http.MethodGet, path: "/v1/operations", id: "list-operations", summary: "List operations",
		description: "Lists decided operations, newest first: of a wallet, of a merchant, or of a client's wallets. All filters go with each other. " +
			"A client's operations, and a merchant's invoice, are listed wallet by wallet, newest first within each. As CSV all of them come at once.",
		status: http.StatusOK, page: true, table: reflect.TypeFor[pageBody](), codes: []Code{CodeNotFound, CodeFilterRequired},
	}, s.operations)
	handle(s, route{
		method: http.MethodGet, path: "/v1/wallets/{wallet}", id: "get-wallet", summary: "Read a wallet", description: "Shows the balance to the client that owns the wallet and the operator, as it is or as it was at a time.",
		status: http.StatusOK, codes: []Code{CodeNotFound},
	}, s.wallet)
	handle(s, route{
		method: http.MethodGet, path: "/v1/wallets/{wallet}/statement", id: "get-statement", summary: "Read a wallet's statement",
		description: "Lists what moved the wallet's balance from one time on and before another, in the order in which it was decided, page by page: opening balance, " +
			"movements, closing balance. They add up, of all pages and of each. As CSV all of them come at once. To the client that owns the wallet and the operator.",
		status: http.StatusOK, page: true, table: reflect.TypeFor[statementBody](), codes: []Code{CodeNotFound},
	}, s.statement)
	handle(s, route{
		method: http.MethodGet, path: "/v1/clients/{client}/wallets", id: "get-account", summary: "Read a client's account status",
		description: "Shows the client's wallets with their balances, oldest first, page by page.",
		status:      http.StatusOK, codes: []Code{CodeNotFound},
	}, s.clientWallets)
	handle(s, route{
		method: http.MethodGet, path: "/v1/merchants/{merchant}", id: "get-merchant", summary: "Read a merchant",
		description: "Shows the merchant and its settlement balances to itself, the client that owns it and the operator.",
		status:      http.StatusOK, codes: []Code{CodeNotFound},
	}, s.merchant)
	handle(s, route{
		method: http.MethodGet, path: "/v1/merchants/{merchant}/settlement", id: "get-settlement", summary: "Read a merchant's settlement",
		description: "Sums by day (UTC) and currency what was charged and refunded from one time on and before another, the oldest day first, to the merchant " +
			"itself, the client that owns it and the operator. A day that two pages share adds up from both.",
		status: http.StatusOK, codes: []Code{CodeNotFound},
	}, s.settlement)
}

func (s *Server) resources() {
	creation := func(path, id, summary, description string, body reflect.Type) route {
		return route{
			method: http.MethodPost, path: path, id: id, summary: summary, description: description,
			status: http.StatusCreated, body: body, codes: []Code{CodeKeyReused},
		}
	}
	const again = " Under an Idempotency-Key a retry answers 200 with the same object."
	handle(s, creation("/v1/clients", "create-client", "Create a client", "A client owns wallets."+again, reflect.TypeFor[newClientBody]()), s.createClient)
	handle(s, creation("/v1/merchants", "create-merchant", "Create a merchant", "A merchant charges wallets."+again, reflect.TypeFor[newMerchantBody]()), s.createMerchant)
	handle(s, creation("/v1/wallets", "open-wallet", "Open a wallet", "A wallet is prepaid money of one client in one currency."+again, reflect.TypeFor[openBody]()), s.openWallet)
	handle(s, creation("/v1/api-keys", "create-api-key", "Create an API key", "The answer that makes the key shows its secret, and no other does."+again, reflect.TypeFor[newKeyBody]()), s.createKey)
}

// handle registers the route. A request passes the key, then the body, if there is a seat to be had, then the seat.
// Huma binds parameters and writes answers; the body is read by [decode], which is
// stricter than huma.
func handle[I, O any](s *Server, rt route, h func(context.Context, *I) (*O, error)) {
	op, submission := rt.operation(s.api.OpenAPI().Components.Schemas), rt.status == http.StatusAccepted
	op.Middlewares = huma.Middlewares{s.authenticate(ledger.PermissionFor(rt.id))}
	if rt.page {
		op.Middlewares = append(op.Middlewares, s.boundPages)
	}
	if rt.body != nil {
		op.RequestBody = &huma.RequestBody{}
		op.Middlewares = append(op.Middlewares, s.spared(submission), s.readBody)
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		var out *O
		if err := s.seated(ctx, submission, func(ctx context.Context) (err error) {
			out, err = h(ctx, in)
			return err
		}); err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
	if rt.body != nil {
		// Huma takes a raw body for a file that is always there.
		op.RequestBody.Required = !rt.bodyOptional
		op.RequestBody.Content["application/json"].Schema = s.api.OpenAPI().Components.Schemas.Schema(rt.body, true, "")
	}
	if rt.table != nil {
		op.Responses["200"].Content = map[string]*huma.MediaType{
			"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(rt.table, true, "")},
			csvType:            {Schema: &huma.Schema{Type: huma.TypeString, Description: "All of the list, a line for each, after a line with the names of the columns."}},
		}
	}
	path := s.api.OpenAPI().Paths[rt.path]
	rt.complete(map[string]*huma.Operation{
		http.MethodGet: path.Get, http.MethodPost: path.Post, http.MethodPut: path.Put, http.MethodDelete: path.Delete,
	}[rt.method])
	if rt.dryRun {
		describeDryRun(s.api.OpenAPI().Components.Schemas, path.Post)
	}
}
