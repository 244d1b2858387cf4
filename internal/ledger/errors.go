package ledger

import "errors"

// The errors of whoever keeps what the ledger knows of. They mean the same wherever it is
// kept; every other error is trouble of the machinery.
var (
	// ErrNotFound says that there is no such thing, or none that the party may see.
	ErrNotFound = errors.New("not found")
	// ErrReused says that the idempotency key was used before, for something else.
	ErrReused = errors.New("the idempotency key belongs to another request")
	// ErrEnded says that an API key is revoked or has expired.
	ErrEnded = errors.New("the API key is revoked or has expired")
)
