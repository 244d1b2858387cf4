package ingest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func testCursors(t testing.TB, list ...string) cursors {
	t.Helper()
	s, err := cursorsOf(testMinter, list...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		want := Cursor{
			Sequence:  rapid.Int64Range(0, 1<<62).Draw(r, "sequence"),
			DecidedAt: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(r, "decided at")).UTC(),
			Wallet:    ledger.WalletID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "wallet")),
			ID:        ledger.OperationID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "id")),
		}
		text := testCursors(t, "a list").text(&want)
		got, err := testCursors(t, "a list").parse(text) // another ingest
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			r.Fatal(diff)
		}
	})
}

// A cursor shows nothing of where the page ended, and opens as it was made, and in its
// own list, or not at all.
func TestCursorsAreSealed(t *testing.T) {
	t.Parallel()
	where := &Cursor{Sequence: 0x0102030405060708, DecidedAt: time.Unix(1_700_000_000, 0), Wallet: ledger.WalletID{9, 8, 7}, ID: ledger.OperationID{1, 2, 3}}
	own := testCursors(t, "operations", "a wallet")
	good := own.text(where)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{binary.BigEndian.AppendUint64(nil, uint64(where.Sequence)), where.Wallet[:], where.ID[:]} {
		if bytes.Contains(raw, part) {
			t.Errorf("%s shows %x", good, part)
		}
	}
	bad := []string{"x", good + "A", good[1:], good + "="}
	for i := range raw {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		bad = append(bad, base64.RawURLEncoding.EncodeToString(forged))
	}
	for _, text := range bad {
		if c, err := own.parse(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
	for _, other := range [][]string{{"operations", "another"}, {"wallets", "a wallet"}, {"operationsa wallet"}, {"operations"}} {
		if c, err := testCursors(t, other...).parse(good); err == nil {
			t.Errorf("the list %q opens a cursor of another one: %v", other, c)
		}
	}
}
