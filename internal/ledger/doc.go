// Package ledger holds the rules of money: what may be asked of a wallet, what
// is decided, and how a decision is sealed into the wallet's history.
//
// The package is pure. It knows no clock, no context, no database and no
// network; it takes values and returns values, so that every rule can be read
// and tested by itself. Amounts are int64 in minor units of their currency.
//
// The way of a request through the package: [Request.Faults] refuses what could
// not be decided at all, [Book.Decide] turns a request into an [Operation], and
// [Operation.Seal] chains the operation to the one before it.
package ledger
