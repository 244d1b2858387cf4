package ingest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/monedero/monedero/internal/ledger"
)

// registered are the routes that list, read and end what [Server.resources] creates.
func (s *Server) registered() {
	list := func(path, id, summary, description string, codes ...Code) route {
		return route{
			method: http.MethodGet, path: path, id: id, summary: summary, description: description + ", newest first, page by page.",
			status: http.StatusOK, codes: codes,
		}
	}
	handle(s, list("/v1/clients", "list-clients", "List clients", "Lists all clients"), s.clients)
	handle(s, list("/v1/merchants", "list-merchants", "List merchants", "Lists all merchants, without their balances"), s.merchants)
	handle(s, list("/v1/wallets", "list-wallets", "List wallets", "Lists all wallets"), s.wallets)
	handle(s, list("/v1/api-keys", "list-api-keys", "List API keys",
		"Lists API keys, never with their secrets: to a merchant and to a client their own, to the operator all, or one owner's", CodeNotFound), s.listKeys)
	handle(s, route{
		method: http.MethodGet, path: "/v1/clients/{client}", id: "get-client", summary: "Read a client",
		description: "Shows the client to itself and to the operator.",
		status:      http.StatusOK, codes: []Code{CodeNotFound},
	}, s.client)
	handle(s, route{
		method: http.MethodGet, path: "/v1/api-keys/{key}", id: "get-api-key", summary: "Read an API key",
		description: "Shows an API key without its secret: to whom it belongs, and to the operator.",
		status:      http.StatusOK, codes: []Code{CodeNotFound},
	}, s.readKey)
	handle(s, route{
		method: http.MethodPost, path: "/v1/api-keys/{key}/rotate", id: "rotate-api-key", summary: "Rotate an API key",
		description: "Makes a successor of the same owner, name, rate and expiry, and lets the key expire after the overlap. " +
			"The answer that makes the successor shows its secret, and no other does: under an Idempotency-Key a retry answers 200 with the same key. " +
			"An owner rotates its own keys.",
		status: http.StatusCreated, body: reflect.TypeFor[rotationBody](), bodyOptional: true,
		codes: []Code{CodeNotFound, CodeKeyReused, CodeKeyEnded},
	}, s.rotateKey)
	change := func(path, id, summary, description string) route {
		return route{
			method: http.MethodPost, path: path, id: id, summary: summary, description: description + " Once more, it changes nothing.",
			status: http.StatusOK, body: reflect.TypeFor[changeBody](), bodyOptional: true, codes: []Code{CodeNotFound},
		}
	}
	handle(s, change("/v1/api-keys/{key}/revoke", "revoke-api-key", "Revoke an API key",
		"Ends the key for good: within 5 seconds no ingest takes it any more. An owner revokes its own keys."), s.revokeKey)
	handle(s, change("/v1/merchants/{merchant}/suspend", "suspend-merchant", "Suspend a merchant",
		"Charges of the merchant fail from now on, also those that are queued."), s.suspend(true))
	handle(s, change("/v1/merchants/{merchant}/resume", "resume-merchant", "Resume a merchant",
		"The merchant charges again. What failed meanwhile stays failed."), s.suspend(false))
	handle(s, route{
		method: http.MethodGet, path: "/v1/audit", id: "list-audit", summary: "List who did what",
		description: "Lists what was done, newest first, page by page: operations, and changes of clients, merchants, keys, the deployment, progress and " +
			"dead letters. About a wallet it lists the operations in their order.",
		status: http.StatusOK, page: true, codes: []Code{CodeFilterRequired},
	}, s.audit)
}

type changeBody struct {
	Note string `json:"note,omitempty" doc:"For operators: why. It is kept in the audit log." example:"Ticket 4711"`
}

// changing reads the body of a change, and says in whose name it comes.
func changing(ctx context.Context, note string, faults []Fault) (ledger.Author, []Fault) {
	by := author(ctx)
	by.Reason = note
	return by, addRule(faults, ledger.Request{Kind: ledger.KindFreeze, Note: note}, "note", place("note"))
}

type clientsBody struct {
	Object     string       `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []clientBody `json:"data" nullable:"false" doc:"Clients."`
	HasMore    bool         `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string       `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

func (s *Server) clients(ctx context.Context, in *struct{ Listed }) (*listOutput[clientsBody], error) {
	data, next, err := listOf(ctx, s, in.Listed, []string{"clients"}, s.registry.Clients, newClient)
	if err != nil {
		return nil, err
	}
	return &listOutput[clientsBody]{Link: in.link(next), Body: clientsBody{Object: "list", Data: data, HasMore: next != "", NextCursor: next}}, nil
}

type clientInput struct {
	Client string `path:"client" doc:"The client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

func (s *Server) client(ctx context.Context, in *clientInput) (*struct{ Body clientBody }, error) {
	id, err := ledger.ParseClientID(in.Client)
	if err != nil {
		return nil, invalid([]Fault{{Location: "path.client", Message: "is not a client ID"}})
	}
	if !caller(ctx).May("get-client", ledger.Party{Role: ledger.RoleClient, Owner: id}) {
		return nil, ledger.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	c, err := s.registry.Client(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	return &struct{ Body clientBody }{newClient(c)}, nil
}

type walletsBody struct {
	Object     string       `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []walletBody `json:"data" nullable:"false" doc:"Wallets."`
	HasMore    bool         `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string       `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

func (s *Server) wallets(ctx context.Context, in *struct{ Listed }) (*listOutput[walletsBody], error) {
	data, next, err := listOf(ctx, s, in.Listed, []string{"all wallets"}, s.accounts.Wallets, newWallet)
	if err != nil {
		return nil, err
	}
	return &listOutput[walletsBody]{Link: in.link(next), Body: walletsBody{Object: "list", Data: data, HasMore: next != "", NextCursor: next}}, nil
}

type merchantsBody struct {
	Object     string         `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []merchantBody `json:"data" nullable:"false" doc:"Merchants, without their balances."`
	HasMore    bool           `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string         `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

func (s *Server) merchants(ctx context.Context, in *struct{ Listed }) (*listOutput[merchantsBody], error) {
	data, next, err := listOf(ctx, s, in.Listed, []string{"merchants"}, s.registry.Merchants, func(m ledger.Merchant) merchantBody { return newMerchant(m, nil) })
	if err != nil {
		return nil, err
	}
	return &listOutput[merchantsBody]{Link: in.link(next), Body: merchantsBody{Object: "list", Data: data, HasMore: next != "", NextCursor: next}}, nil
}

type merchantChangeInput struct {
	Merchant string `path:"merchant" doc:"The merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	RawBody  []byte `contentType:"application/json"`
}

// suspend suspends a merchant, or resumes it.
func (s *Server) suspend(suspended bool) func(context.Context, *merchantChangeInput) (*struct{ Body merchantBody }, error) {
	return func(ctx context.Context, in *merchantChangeInput) (*struct{ Body merchantBody }, error) {
		b, faults, err := decode[changeBody](&s.bodies, in.RawBody)
		if err != nil {
			return nil, err
		}
		by, faults := changing(ctx, b.Note, faults)
		id, faults := pathMerchant(in.Merchant, faults)
		if err := invalid(faults); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, applyTimeout)
		defer cancel()
		m, err := s.registry.Suspend(ctx, id, suspended, by)
		if err != nil {
			return nil, fmt.Errorf("suspend merchant: %w", err)
		}
		return &struct{ Body merchantBody }{newMerchant(m, nil)}, nil
	}
}
