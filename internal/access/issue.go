package access

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"github.com/monedero/monedero/internal/ledger"
)

// Draft is an API key as somebody asks for it, in their own words.
type Draft struct {
	Role      string
	Merchant  string // of a merchant's key, and only there: the merchant's ID
	Client    string // of a client's key, and only there: the client's ID
	Name      string
	Rate      int64     // requests a second; 0: any number
	ExpiresAt time.Time // zero: never
}

// Key is the key that the draft asks for, created at now, without ID and secret. Everything
// that is wrong with the draft comes as a fault of one of the fields role, merchant_id, client_id,
// name, rate and expires_at; then the key is of no use.
func (d Draft) Key(now time.Time) (ledger.Key, []ledger.Fault) {
	k := ledger.Key{
		Party: ledger.Party{Role: ledger.Role(d.Role)}, Rate: int(d.Rate), CreatedAt: now, ExpiresAt: d.ExpiresAt.Truncate(time.Microsecond),
	}
	var faults []ledger.Fault
	add := func(field, message string) {
		faults = append(faults, ledger.Fault{Field: field, Message: message})
	}
	if !k.Role.Known() {
		add("role", "must be merchant, client or operator")
	}
	for _, owner := range []struct {
		role ledger.Role
		text string
	}{{ledger.RoleMerchant, d.Merchant}, {ledger.RoleClient, d.Client}} {
		field := string(owner.role) + "_id"
		switch {
		case !k.Role.Known():
		case k.Role != owner.role && owner.text != "":
			add(field, fmt.Sprintf("belongs to a %s's key, and to nothing else", owner.role))
		case k.Role != owner.role:
		case owner.text == "":
			add(field, fmt.Sprintf("is required for a %s's key", owner.role))
		default:
			var err error
			if k.Party, err = ledger.ParseParty(owner.role, owner.text); err != nil {
				add(field, fmt.Sprintf("is not a %s ID", owner.role))
			}
		}
	}
	var wrong []string
	k.Name, wrong = ReadName(d.Name)
	for _, message := range wrong {
		add("name", message)
	}
	if d.Rate < 0 || d.Rate > ledger.MaxKeyRate {
		add("rate", fmt.Sprintf("must be from 0 to %d requests a second", ledger.MaxKeyRate))
	}
	switch {
	case k.ExpiresAt.IsZero():
	case !k.ExpiresAt.After(now):
		add("expires_at", "must lie in the future")
	case k.ExpiresAt.UTC().Year() > 9999: // no text in RFC 3339 says it
		add("expires_at", "must lie before the year 10000")
	}
	return k, faults
}

// ReadName is the name of a client, a merchant or an API key as it is stored, which is
// in Unicode's form NFC, and what is wrong with it; see [ledger.NameFaults].
func ReadName(text string) (name string, faults []string) {
	name = norm.NFC.String(text)
	return name, ledger.NameFaults(name)
}

// IssueKey creates the API key k, for which it draws a secret. It returns the key as it is
// stored, and its text, closed by a tag under the minter's secret: the text is the only copy
// of the key's secret. A zero k.ID is given a new one. Where the registry already holds the
// same key under k.ID, IssueKey returns that one and no text. It fails with
// [ledger.ErrNotFound] if there is no such owner, and with [ledger.ErrReused] if the ID
// belongs to another key.
func IssueKey(ctx context.Context, registry Registry, m *ledger.Minter, k ledger.Key, by ledger.Author) (stored ledger.Key, text string, err error) {
	t, err := draw(&k)
	if err != nil {
		return ledger.Key{}, "", err
	}
	stored, made, err := registry.CreateKey(ctx, k, by)
	if err != nil {
		return ledger.Key{}, "", fmt.Errorf("create API key: %w", err)
	}
	if !made {
		return stored, "", nil
	}
	return stored, t.text(m), nil
}

// draw gives the key a secret, and an ID where it has none.
func draw(k *ledger.Key) (token, error) {
	if k.ID.IsZero() {
		id, err := uuid.NewV7()
		if err != nil {
			return token{}, fmt.Errorf("draw a key ID: %w", err)
		}
		k.ID = ledger.KeyID(id)
	}
	t := token{role: k.Role, id: k.ID, secret: newSecret()}
	k.SecretHash = t.hash()
	return t, nil
}

// How long a rotated key stays valid beside its successor.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 30 * 24 * time.Hour
)

// RotateKey makes the old key's successor, of which next has the ID and the time (a zero
// ID: a new one), and lets the old one expire after the overlap; see [Registry]. It returns
// the successor as it is stored, and its text as [IssueKey] does: none where the registry
// already held it.
func RotateKey(
	ctx context.Context, registry Registry, m *ledger.Minter, old, next ledger.Key, overlap time.Duration, by ledger.Author,
) (stored ledger.Key, text string, err error) {
	next.Party = old.Party
	t, err := draw(&next)
	if err != nil {
		return ledger.Key{}, "", err
	}
	stored, made, err := registry.RotateKey(ctx, old.ID, next, overlap, by)
	if err != nil {
		return ledger.Key{}, "", fmt.Errorf("rotate API key: %w", err)
	}
	if !made {
		return stored, "", nil
	}
	return stored, t.text(m), nil
}
