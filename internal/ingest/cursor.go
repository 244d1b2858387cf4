package ingest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// cursorBytes is the length of a cursor within: the sequence, the time of decision in
// microseconds, the wallet, the operation. Behind these come the bounds, if it has any.
const cursorBytes = 8 + 8 + 16 + 16

// cursors are those of one list: sealed, for a place in a list tells what others did
// there, and under a key of the list's own, so that they open in no other. Every ingest
// of the deployment opens them.
type cursors struct{ aead cipher.AEAD }

// cursorsOf are those of the list that the names make out: its kind and its filters.
func cursorsOf(m *ledger.Minter, list ...string) (cursors, error) {
	key := m.CursorKey(list...)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return cursors{}, fmt.Errorf("make the key of a list: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return cursors{}, fmt.Errorf("make the key of a list: %w", err)
	}
	return cursors{aead}, nil
}

// text is the cursor as callers see it; empty for none.
func (s cursors) text(c *Cursor) string {
	if c == nil {
		return ""
	}
	b := make([]byte, 0, cursorBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Sequence))
	b = binary.BigEndian.AppendUint64(b, uint64(c.DecidedAt.UnixMicro()))
	b = append(b, c.Wallet[:]...)
	b = append(b, c.ID[:]...)
	for _, bound := range c.Bounds {
		b = binary.AppendUvarint(b, uint64(bound)) //nolint:gosec // 0 at least
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, nil))
}

// parse reads what a caller sends, and else says what is wrong with the query. The
// empty text is the first page, nil.
func (s cursors) parse(text string) (*Cursor, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // so it is in a filter
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, notOfThisList()
	}
	b, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil || len(b) < cursorBytes {
		return nil, notOfThisList()
	}
	c := &Cursor{
		Sequence:  int64(binary.BigEndian.Uint64(b)),
		DecidedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(b[8:]))).UTC(),
		Wallet:    ledger.WalletID(b[16:32]),
		ID:        ledger.OperationID(b[32:cursorBytes]),
	}
	for rest := b[cursorBytes:]; len(rest) > 0; {
		bound, read := binary.Uvarint(rest)
		if read <= 0 {
			return nil, notOfThisList()
		}
		c.Bounds, rest = append(c.Bounds, int64(bound)), rest[read:] //nolint:gosec // as it was written
	}
	return c, nil
}

func notOfThisList() error {
	return invalid([]Fault{{Location: "query.cursor", Message: "is not a cursor of this list: it goes with the filters of the page that it came with"}})
}
