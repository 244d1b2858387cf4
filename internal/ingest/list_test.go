package ingest

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Cursor{
			Sequence:  rapid.Int64Range(0, 1<<62).Draw(t, "sequence"),
			DecidedAt: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "decided at")).UTC(),
			Wallet:    ledger.WalletID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "wallet")),
			ID:        ledger.OperationID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
		}
		got, err := parseCursor(want.text())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestForeignCursorsAreRefused(t *testing.T) {
	t.Parallel()
	good := (&Cursor{Sequence: 7, DecidedAt: time.Unix(1_700_000_000, 0), ID: ledger.OperationID{1}}).text()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte{cursorVersion + 1}, raw[1:]...)
	negative := append([]byte{cursorVersion, 0x80}, raw[2:]...)
	for _, bad := range []string{
		"x", good + "A", good[1:], good + "=",
		base64.RawURLEncoding.EncodeToString(newer), base64.RawURLEncoding.EncodeToString(negative),
	} {
		if c, err := parseCursor(bad); err == nil {
			t.Errorf("%q is read as %v", bad, c)
		}
	}
}
