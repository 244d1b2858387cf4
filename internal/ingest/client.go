package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

type clientBody struct {
	ID        string `json:"id" doc:"The client's ID." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Object    string `json:"object" doc:"What this is." enum:"client" example:"client"`
	Name      string `json:"name" doc:"The client's name." example:"Ada Lovelace"`
	CreatedAt string `json:"created_at" format:"date-time" doc:"When the client was created." example:"2026-01-02T15:04:05.000000Z"`
}

type newClientBody struct {
	Name string `json:"name" doc:"The client's name, 1 to 200 characters." example:"Ada Lovelace"`
}

type clientOutput struct {
	Status   int
	Replayed string `header:"Idempotent-Replayed" doc:"true: an earlier request under the same key made it." example:"true"`
	Body     clientBody
}

func (s *Server) createClient(ctx context.Context, in *creationInput) (*clientOutput, error) {
	b, faults, err := decode[newClientBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	name, faults := readName(b.Name, faults)
	key, faults := readKey(in.Key, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	id, err := s.resourceID("client", key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	c, made, err := s.registry.CreateClient(ctx, ledger.Client{ID: id, Name: name, CreatedAt: s.now()}, author(ctx))
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	return &clientOutput{Status: created(made), Replayed: replayed(made), Body: newClient(c)}, nil
}

func newClient(c ledger.Client) clientBody {
	return clientBody{ID: c.ID.String(), Object: "client", Name: c.Name, CreatedAt: stamp(c.CreatedAt)}
}

// now is the time as it is stored.
func (s *Server) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// readName adds what is wrong with the name of something that is to be created.
func readName(name string, faults []Fault) (string, []Fault) {
	name, wrong := access.ReadName(name)
	for _, message := range wrong {
		faults = addFault(faults, "body.name", message)
	}
	return name, faults
}

// readKey adds what is wrong with the idempotency key of something that is to be created.
// The rules for it are those of every other request.
func readKey(key string, faults []Fault) (string, []Fault) {
	key = written(key)
	return key, addRule(faults, ledger.Request{Kind: ledger.KindOpen, IdempotencyKey: key}, "idempotency_key", place("idempotency_key"))
}

// bodyClient reads the ID of a client out of a body.
func bodyClient(field, text string, faults []Fault) (ledger.ClientID, []Fault) {
	id, err := ledger.ParseClientID(text)
	if err != nil {
		faults = addFault(faults, inBody(field), "is not a client ID")
	}
	return id, faults
}

type clientWalletsInput struct {
	Client string `path:"client" doc:"The client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Listed
}

type accountBody struct {
	Object     string       `json:"object" doc:"What this is." enum:"list" example:"list"`
	ClientID   string       `json:"client_id" doc:"The client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Data       []walletBody `json:"data" nullable:"false" doc:"Wallets of the client, oldest first."`
	HasMore    bool         `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string       `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

// clientWallets is the account status: the client's wallets, page by page.
func (s *Server) clientWallets(ctx context.Context, in *clientWalletsInput) (*listOutput[accountBody], error) {
	id, err := ledger.ParseClientID(in.Client)
	if err != nil {
		return nil, invalid([]Fault{{Location: "path.client", Message: "is not a client ID"}})
	}
	if !caller(ctx).May("get-account", ledger.Party{Role: ledger.RoleClient, Owner: id}) {
		return nil, ledger.ErrNotFound
	}
	read := func(ctx context.Context, limit int, after *Cursor) ([]ledger.Wallet, *Cursor, error) {
		return s.accounts.ClientWallets(ctx, id, limit, after)
	}
	data, next, err := listOf(ctx, s, in.Listed, []string{"wallets", id.String()}, read, newWallet)
	if err != nil {
		return nil, err
	}
	return &listOutput[accountBody]{Link: in.link(next), Body: accountBody{
		Object: "list", ClientID: id.String(), Data: data, HasMore: next != "", NextCursor: next,
	}}, nil
}
