package access

import (
	"context"
	"errors"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// Registry keeps API keys. What changes something writes down who did so, in the same
// transaction; what finds it done already changes nothing.
type Registry interface {
	// CreateKey inserts the key, or finds the row of the same ID: then it returns what is
	// stored and made == false, or [ledger.ErrReused] if that says something else. It fails
	// with [ledger.ErrNotFound] if the key's owner does not exist.
	CreateKey(ctx context.Context, k ledger.Key, by ledger.Author) (stored ledger.Key, made bool, err error)
	// RotateKey makes another key of the party, name, rate and expiry of the old one, which
	// from then on expires the overlap after next.CreatedAt (0: at once), unless it does so earlier.
	// Of next, the ID, the hash of the secret and the time count. Where there is a key of
	// that ID already, it returns that one and made == false, or [ledger.ErrReused] if it is
	// none that could follow on the old one. It fails with [ledger.ErrNotFound], and with
	// [ledger.ErrEnded] where the old key is good no more.
	RotateKey(ctx context.Context, old ledger.KeyID, next ledger.Key, overlap time.Duration, by ledger.Author) (stored ledger.Key, made bool, err error)
	// RevokeKey ends the key for good. It fails with [ledger.ErrNotFound].
	RevokeKey(ctx context.Context, id ledger.KeyID, at time.Time, by ledger.Author) (ledger.Key, error)
	// Key fails with [ledger.ErrNotFound].
	Key(ctx context.Context, id ledger.KeyID) (ledger.Key, error)
	// Used notes when keys were last used.
	Used(ctx context.Context, at map[ledger.KeyID]time.Time) error
}

// Invalid is why a text proves no key that is good now, as a sentence for whoever sent it.
type Invalid string

// Error is the sentence.
func (i Invalid) Error() string { return string(i) }

const (
	notIssued Invalid = "this is no API key of this service, or not a whole one"
	noSuchKey Invalid = "there is no such API key"
	revoked   Invalid = "the API key is revoked"
	expired   Invalid = "the API key has expired"
)

var (
	// ErrCrowded says that a key is not cached, and that too many others are looked up first.
	ErrCrowded = errors.New("too many API keys are being looked up")
	// errNotAnswered says that a key is not cached, and that it is of no use to wait
	// for the database.
	errNotAnswered = errors.New("the API key is not cached, and the database does not answer in time")
)
