package ledger

import (
	"fmt"
	"time"
)

// Role is what an API key may do. Roles are stored and shown: add new ones, never rename one.
type Role string

// The roles.
const (
	RoleMerchant Role = "merchant" // charges wallets
	RoleClient   Role = "client"   // owns wallets
	RoleOperator Role = "operator" // runs Monedero
	RoleSystem   Role = "system"   // Monedero itself: no key has this role
)

// Known reports whether the role is one of ours.
func (r Role) Known() bool {
	return r == RoleMerchant || r == RoleClient || r == RoleOperator || r == RoleSystem
}

// owns reports whether keys of the role belong to somebody.
func (r Role) owns() bool { return r == RoleMerchant || r == RoleClient }

// Party is in whose name somebody asks: a merchant, a client, the operator, or Monedero itself. All API
// keys of one party ask in one name.
type Party struct {
	Role  Role
	Owner [16]byte // the merchant's or the client's ID; zero for the others
}

// AsMerchant is the merchant as a party.
func AsMerchant(id MerchantID) Party { return Party{Role: RoleMerchant, Owner: id} }

// AsClient is the client as a party.
func AsClient(id ClientID) Party { return Party{Role: RoleClient, Owner: id} }

// AsOperator is the operator as a party.
func AsOperator() Party { return Party{Role: RoleOperator} }

// AsSystem is Monedero itself as a party.
func AsSystem() Party { return Party{Role: RoleSystem} }

// Merchant is the merchant that the party is; zero for any other.
func (p Party) Merchant() MerchantID {
	if p.Role != RoleMerchant {
		return MerchantID{}
	}
	return p.Owner
}

// Client is the client that the party is; zero for any other.
func (p Party) Client() ClientID {
	if p.Role != RoleClient {
		return ClientID{}
	}
	return p.Owner
}

// String is the owner's ID as on the wire; where there is none, the role.
func (p Party) String() string {
	switch p.Role {
	case RoleMerchant:
		return p.Merchant().String()
	case RoleClient:
		return p.Client().String()
	case RoleOperator, RoleSystem:
	}
	return string(p.Role)
}

// ParseParty reads a party: a role and its owner's ID, which some roles have none of. A
// role that is not known is taken with whatever owner it has, for whoever knows it.
func ParseParty(role Role, owner string) (Party, error) {
	switch role {
	case RoleMerchant:
		id, err := ParseMerchantID(owner)
		return Party{Role: role, Owner: id}, err
	case RoleClient:
		id, err := ParseClientID(owner)
		return Party{Role: role, Owner: id}, err
	case RoleOperator, RoleSystem:
		if owner != "" {
			return Party{}, fmt.Errorf("%w: the role has none", ErrID)
		}
	}
	return Party{Role: role}, nil
}

// SeesWallet reports whether the party may see the balance of a wallet of the owner:
// zero where there is no such wallet.
func (p Party) SeesWallet(owner ClientID) bool {
	return p.May("get-wallet", Party{Role: RoleClient, Owner: owner})
}

// SeesOperation reports whether the party may see the operation, given whose its wallet is. A mandate that was not given, or
// not revoked, is nothing to the merchant that it names: anybody may name one.
func (p Party) SeesOperation(o Operation, owner ClientID) bool {
	merchant := o.Merchant
	if o.Kind.row().mandate != 0 && o.Reason != "" {
		merchant = MerchantID{}
	}
	return p.May("get-operation", Party{Role: RoleMerchant, Owner: merchant}, Party{Role: RoleClient, Owner: owner})
}

// Asker is who asked: a party, and with which of its keys.
type Asker struct {
	Party
	Key KeyID // zero: not known
}

// Client owns wallets.
type Client struct {
	ID        ClientID
	Name      string
	CreatedAt time.Time
}

// Merchant charges wallets. The rules of a charge read whose it is and whether it is
// suspended, and nothing else.
type Merchant struct {
	ID        MerchantID
	Owner     ClientID // zero: no client of ours
	Name      string
	Suspended bool
	CreatedAt time.Time
}

// Key is an API key as stored: its secret only as a hash.
type Key struct {
	Party
	ID         KeyID
	Name       string
	Rate       int      // requests a second, and as many at once; 0: any number
	SecretHash [32]byte // SHA-256
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: not revoked
	UsedAt     time.Time // about when it was used last; zero: never, as far as is known
}

// Ended reports whether the key is good no more at the time.
func (k Key) Ended(at time.Time) bool {
	return !k.RevokedAt.IsZero() || !k.ExpiresAt.IsZero() && !at.Before(k.ExpiresAt)
}

// Asker is who asks with the key.
func (k Key) Asker() Asker { return Asker{Party: k.Party, Key: k.ID} }
