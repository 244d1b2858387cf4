package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

type keysInput struct {
	Listed
	Merchant string `query:"merchant_id" doc:"Only keys of this merchant." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Client   string `query:"client_id" doc:"Only keys of this client." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

type keysBody struct {
	Object     string    `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []keyBody `json:"data" nullable:"false" doc:"API keys, without their secrets."`
	HasMore    bool      `json:"has_more" doc:"Whether there is another page." example:"true"`
	NextCursor string    `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`
}

// listKeys lists API keys: to owners their own, to the operator everybody's or one owner's.
func (s *Server) listKeys(ctx context.Context, in *keysInput) (*listOutput[keysBody], error) {
	var owner ledger.Party
	var faults []Fault
	for _, f := range []struct {
		role  ledger.Role
		given string
	}{{ledger.RoleMerchant, in.Merchant}, {ledger.RoleClient, in.Client}} {
		place := "query." + string(f.role) + "_id"
		switch party, err := ledger.ParseParty(f.role, f.given); {
		case f.given == "":
		case err != nil:
			faults = addFault(faults, place, "is not a "+string(f.role)+" ID")
		case owner.Role != "":
			return nil, ledger.ErrNotFound // no key has two owners
		default:
			owner = party
		}
	}
	if err := invalid(faults); err != nil {
		return nil, err
	}
	if k := caller(ctx); k.Role != ledger.RoleOperator {
		if owner.Role == "" {
			owner = k.Party
		}
		if !k.May("list-api-keys", owner) {
			return nil, ledger.ErrNotFound
		}
	}
	read := func(ctx context.Context, limit int, after *Cursor) ([]ledger.Key, *Cursor, error) {
		return s.registry.Keys(ctx, owner, limit, after)
	}
	data, next, err := listOf(ctx, s, in.Listed, []string{"keys", owner.String()}, read, func(k ledger.Key) keyBody { return newKey(k, "") })
	if err != nil {
		return nil, err
	}
	return &listOutput[keysBody]{Link: in.link(next), Body: keysBody{Object: "list", Data: data, HasMore: next != "", NextCursor: next}}, nil
}

type keyInput struct {
	APIKey string `path:"key" doc:"The API key's ID." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
}

func (s *Server) readKey(ctx context.Context, in *keyInput) (*struct{ Body keyBody }, error) {
	id, faults := pathKey(in.APIKey, nil)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	k, err := s.ownKey(ctx, "get-api-key", id)
	if err != nil {
		return nil, err
	}
	return &struct{ Body keyBody }{newKey(k, "")}, nil
}

func pathKey(text string, faults []Fault) (ledger.KeyID, []Fault) {
	id, err := ledger.ParseKeyID(text)
	if err != nil {
		faults = addFault(faults, "path.key", "is not an API key's ID")
	}
	return id, faults
}

// ownKey is the key; to whom may not do the operation with it, it is not there.
func (s *Server) ownKey(ctx context.Context, operation string, id ledger.KeyID) (ledger.Key, error) {
	k, err := s.registry.Key(ctx, id)
	if err != nil {
		return ledger.Key{}, fmt.Errorf("read API key: %w", err)
	}
	if !caller(ctx).May(operation, k.Party) {
		return ledger.Key{}, ledger.ErrNotFound
	}
	return k, nil
}

type rotationBody struct {
	OverlapSeconds *int64 `json:"overlap_seconds,omitempty" doc:"For how long the old key stays valid beside its successor, in seconds: up to 2592000; 0: it ends at once, which is within 5 seconds at every ingest; absent: 86400, a day." example:"3600"`
	Note           string `json:"note,omitempty" doc:"For operators: why. It is kept in the audit log." example:"Ticket 4711"`
}

type rotationInput struct {
	APIKey  string `path:"key" doc:"The API key's ID." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key     string `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same successor. Without it each request makes one of its own." example:"rotation-2026"`
	RawBody []byte `contentType:"application/json"`
}

// rotateKey makes the key's successor.
func (s *Server) rotateKey(ctx context.Context, in *rotationInput) (*keyOutput, error) {
	b, faults, err := decode[rotationBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	by, faults := changing(ctx, b.Note, faults)
	overlap := access.DefaultOverlap
	if seconds := b.OverlapSeconds; seconds != nil {
		if *seconds < 0 || *seconds > int64(access.MaxOverlap/time.Second) {
			faults = addFault(faults, "body.overlap_seconds", fmt.Sprintf("must be from 0 to %d seconds", access.MaxOverlap/time.Second))
		}
		overlap = time.Duration(*seconds) * time.Second
	}
	id, faults := pathKey(in.APIKey, faults)
	label, faults := readKey(in.Key, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	old, err := s.ownKey(ctx, "rotate-api-key", id)
	if err != nil {
		return nil, err
	}
	var next ledger.KeyID
	if label != "" { // of the old key, whoever of those who may rotates it
		next = s.minter.ResourceID("successor", old.ID.String(), label)
	}
	k, text, err := access.RotateKey(ctx, s.registry, s.minter, old, ledger.Key{ID: next, CreatedAt: s.now()}, overlap, by)
	if err != nil {
		return nil, err
	}
	made := text != ""
	return &keyOutput{Status: created(made), Replayed: replayed(made), Body: newKey(k, text)}, nil
}

type keyChangeInput struct {
	APIKey  string `path:"key" doc:"The API key's ID." example:"key_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	RawBody []byte `contentType:"application/json"`
}

func (s *Server) revokeKey(ctx context.Context, in *keyChangeInput) (*struct{ Body keyBody }, error) {
	b, faults, err := decode[changeBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	by, faults := changing(ctx, b.Note, faults)
	id, faults := pathKey(in.APIKey, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if _, err := s.ownKey(ctx, "revoke-api-key", id); err != nil {
		return nil, err
	}
	k, err := s.registry.RevokeKey(ctx, id, s.now(), by)
	if err != nil {
		return nil, err
	}
	return &struct{ Body keyBody }{newKey(k, "")}, nil
}
