package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

type keyBody struct {
	ID         string `json:"id" doc:"The key's ID." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Object     string `json:"object" doc:"What this is." enum:"api_key" example:"api_key"`
	Role       string `json:"role" doc:"What the key may do." enum:"merchant,client,operator" example:"merchant"`
	MerchantID string `json:"merchant_id,omitempty" doc:"Of a merchant's key: the merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	ClientID   string `json:"client_id,omitempty" doc:"Of a client's key: the client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Name       string `json:"name" doc:"The key's name." example:"Shop, production"`
	Rate       int    `json:"rate,omitempty" doc:"How many requests a second each ingest takes under the key, and as many at once; absent: any number." example:"50"`
	CreatedAt  string `json:"created_at" format:"date-time" doc:"When the key was created." example:"2026-01-02T15:04:05.000000Z"`
	ExpiresAt  string `json:"expires_at,omitempty" format:"date-time" doc:"When the key stops being valid; absent: never." example:"2027-01-02T15:04:05.000000Z"`
	RevokedAt  string `json:"revoked_at,omitempty" format:"date-time" doc:"When the key was revoked; absent: it was not." example:"2026-03-02T15:04:05.000000Z"`
	LastUsedAt string `json:"last_used_at,omitempty" format:"date-time" doc:"About when the key was used last; absent: never yet, as far as is known." example:"2026-02-02T15:04:05.000000Z"`
	Secret     string `json:"secret,omitempty" doc:"The text to send as Authorization: Bearer. It is shown once, in the answer that made the key, and is stored nowhere." example:"mon_merchant_key_01hzy3v7k2m4n6p8q0r2s4t6v8_exampleexampleexampleexampleexampleexamplee6vRetH"`
}

func newKey(k ledger.Key, secret string) keyBody {
	b := keyBody{
		ID: k.ID.String(), Object: "api_key", Role: string(k.Role), Name: k.Name, Rate: k.Rate,
		CreatedAt: stamp(k.CreatedAt), ExpiresAt: stamp(k.ExpiresAt), RevokedAt: stamp(k.RevokedAt), LastUsedAt: stamp(k.UsedAt), Secret: secret,
	}
	switch k.Role {
	case ledger.RoleMerchant:
		b.MerchantID = k.Party.String()
	case ledger.RoleClient:
		b.ClientID = k.Party.String()
	case ledger.RoleOperator, ledger.RoleSystem:
	}
	return b
}

type newKeyBody struct {
	Role       string    `json:"role" doc:"What the key may do." enum:"merchant,client,operator" example:"merchant"`
	MerchantID string    `json:"merchant_id,omitempty" doc:"Of a merchant's key, and only there: the merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	ClientID   string    `json:"client_id,omitempty" doc:"Of a client's key, and only there: the client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Name       string    `json:"name" doc:"The key's name, 1 to 200 characters." example:"Shop, production"`
	Rate       int64     `json:"rate,omitempty" doc:"How many requests a second each ingest takes under the key, and as many at once: up to 100000; absent or 0: any number." example:"50"`
	ExpiresAt  time.Time `json:"expires_at,omitzero" doc:"When the key stops being valid; absent: never." example:"2030-01-02T15:04:05Z"`
}

type keyOutput struct {
	Status   int
	Replayed string `header:"Idempotent-Replayed" doc:"true: an earlier request under the same key made it." example:"true"`
	Body     keyBody
}

func (s *Server) createKey(ctx context.Context, in *creationInput) (*keyOutput, error) {
	b, faults, err := decode[newKeyBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	k, wrong := access.Draft{
		Role: b.Role, Merchant: b.MerchantID, Client: b.ClientID, Name: b.Name, Rate: b.Rate, ExpiresAt: b.ExpiresAt,
	}.Key(s.now())
	for _, f := range wrong {
		faults = addFault(faults, place(f.Field), f.Message)
	}
	key, faults := readKey(in.Key, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	if k.ID, err = s.resourceID("api_key", key); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	stored, text, err := access.IssueKey(ctx, s.registry, s.minter, k, author(ctx))
	if errors.Is(err, ledger.ErrNotFound) {
		at := "body.merchant_id"
		if k.Role == ledger.RoleClient {
			at = "body.client_id"
		}
		return nil, invalid([]Fault{{Location: at, Message: "is no " + string(k.Role)}})
	}
	if err != nil {
		return nil, err
	}
	made := text != ""
	return &keyOutput{Status: created(made), Replayed: replayed(made), Body: newKey(stored, text)}, nil
}
