package ledger

import (
	"errors"
	"fmt"
	"strings"
)

// ErrID is returned for text that is not an ID in its canonical form.
var ErrID = errors.New("not a canonical ID")

// The prefixes of the IDs on the wire.
const (
	operationPrefix = "op_"
	walletPrefix    = "wal_"
	merchantPrefix  = "mer_"
	clientPrefix    = "cli_"
	keyPrefix       = "key_"
	changePrefix    = "chg_"
)

// OperationID names an operation. It is computed from what was asked (see
// [Minter.OperationID]), so that a retry has the ID of the first attempt.
type OperationID [16]byte

// WalletID names a wallet, the unit of ordering.
type WalletID [16]byte

// MerchantID names a merchant. The zero value names none.
type MerchantID [16]byte

// ClientID names a client, the owner of wallets.
type ClientID [16]byte

// KeyID names an API key.
type KeyID [16]byte

// ChangeID names a row of the audit log.
type ChangeID [16]byte

// String returns the canonical text: op_ and 26 characters.
func (id OperationID) String() string { return formatID(operationPrefix, id) }

// String returns the canonical text: wal_ and 26 characters.
func (id WalletID) String() string { return formatID(walletPrefix, id) }

// String returns the canonical text: mer_ and 26 characters.
func (id MerchantID) String() string { return formatID(merchantPrefix, id) }

// String returns the canonical text: cli_ and 26 characters.
func (id ClientID) String() string { return formatID(clientPrefix, id) }

// String returns the canonical text: key_ and 26 characters.
func (id KeyID) String() string { return formatID(keyPrefix, id) }

// String returns the canonical text: chg_ and 26 characters.
func (id ChangeID) String() string { return formatID(changePrefix, id) }

// IsZero reports whether the ID is absent.
func (id OperationID) IsZero() bool { return id == OperationID{} }

// IsZero reports whether the ID is absent.
func (id WalletID) IsZero() bool { return id == WalletID{} }

// IsZero reports whether the ID is absent.
func (id MerchantID) IsZero() bool { return id == MerchantID{} }

// IsZero reports whether the ID is absent.
func (id ClientID) IsZero() bool { return id == ClientID{} }

// IsZero reports whether the ID is absent.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// ParseOperationID reads canonical text. It does not say whether the ID was
// ever computed here: see [Minter.Issued].
func ParseOperationID(text string) (OperationID, error) {
	id, err := parseID(operationPrefix, text)
	return OperationID(id), err
}

// ParseWalletID reads canonical text.
func ParseWalletID(text string) (WalletID, error) {
	id, err := parseID(walletPrefix, text)
	return WalletID(id), err
}

// ParseMerchantID reads canonical text.
func ParseMerchantID(text string) (MerchantID, error) {
	id, err := parseID(merchantPrefix, text)
	return MerchantID(id), err
}

// ParseClientID reads canonical text.
func ParseClientID(text string) (ClientID, error) {
	id, err := parseID(clientPrefix, text)
	return ClientID(id), err
}

// ParseKeyID reads canonical text.
func ParseKeyID(text string) (KeyID, error) {
	id, err := parseID(keyPrefix, text)
	return KeyID(id), err
}

// alphabet is Crockford's base32 in lower case: no i, l, o, u.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idDigits is how many base32 digits hold 128 bits; the first holds only three.
const idDigits = 26

// digitValue is the digit's place in the alphabet, and whether it is in there.
func digitValue(digit byte) (uint64, bool) {
	d := uint64(digit)
	switch {
	case '0' <= digit && digit <= '9':
		return d - '0', true
	case 'a' <= digit && digit < 'i':
		return d - 'a' + 10, true
	case 'i' < digit && digit < 'l':
		return d - 'j' + 18, true
	case 'l' < digit && digit < 'o':
		return d - 'm' + 20, true
	case 'o' < digit && digit < 'u':
		return d - 'p' + 22, true
	case 'u' < digit && digit <= 'z':
		return d - 'v' + 27, true
	}
	return 0, false
}

func formatID(prefix string, id [16]byte) string {
	var text [idDigits]byte
	hi, lo := halves(id)
	for i := idDigits - 1; i >= 0; i-- {
		text[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return prefix + string(text[:])
}

func parseID(prefix, text string) ([16]byte, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok || len(digits) != idDigits || digits[0] > '7' {
		return [16]byte{}, fmt.Errorf("%w: want %s and %d base32 digits", ErrID, prefix, idDigits)
	}
	var hi, lo uint64
	for i := range len(digits) {
		v, is := digitValue(digits[i])
		if !is {
			return [16]byte{}, fmt.Errorf("%w: digit %d is not base32", ErrID, i+1)
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | v
	}
	if hi == 0 && lo == 0 {
		return [16]byte{}, fmt.Errorf("%w: it is zero", ErrID)
	}
	return fromHalves(hi, lo), nil
}
