package ledger_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func newMinter(t testing.TB, secret string) *ledger.Minter {
	t.Helper()
	m, err := ledger.NewMinter([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	testSecret  = "a secret of thirty-two bytes, yes"
	otherSecret = "a secret of thirty-two bytes, not"
)

func TestMinterNeedsALongSecret(t *testing.T) {
	t.Parallel()
	for n := range 65 {
		_, err := ledger.NewMinter(bytes.Repeat([]byte("x"), n))
		if (err == nil) != (n >= ledger.SecretBytes) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	// The caller's slice may change afterwards.
	secret := []byte(testSecret)
	m, err := ledger.NewMinter(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if !bytes.Equal(m.CheckValue(), newMinter(t, testSecret).CheckValue()) {
		t.Error("the minter keeps the caller's slice")
	}
}

func drawIdentity(t *rapid.T) ledger.Identity {
	sixteen := rapid.SliceOfN(rapid.Byte(), 16, 16)
	return ledger.Identity{
		Kind:     rapid.SampledFrom(ledger.Kinds()).Draw(t, "kind"),
		Asker:    rapid.SampledFrom([]ledger.Party{ledger.AsOperator(), ledger.AsSystem(), ledger.AsMerchant(ledger.MerchantID(sixteen.Draw(t, "asker"))), ledger.AsClient(ledger.ClientID(sixteen.Draw(t, "asker")))}).Draw(t, "party"),
		Merchant: ledger.MerchantID(sixteen.Draw(t, "merchant")),
		Wallet:   ledger.WalletID(sixteen.Draw(t, "wallet")),
		Source:   rapid.SampledFrom([]ledger.Source{ledger.SourceKey, ledger.SourceInvoice}).Draw(t, "source"),
		Value:    rapid.String().Draw(t, "value"),
	}
}

// A computed ID is a UUIDv8 that is recognised as ours; with any one of its 128
// bits changed it is not, and neither is it under another secret.
func TestIssuedTakesOurIDsAlone(t *testing.T) {
	t.Parallel()
	m, other := newMinter(t, testSecret), newMinter(t, otherSecret)
	rapid.Check(t, func(t *rapid.T) {
		i := drawIdentity(t)
		random := [10]byte(rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "entropy"))
		for _, id := range []ledger.OperationID{m.OperationID(i), m.RandomOperationID(i.Wallet, random)} {
			if id[6]>>4 != 8 || id[8]>>6 != 0b10 {
				t.Fatalf("%x is no UUIDv8", id)
			}
			if got := binary.BigEndian.Uint16(id[:2]); got != i.Wallet.Bucket() || got != id.Bucket() {
				t.Fatalf("bucket %d, want %d", got, i.Wallet.Bucket())
			}
			if !m.Issued(id) {
				t.Fatalf("%s is not taken for ours", id)
			}
			if other.Issued(id) {
				t.Fatalf("%s is taken for ours under another secret", id)
			}
			// Version and variant are under the tag too.
			for bit := range 128 {
				if changed := flip(id, bit); m.Issued(changed) {
					t.Fatalf("%s with bit %d changed is taken for ours", id, bit)
				}
			}
		}
	})
	if m.Issued(ledger.OperationID{}) {
		t.Error("zero is taken for ours")
	}
}

func flip(id ledger.OperationID, bit int) ledger.OperationID {
	id[bit/8] ^= 0x80 >> (bit % 8)
	return id
}

// The layout, bit for bit, written down a second time.
func TestOperationIDLayout(t *testing.T) {
	t.Parallel()
	hash := func(fields ...string) string {
		mac := hmac.New(sha256.New, []byte(testSecret))
		for _, f := range fields {
			mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
			mac.Write([]byte(f))
		}
		return bitsOf(mac.Sum(nil))
	}
	m := newMinter(t, testSecret)
	rapid.Check(t, func(t *rapid.T) {
		i := drawIdentity(t)
		payee := ""
		if i.Source == ledger.SourceInvoice {
			payee = i.Merchant.String()
		}
		h := hash("operation", string(i.Kind), string(i.Asker.Role), i.Asker.String(), payee, i.Wallet.String(), string(i.Source), i.Value)
		want := fmt.Sprintf("%016b", i.Wallet.Bucket()) + h[:32] + "1000" + h[32:44] + "10" + h[44:74]
		var head [12]byte
		for n, bit := range want {
			if bit == '1' {
				head[n/8] |= 0x80 >> (n % 8)
			}
		}
		want += hash("tag", string(head[:]))[:32]
		id := m.OperationID(i)
		if got := bitsOf(id[:]); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func bitsOf(b []byte) string {
	var text strings.Builder
	for _, v := range b {
		fmt.Fprintf(&text, "%08b", v)
	}
	return text.String()
}

// varies is which of the 128 bits differ between some of the IDs.
func varies(ids []ledger.OperationID) (bits [128]bool) {
	for bit := range bits {
		for _, id := range ids {
			if id != ids[0] && (id[bit/8]^ids[0][bit/8])&(0x80>>(bit%8)) != 0 {
				bits[bit] = true
			}
		}
	}
	return bits
}

// Of a wallet's IDs the bucket, version and variant are fixed (22 bits); each of
// the 74 bits of the hash and the 32 of the tag varies, by the key and by random.
func TestEveryBitOfTheHashVaries(t *testing.T) {
	t.Parallel()
	m := newMinter(t, testSecret)
	var want [128]bool
	for bit := range want {
		want[bit] = bit >= 16 && (bit < 48 || bit >= 52) && (bit < 64 || bit >= 66)
	}
	wallet := ledger.WalletID{1}
	var computed, random []ledger.OperationID
	for i := range 200 {
		computed = append(computed, m.OperationID(ledger.Identity{
			Kind: ledger.KindCharge, Wallet: wallet, Source: ledger.SourceKey, Value: fmt.Sprint(i),
		}))
		random = append(random, m.RandomOperationID(wallet, [10]byte(bytes.Repeat([]byte{byte(i * 7)}, 10))))
	}
	if diff := cmp.Diff(want, varies(computed)); diff != "" {
		t.Errorf("computed IDs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, varies(random)); diff != "" {
		t.Errorf("random IDs (-want +got):\n%s", diff)
	}
	// Each of the first 74 bits of the entropy has a bit of the ID to itself.
	for bit := range 80 {
		var entropy [10]byte
		entropy[bit/8] = 0x80 >> (bit % 8)
		none, one := m.RandomOperationID(wallet, [10]byte{}), m.RandomOperationID(wallet, entropy)
		changed := 0
		for i, differs := range varies([]ledger.OperationID{none, one}) {
			if differs && i < 96 {
				changed++
			}
		}
		if want := map[bool]int{true: 1, false: 0}[bit < 74]; changed != want {
			t.Errorf("bit %d of the entropy changes %d bits of the ID, want %d", bit, changed, want)
		}
	}
}

// Each field of the identity makes the ID, and no two identities run together.
func TestOperationIDOfEachField(t *testing.T) {
	t.Parallel()
	m := newMinter(t, testSecret)
	base := ledger.Identity{
		Kind: ledger.KindCharge, Asker: ledger.AsMerchant(ledger.MerchantID{1}), Merchant: ledger.MerchantID{1}, Wallet: ledger.WalletID{1}, Source: ledger.SourceKey, Value: "INV-1",
	}
	seen := map[ledger.OperationID]string{m.OperationID(base): "the same"}
	if m.OperationID(base) != m.OperationID(base) {
		t.Fatal("one identity has two IDs")
	}
	for name, change := range map[string]func(*ledger.Identity){
		"kind":         func(i *ledger.Identity) { i.Kind = ledger.KindTopUp },
		"asker":        func(i *ledger.Identity) { i.Asker.Owner = [16]byte{2} },
		"asker's role": func(i *ledger.Identity) { i.Asker.Role = ledger.RoleClient },
		"operator":     func(i *ledger.Identity) { i.Asker = ledger.AsOperator() },
		"wallet":       func(i *ledger.Identity) { i.Wallet = ledger.WalletID{2} },
		"source":       func(i *ledger.Identity) { i.Source = ledger.SourceInvoice },
		"payee of the invoice": func(i *ledger.Identity) {
			i.Source, i.Merchant = ledger.SourceInvoice, ledger.MerchantID{2}
		},
		"value":                  func(i *ledger.Identity) { i.Value = "INV-2" },
		"no value":               func(i *ledger.Identity) { i.Value = "" },
		"value in other case":    func(i *ledger.Identity) { i.Value = "inv-1" },
		"value with a blank":     func(i *ledger.Identity) { i.Value = "INV-1 " },
		"source and value moved": func(i *ledger.Identity) { i.Source, i.Value = "keyI", "NV-1" },
	} {
		i := base
		change(&i)
		id := m.OperationID(i)
		if other, twice := seen[id]; twice {
			t.Errorf("%s: the ID of %s", name, other)
		}
		seen[id] = name
	}
	paid := base
	if paid.Merchant = (ledger.MerchantID{2}); m.OperationID(paid) != m.OperationID(base) {
		t.Error("under a key the ID depends on whom it pays")
	}
	if newMinter(t, otherSecret).OperationID(base) == m.OperationID(base) {
		t.Error("two secrets compute one ID")
	}
}

func TestResourceID(t *testing.T) {
	t.Parallel()
	m := newMinter(t, testSecret)
	seen := map[[16]byte][3]string{}
	for _, r := range [][3]string{
		{"wallet", "operator", "k"},
		{"client", "operator", "k"},
		{"wallet", "other", "k"},
		{"wallet", "operator", "k2"},
		{"wallet", "operatork", ""},
		{"walletoperator", "", "k"},
		{"", "", ""},
	} {
		id := m.ResourceID(r[0], r[1], r[2])
		if id[6]>>4 != 8 || id[8]>>6 != 0b10 {
			t.Errorf("%x is no UUIDv8", id)
		}
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q have one ID", r, other)
		}
		seen[id] = r
		if id != m.ResourceID(r[0], r[1], r[2]) {
			t.Errorf("%q has two IDs", r)
		}
		if m.Issued(id) {
			t.Errorf("the resource %x is taken for an operation", id)
		}
	}
	if len(m.CheckValue()) != 16 || bytes.Equal(m.CheckValue(), newMinter(t, otherSecret).CheckValue()) {
		t.Error("the check value does not tell secrets apart")
	}
}
