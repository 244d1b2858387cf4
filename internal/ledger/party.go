package ledger

import "time"

// Role is what an API key may do. Roles are stored and shown: add new ones, never rename one.
type Role string

// The roles.
const (
	RoleMerchant Role = "merchant" // charges wallets
	RoleClient   Role = "client"   // owns wallets
	RoleOperator Role = "operator" // runs Monedero
)

// Known reports whether the role is one of ours.
func (r Role) Known() bool { return r == RoleMerchant || r == RoleClient || r == RoleOperator }

// Party is in whose name somebody asks: a merchant, a client or the operator. All API
// keys of one party ask in one name.
type Party struct {
	Role  Role
	Owner [16]byte // the merchant's or the client's ID; zero for the operator
}

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

// String is the owner's ID as on the wire; for the operator the role.
func (p Party) String() string {
	switch p.Role {
	case RoleMerchant:
		return p.Merchant().String()
	case RoleClient:
		return p.Client().String()
	case RoleOperator:
	}
	return string(p.Role)
}

// ParseOwner reads the owner's ID of a party of the role. It fails for the operator, which has none.
func ParseOwner(role Role, text string) (Party, error) {
	var id [16]byte
	err := ErrID
	switch role {
	case RoleMerchant:
		var merchant MerchantID
		merchant, err = ParseMerchantID(text)
		id = merchant
	case RoleClient:
		var client ClientID
		client, err = ParseClientID(text)
		id = client
	case RoleOperator:
	}
	return Party{Role: role, Owner: id}, err
}

// SeesWallet reports whether the party may see the balance of a wallet of the owner:
// zero where there is no such wallet.
func (p Party) SeesWallet(owner ClientID) bool {
	return p.May("get-wallet", Party{Role: RoleClient, Owner: owner})
}

// SeesOperation reports whether the party may see the operation, given whose its wallet is.
func (p Party) SeesOperation(o Operation, owner ClientID) bool {
	return p.May("get-operation", Party{Role: RoleMerchant, Owner: o.Merchant}, Party{Role: RoleClient, Owner: owner})
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
