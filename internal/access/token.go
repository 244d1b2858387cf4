package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"

	"github.com/monedero/monedero/internal/ledger"
)

// The shape of an API key's text: mon_{role}_{key id}_{secret}{tag}.
const (
	tokenPrefix  = "mon_"
	secretBytes  = 32
	secretDigits = 43 // base62 digits that hold 32 bytes
	tagDigits    = 6  // base62 digits: of 56 billion made-up keys one has the right ones
	keyIDLength  = 30 // key_ and 26 digits
)

// errToken says that a text is not an API key; it never says which part of it.
var errToken = errors.New("not an API key")

// token is an API key as its owner holds it.
type token struct {
	role   ledger.Role
	id     ledger.KeyID
	secret string
}

// text is the key's text. The tag covers everything before it, so that a key that was
// made up, or copied badly, costs no look-up.
func (t token) text(m *ledger.Minter) string {
	body := tokenPrefix + string(t.role) + "_" + t.id.String() + "_" + t.secret
	return body + keyTag(m, body)
}

// hash is what is stored of the secret.
func (t token) hash() [32]byte { return sha256.Sum256([]byte(t.secret)) }

// parseToken reads the text of an API key. It proves that the key was issued under
// the minter's secret, and not that it is still good.
func parseToken(m *ledger.Minter, text string) (token, error) {
	role, rest, ok := strings.Cut(strings.TrimPrefix(text, tokenPrefix), "_")
	if !ok || !strings.HasPrefix(text, tokenPrefix) || !ledger.Role(role).Known() {
		return token{}, errToken
	}
	if len(rest) != keyIDLength+1+secretDigits+tagDigits || rest[keyIDLength] != '_' {
		return token{}, errToken
	}
	body, tag := text[:len(text)-tagDigits], text[len(text)-tagDigits:]
	if subtle.ConstantTimeCompare([]byte(keyTag(m, body)), []byte(tag)) != 1 {
		return token{}, errToken
	}
	id, err := ledger.ParseKeyID(rest[:keyIDLength])
	if err != nil {
		return token{}, errToken
	}
	return token{role: ledger.Role(role), id: id, secret: rest[keyIDLength+1 : len(rest)-tagDigits]}, nil
}

// newSecret draws the secret of a key.
func newSecret() string {
	var entropy [secretBytes]byte
	rand.Read(entropy[:])
	return base62(new(big.Int).SetBytes(entropy[:]), secretDigits)
}

// base62Digits are those of [big.Int.Text].
const base62Digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// keyTag is the tag that closes the text of a key under the minter's secret.
func keyTag(m *ledger.Minter, body string) string {
	var text [tagDigits]byte
	tag := m.KeyTag(body)
	rest := binary.BigEndian.Uint64(tag[:])
	for i := range text {
		text[i] = base62Digits[rest%62]
		rest /= 62
	}
	return string(text[:])
}

func base62(n *big.Int, digits int) string {
	text := n.Text(62)
	return strings.Repeat("0", digits-len(text)) + text
}
