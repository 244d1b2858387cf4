package ledger

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// SecretBytes is the least length of the secret behind the operation IDs.
const SecretBytes = 32

// Identity is what makes the ID of an operation. Two requests with one identity
// are the same operation, whatever else they say.
type Identity struct {
	Kind     Kind
	Asker    Party      // and not which of its keys: a retry may come under another one
	Merchant MerchantID // whom it pays; it counts where Source is the invoice, which is the merchant's
	Wallet   WalletID
	Source   Source
	Value    string // the idempotency key or the invoice, as Source says
}

// Source says where the value in an [Identity] comes from. The same text as key
// and as invoice makes two operations.
type Source string

// The sources of an operation's identity.
const (
	SourceKey     Source = "key"     // the Idempotency-Key header
	SourceInvoice Source = "invoice" // the invoice of a charge without that header
)

// Minter computes IDs under the secret that all services share. The secret
// guards IDs against guessing and must stay the same for ever: under another
// one a retry would be a second charge.
type Minter struct {
	macs sync.Pool // of *mac
}

// mac computes HMAC-SHA256 under the secret, again and again.
type mac struct {
	keyed  hash.Hash
	fields encoder
	sum    []byte
}

// NewMinter fails when the secret is shorter than [SecretBytes].
func NewMinter(secret []byte) (*Minter, error) {
	if len(secret) < SecretBytes {
		return nil, fmt.Errorf("the secret has %d bytes, want at least %d", len(secret), SecretBytes)
	}
	secret = bytes.Clone(secret)
	return &Minter{macs: sync.Pool{New: func() any {
		return &mac{keyed: hmac.New(sha256.New, secret), fields: make(encoder, 0, identityBytes)}
	}}}, nil
}

// OperationID computes the ID of an operation from its identity: the wallet's
// bucket (16 bits), a hash of the identity (74 bits) and a tag over both (32
// bits), laid out as a UUIDv8.
func (m *Minter) OperationID(i Identity) OperationID {
	payee := ""
	if i.Source == SourceInvoice {
		payee = i.Merchant.String()
	}
	h := m.hash("operation", string(i.Kind), string(i.Asker.Role), i.Asker.String(), payee, i.Wallet.String(), string(i.Source), i.Value)
	return m.operationID(i.Wallet, [10]byte(h[:10]))
}

// RandomOperationID makes an ID for a direct operation that came without an
// idempotency key. The caller brings the entropy.
func (m *Minter) RandomOperationID(w WalletID, entropy [10]byte) OperationID {
	return m.operationID(w, entropy)
}

// Issued reports whether the ID was computed under this secret. It needs no
// look-up, so that an operation not decided yet can be told from one made up.
func (m *Minter) Issued(id OperationID) bool {
	tag := m.tag(id)
	return hmac.Equal(id[12:], tag[:])
}

// ResourceID computes the ID of a client, merchant, wallet or API key that is
// created under an idempotency key, as a UUIDv8: a retry meets the same row.
func (m *Minter) ResourceID(resource, scope, key string) [16]byte {
	h := m.hash("resource", resource, scope, key)
	return version8([16]byte(h[:16]))
}

// KeyTag is what an API key's text is closed with: it tells, without a look-up, a key
// that was issued under this secret from one that was made up.
func (m *Minter) KeyTag(text string) [8]byte {
	h := m.hash("api key", text)
	return [8]byte(h[:8])
}

// CursorKey is what the cursors of a list are sealed under: each list, by its kind and
// filters, has a key of its own.
func (m *Minter) CursorKey(list ...string) [sha256.Size]byte {
	return m.hash(append([]string{"cursor"}, list...)...)
}

// CheckValue is kept in the database, so that a service with another secret is
// refused. It does not reveal the secret.
func (m *Minter) CheckValue() []byte {
	h := m.hash("check")
	return h[:16]
}

// operationID packs bucket and the first 74 bits of h around the version and
// variant bits of a UUIDv8, and closes with the tag.
func (m *Minter) operationID(w WalletID, h [10]byte) OperationID {
	var id [16]byte
	binary.BigEndian.PutUint16(id[0:], w.Bucket())
	head := binary.BigEndian.Uint64(h[:8])
	tail := uint64(binary.BigEndian.Uint16(h[8:])) >> 6               // 10 bits
	binary.BigEndian.PutUint32(id[2:], uint32(head>>32))              // 32 bits
	binary.BigEndian.PutUint16(id[6:], uint16(head>>20)&0x0fff)       // 12 bits
	binary.BigEndian.PutUint32(id[8:], uint32(head)<<10|uint32(tail)) // 20 + 10 bits
	id = version8(id)
	tag := m.tag(OperationID(id))
	copy(id[12:], tag[:])
	return OperationID(id)
}

func (m *Minter) tag(id OperationID) [4]byte {
	h := m.hash("tag", string(id[:12]))
	return [4]byte(h[:4])
}

// identityBytes is room for most identities; whatever is longer is given more.
const identityBytes = 256

// hash is HMAC-SHA256 over the fields, each with its length before it.
func (m *Minter) hash(fields ...string) [sha256.Size]byte {
	c := m.macs.Get().(*mac)
	defer m.macs.Put(c)
	c.fields = c.fields[:0]
	for _, f := range fields {
		c.fields = c.fields.text(f)
	}
	c.keyed.Reset() // the first time it keeps the state under the secret, and then takes it from there
	c.keyed.Write(c.fields)
	c.sum = c.keyed.Sum(c.sum[:0])
	return [sha256.Size]byte(c.sum)
}

func version8(id [16]byte) [16]byte {
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

func halves(id [16]byte) (hi, lo uint64) {
	return binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
}

func fromHalves(hi, lo uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id
}
