package ledger_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// idText is one sort of ID: how it is written and read.
type idText struct {
	prefix string
	format func([16]byte) string
	parse  func(string) ([16]byte, error)
	isZero func([16]byte) bool
}

func idTexts() []idText {
	return []idText{
		{
			"op_",
			func(b [16]byte) string { return ledger.OperationID(b).String() },
			func(s string) ([16]byte, error) { id, err := ledger.ParseOperationID(s); return id, err },
			func(b [16]byte) bool { return ledger.OperationID(b).IsZero() },
		},
		{
			"wal_",
			func(b [16]byte) string { return ledger.WalletID(b).String() },
			func(s string) ([16]byte, error) { id, err := ledger.ParseWalletID(s); return id, err },
			func(b [16]byte) bool { return ledger.WalletID(b).IsZero() },
		},
		{
			"mer_",
			func(b [16]byte) string { return ledger.MerchantID(b).String() },
			func(s string) ([16]byte, error) { id, err := ledger.ParseMerchantID(s); return id, err },
			func(b [16]byte) bool { return ledger.MerchantID(b).IsZero() },
		},
		{
			"cli_",
			func(b [16]byte) string { return ledger.ClientID(b).String() },
			func(s string) ([16]byte, error) { id, err := ledger.ParseClientID(s); return id, err },
			func(b [16]byte) bool { return ledger.ClientID(b).IsZero() },
		},
		{
			"key_",
			func(b [16]byte) string { return ledger.KeyID(b).String() },
			func(s string) ([16]byte, error) { id, err := ledger.ParseKeyID(s); return id, err },
			func(b [16]byte) bool { return ledger.KeyID(b).IsZero() },
		},
	}
}

// crockford is base32 by long division: the number that the 16 bytes are.
func crockford(b [16]byte) string {
	n, base, digit := new(big.Int).SetBytes(b[:]), big.NewInt(32), new(big.Int)
	text := make([]byte, 26)
	for i := 25; i >= 0; i-- {
		n.DivMod(n, base, digit)
		text[i] = "0123456789abcdefghjkmnpqrstvwxyz"[digit.Int64()]
	}
	return string(text)
}

func TestIDText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		for _, sort := range idTexts() {
			text := sort.format(b)
			if want := sort.prefix + crockford(b); text != want {
				t.Fatalf("text %s, want %s", text, want)
			}
			back, err := sort.parse(text)
			if sort.isZero(b) {
				if err == nil {
					t.Fatal("zero was read")
				}
				continue
			}
			if err != nil || back != b {
				t.Fatalf("%s was read as %x (%v), want %x", text, back, err, b)
			}
		}
	})
}

func TestIDTextRefused(t *testing.T) {
	t.Parallel()
	const digits = "01arz3ndektsv4rrffq69g5fav"
	for _, sort := range idTexts() {
		good := sort.prefix + digits
		if _, err := sort.parse(good); err != nil {
			t.Fatalf("%s: %v", good, err)
		}
		refused := map[string]string{
			"nothing":               "",
			"prefix alone":          sort.prefix,
			"no prefix":             digits,
			"upper case":            strings.ToUpper(good),
			"one upper case digit":  sort.prefix + "01Arz3ndektsv4rrffq69g5fav",
			"upper case prefix":     strings.ToUpper(sort.prefix) + digits,
			"another prefix":        "xyz_" + digits,
			"dash for underscore":   strings.Replace(good, "_", "-", 1),
			"prefix twice":          sort.prefix + good,
			"too short":             good[:len(good)-1],
			"too long":              good + "0",
			"first digit above 7":   sort.prefix + "8" + digits[1:],
			"first digit a letter":  sort.prefix + "z" + digits[1:],
			"first digit below 0":   sort.prefix + "/" + digits[1:],
			"zero":                  sort.prefix + strings.Repeat("0", 26),
			"blank before":          " " + good,
			"blank after":           good + " ",
			"newline after":         good + "\n",
			"blank within":          sort.prefix + "01arz3ndek sv4rrffq69g5fav",
			"hyphens":               sort.prefix + "01arz-3ndektsv4rrffq69g5fa",
			"U+0000":                sort.prefix + digits[:25] + "\x00",
			"another script":        sort.prefix + digits[:24] + "é",
			"fullwidth digit":       sort.prefix + digits[:23] + "１",
			"the UUID's usual text": sort.prefix + "01563e3a-b5d3-d676-4c61-efb99302bd5b",
		}
		for _, c := range "ilou" {
			refused["the letter "+string(c)] = sort.prefix + digits[:25] + string(c)
		}
		for _, other := range idTexts() {
			if other.prefix != sort.prefix {
				refused["prefix "+other.prefix] = other.prefix + digits
			}
		}
		for name, text := range refused {
			t.Run(sort.prefix+" "+name, func(t *testing.T) {
				t.Parallel()
				id, err := sort.parse(text)
				if !errors.Is(err, ledger.ErrID) {
					t.Fatalf("%q: error %v, want %v", text, err, ledger.ErrID)
				}
				if !sort.isZero(id) {
					t.Errorf("%q is refused, but an ID is given: %x", text, id)
				}
			})
		}
	}
}

// Each byte at each place: either the one canonical text or refused.
func TestIDDigits(t *testing.T) {
	t.Parallel()
	for i := range 26 {
		for c := range 256 {
			text := []byte("wal_01arz3ndektsv4rrffq69g5fav")
			text[4+i] = byte(c)
			want := strings.IndexByte("0123456789abcdefghjkmnpqrstvwxyz", byte(c)) >= 0 && (i > 0 || c < '8')
			id, err := ledger.ParseWalletID(string(text))
			if (err == nil) != want {
				t.Fatalf("%q: read %t, want %t", text, err == nil, want)
			}
			if err == nil && id.String() != string(text) {
				t.Fatalf("%q is written as %s", text, id)
			}
		}
	}
}

// FuzzParseID: what is read is written the same, and nothing else is read.
func FuzzParseID(f *testing.F) {
	const digits = "01arz3ndektsv4rrffq69g5fav"
	for _, sort := range idTexts() {
		for _, seed := range []string{
			digits, strings.ToUpper(digits), "8" + digits[1:], digits + "0", digits[1:], strings.Repeat("0", 26), strings.Repeat("7", 26),
			" " + digits[1:], digits[:25] + "i", digits[:25] + "l", digits[:25] + "o", digits[:25] + "u", "",
		} {
			f.Add(sort.prefix + seed)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := 0
		for _, sort := range idTexts() {
			id, err := sort.parse(text)
			if err != nil {
				if !errors.Is(err, ledger.ErrID) || !sort.isZero(id) {
					t.Fatalf("%q: %x, %v", text, id, err)
				}
				continue
			}
			read++
			if got := sort.format(id); got != text || sort.isZero(id) {
				t.Fatalf("%q was read, but is written %q", text, got)
			}
		}
		if read > 1 {
			t.Fatalf("%q was read as %d sorts of ID", text, read)
		}
	})
}
