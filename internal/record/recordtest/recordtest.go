// Package recordtest has requests for tests of what travels.
package recordtest

import (
	"bytes"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// Minter makes the IDs of the tests.
func Minter(t testing.TB) *ledger.Minter {
	t.Helper()
	m, err := ledger.NewMinter(bytes.Repeat([]byte("s"), ledger.SecretBytes))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Charge is a charge with all fields that one can have.
func Charge(t testing.TB) ledger.Request {
	t.Helper()
	received := time.Date(2026, 3, 14, 15, 9, 26, 535_897_000, time.UTC)
	r := ledger.Request{
		Kind: ledger.KindCharge, Wallet: ledger.WalletID{0x01, 0x90, 15: 0x01}, Merchant: ledger.MerchantID{0x01, 0x90, 15: 0x02},
		Asker:  ledger.Asker{Party: ledger.AsMerchant(ledger.MerchantID{0x01, 0x90, 15: 0x02}), Key: ledger.KeyID{0x01, 0x90, 15: 0x03}},
		Amount: 1250, Currency: "EUR",
		Invoice: "INV-1001", Description: "Café \"Zur Post\" <1 & 2>\u2028", IdempotencyKey: "key 1",
		Metadata:    ledger.NewMetadata(map[string]string{"table": "7", "waiter": "Zoë \u2028"}),
		ApplyBefore: received.Add(time.Hour), ReceivedAt: received,
	}
	r.ID = Minter(t).OperationID(r.Identity())
	return r
}
