package ledger

import "slices"

// Reach says whose things a role may reach.
type Reach string

// The reaches.
const (
	ReachNone Reach = ""    // nobody's: the role may not ask for it
	ReachOwn  Reach = "own" // its own; to it there is nothing else
	ReachAny  Reach = "any" // everybody's
)

// Permission says who may do an operation of the API, and with whose things.
type Permission struct {
	Operation                  string // its operationId
	Merchant, Client, Operator Reach
}

// permissions is the table of them: who may what is said here and nowhere else. What has no row, nobody may.
//
//nolint:gochecknoglobals // read only
var permissions = [...]Permission{
	{Operation: "charge", Merchant: ReachAny},  // in its own name
	{Operation: "refund", Merchant: ReachAny},  // of its own charges: to it there are no others
	{Operation: "hold", Merchant: ReachAny},    // in its own name
	{Operation: "capture", Merchant: ReachAny}, // of its own holds: to it there are no others
	{Operation: "release", Merchant: ReachAny}, // of its own holds
	{Operation: "charge-batch", Merchant: ReachAny},
	{Operation: "top-up", Operator: ReachAny},
	{Operation: "withdraw", Operator: ReachAny},
	{Operation: "freeze-wallet", Operator: ReachAny},
	{Operation: "unfreeze-wallet", Operator: ReachAny},
	{Operation: "close-wallet", Operator: ReachAny},
	{Operation: "set-credit-limit", Operator: ReachAny},
	{Operation: "put-mandate", Client: ReachOwn, Operator: ReachAny}, // of the client's own wallets
	{Operation: "revoke-mandate", Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-mandate", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny}, // the merchant's own: the one that it was given
	{Operation: "list-mandates", Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-operation", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "explain-operation", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "lookup-operations", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "list-operations", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-wallet", Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-statement", Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-account", Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-settlement", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-merchant", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "create-client", Operator: ReachAny},
	{Operation: "create-merchant", Operator: ReachAny},
	{Operation: "open-wallet", Operator: ReachAny},
	{Operation: "create-api-key", Operator: ReachAny},
	{Operation: "list-clients", Operator: ReachAny},
	{Operation: "get-client", Client: ReachOwn, Operator: ReachAny},
	{Operation: "list-merchants", Operator: ReachAny},
	{Operation: "suspend-merchant", Operator: ReachAny},
	{Operation: "resume-merchant", Operator: ReachAny},
	{Operation: "list-wallets", Operator: ReachAny},
	{Operation: "list-api-keys", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "get-api-key", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "rotate-api-key", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "revoke-api-key", Merchant: ReachOwn, Client: ReachOwn, Operator: ReachAny},
	{Operation: "list-audit", Operator: ReachAny},
}

// Permissions lists what anybody may.
func Permissions() []Permission { return slices.Clone(permissions[:]) }

// PermissionFor is who may do the operation of the API; nobody if it is not known.
func PermissionFor(operation string) Permission {
	for i := range permissions {
		if permissions[i].Operation == operation {
			return permissions[i]
		}
	}
	return Permission{Operation: operation}
}

// Reach is whose things a role may reach.
func (p Permission) Reach(r Role) Reach {
	switch r {
	case RoleMerchant:
		return p.Merchant
	case RoleClient:
		return p.Client
	case RoleOperator:
		return p.Operator
	case RoleSystem: // it has no key
	}
	return ReachNone
}

// Roles lists the roles that may do the operation at all.
func (p Permission) Roles() []Role {
	var roles []Role
	for _, r := range Roles() {
		if p.Reach(r) != ReachNone {
			roles = append(roles, r)
		}
	}
	return roles
}

// Roles lists every role.
func Roles() []Role { return []Role{RoleMerchant, RoleClient, RoleOperator} }

// May reports whether the party may do the operation of the API with a thing that belongs
// to the owners, each of them wholly. A zero owner is nobody.
func (p Party) May(operation string, owners ...Party) bool {
	switch PermissionFor(operation).Reach(p.Role) {
	case ReachAny:
		return true
	case ReachOwn:
		return p.Owner != [16]byte{} && slices.Contains(owners, p)
	case ReachNone:
	}
	return false
}
