package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// MaxKeyRate bounds the rate of a key, in requests a second.
const MaxKeyRate = 100_000

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
	Secret     string `json:"secret,omitempty" doc:"The text to send as Authorization: Bearer. It is shown once, in the answer that made the key, and is stored nowhere." example:"mon_merchant_key_01hzy3v7k2m4n6p8q0r2s4t6v8_exampleexampleexampleexampleexampleexamplee6vRetH"`
}

func newKey(k ledger.Key, secret string) keyBody {
	b := keyBody{
		ID: k.ID.String(), Object: "api_key", Role: string(k.Role), Name: k.Name, Rate: k.Rate,
		CreatedAt: stamp(k.CreatedAt), ExpiresAt: stamp(k.ExpiresAt), Secret: secret,
	}
	switch k.Role {
	case ledger.RoleMerchant:
		b.MerchantID = k.Party.String()
	case ledger.RoleClient:
		b.ClientID = k.Party.String()
	case ledger.RoleOperator:
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

// key is the key that the body asks for, and what is wrong with it.
func (b newKeyBody) key(now time.Time, faults []Fault) (ledger.Key, []Fault) {
	k := ledger.Key{Party: ledger.Party{Role: ledger.Role(b.Role)}, Rate: int(b.Rate), CreatedAt: now, ExpiresAt: b.ExpiresAt.Truncate(time.Microsecond)}
	add := func(place, message string) {
		faults = addFault(faults, place, message)
	}
	if !k.Role.Known() {
		add("body.role", "must be merchant, client or operator")
		return k, faults
	}
	switch {
	case k.Role == ledger.RoleMerchant && b.MerchantID == "":
		add("body.merchant_id", "is required for a merchant's key")
	case k.Role != ledger.RoleMerchant && b.MerchantID != "":
		add("body.merchant_id", "belongs to a merchant's key, and to nothing else")
	case b.MerchantID != "":
		var err error
		if k.Party, err = ledger.ParseOwner(k.Role, b.MerchantID); err != nil {
			add("body.merchant_id", "is not a merchant ID")
		}
	}
	switch {
	case k.Role == ledger.RoleClient && b.ClientID == "":
		add("body.client_id", "is required for a client's key")
	case k.Role != ledger.RoleClient && b.ClientID != "":
		add("body.client_id", "belongs to a client's key, and to nothing else")
	case b.ClientID != "":
		var err error
		if k.Party, err = ledger.ParseOwner(k.Role, b.ClientID); err != nil {
			add("body.client_id", "is not a client ID")
		}
	}
	if b.Rate < 0 || b.Rate > MaxKeyRate {
		add("body.rate", fmt.Sprintf("must be from 0 to %d requests a second", MaxKeyRate))
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		add("body.expires_at", "must lie in the future")
	}
	return k, faults
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
	k, faults := b.key(s.now(), faults)
	label, err := readLabel(b.Name, in.Key, faults)
	if err != nil {
		return nil, err
	}
	k.Name = label.name
	if k.ID, err = s.resourceID("api_key", label.key); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	stored, text, err := IssueKey(ctx, s.registry, s.minter, k)
	if errors.Is(err, ErrNotFound) {
		place := "body.merchant_id"
		if k.Role == ledger.RoleClient {
			place = "body.client_id"
		}
		return nil, invalid([]Fault{{Location: place, Message: "is no " + string(k.Role)}})
	}
	if err != nil {
		return nil, err
	}
	made := text != ""
	return &keyOutput{Status: created(made), Replayed: replayed(made), Body: newKey(stored, text)}, nil
}
