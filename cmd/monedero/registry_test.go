package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// TestRegistryCommands takes a key and a merchant through their lives, and finds all of it
// in the audit log.
func TestRegistryCommands(t *testing.T) {
	t.Parallel()
	environ := ready(t)
	store, err := postgres.Connect(t.Context(), strings.TrimPrefix(environ[0], "DATABASE_URL="), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	minter, err := ledger.NewMinter([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	client := ledger.Client{ID: ledger.ClientID{1}, Name: "Ana", CreatedAt: now}
	if _, _, err := store.CreateClient(t.Context(), client, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	shop := ledger.Merchant{ID: ledger.MerchantID{2}, Owner: client.ID, Name: "Bodega", CreatedAt: now}
	if _, _, err := store.CreateMerchant(t.Context(), shop, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	shows := func(want string, args ...string) {
		t.Helper()
		if out := must(t, environ, args...); !strings.Contains(out, want) {
			t.Errorf("%v does not show %q:\n%s", args, want, out)
		}
	}
	id := func(text string) string { return text[len("mon_merchant_") : len("mon_merchant_")+30] }
	merchant := shop.ID.String()
	old := must(t, environ, "keys", "create", "--role", "merchant", "--merchant", merchant, "--name", "till", "--reason", "a new till")
	next := must(t, environ, "keys", "rotate", "--key", id(old), "--overlap", "1h", "--reason", "a new year")
	if id(old) == id(next) || !strings.HasPrefix(next, "mon_merchant_key_") {
		t.Errorf("%s has the successor %s", id(old), id(next))
	}
	shows(`"expires_at"`, "keys", "show", "--key", id(old))
	shows(`"revoked_at"`, "keys", "revoke", "--key", id(next), "--reason", "stolen")
	shows(id(next), "keys", "list", "--merchant", merchant)
	brief := must(t, environ, "keys", "create", "--role", "merchant", "--merchant", merchant, "--expires", "2100-01-02T15:04:05+02:00", "--reason", "a fair")
	shows(`"expires_at": "2100-01-02T13:04:05Z"`, "keys", "show", "--key", id(brief))
	if after := must(t, environ, "keys", "rotate", "--key", id(brief), "--overlap", "0", "--reason", "lost"); id(after) == id(brief) {
		t.Errorf("%s is its own successor", id(after))
	}
	if k, err := store.Key(t.Context(), keyID(t, id(brief))); err != nil || !k.Ended(time.Now()) {
		t.Errorf("without an overlap the old key lives on: %+v, %v", k, err)
	}
	shows(`"owner_id":"`+merchant+`"`, "keys", "list", "-o", "json")
	shows(`"suspended": true`, "merchants", "suspend", "--merchant", merchant, "--reason", "Case 93")
	shows("true", "merchants", "list")
	shows(`"suspended": false`, "merchants", "resume", "--merchant", merchant, "--reason", "closed")
	shows("Bodega", "merchants", "show", "--merchant", merchant)
	shows("Ana", "clients", "list")
	shows("Ana", "clients", "show", "--client", client.ID.String())
	shows("BALANCE", "wallets", "list")
	for _, want := range []string{"a new till", "a new year", "stolen", "Case 93", "closed", whoRuns()} {
		shows(want, "audit")
		shows(want, "audit", "--changes")
	}
	wallet := ledger.Request{
		Kind: ledger.KindOpen, Wallet: ledger.WalletID{3}, Client: client.ID, Currency: "EUR", IdempotencyKey: "open", ReceivedAt: now,
		Asker: ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{4}}, Note: "a gift",
	}
	wallet.ID = minter.OperationID(wallet.Identity())
	if _, _, err := store.Apply(t.Context(), wallet); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"audit"}, {"audit", "--about", wallet.Wallet.String()}} {
		shows("operator "+wallet.Asker.Key.String()+"  open", args...)
		shows(`"action":"open","about":"`+wallet.Wallet.String()+`","operation_id":"`+wallet.ID.String(), append(args, "-o", "json")...)
	}
	if out := must(t, environ, "audit", "--changes"); strings.Contains(out, wallet.ID.String()) {
		t.Errorf("an operation among the changes:\n%s", out)
	}
	shows(`"action":"merchant_suspended"`, "audit", "--about", merchant, "-o", "json")
	if out := must(t, environ, "audit", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one row:\n%s", out)
	}
	if out := must(t, environ, "audit", "-o", "json"); strings.Contains(out, old[len(old)-30:]) || strings.Contains(out, "hash") {
		t.Errorf("a secret:\n%s", out)
	}
	for code, lines := range map[int][][]string{
		exitMisuse: {
			{"keys", "revoke", "--reason", "x"},
			{"keys", "revoke", "--key", id(old)},
			{"keys", "rotate", "--key", id(old), "--overlap", "721h", "--reason", "x"},
			{"keys", "rotate", "--key", id(old), "--overlap", "-1s", "--reason", "x"},
			{"keys", "create", "--role", "operator", "--expires", "2020-01-02T15:04:05Z"},
			{"keys", "create", "--role", "operator", "--expires", "0001-01-01T00:00:00Z"},
			{"keys", "create", "--role", "operator", "--expires", "9999-12-31T23:59:59-12:00"},
			{"keys", "create", "--role", "operator", "--expires", "tomorrow"},
			{"merchants", "suspend", "--merchant", merchant},
			{"audit", "--limit", "0"},
			{"keys", "list", "-o", "xml"},
			{"clients", "show"},
			{"wallets", "show"},
		},
		exitFailed: {
			{"keys", "rotate", "--key", id(next), "--reason", "x"},
			{"keys", "show", "--key", ledger.KeyID{9}.String()},
			{"merchants", "resume", "--merchant", ledger.MerchantID{9}.String(), "--reason", "x"},
			{"clients", "show", "--client", ledger.ClientID{9}.String()},
		},
	} {
		for _, line := range lines {
			r := monedero(t, environ, line...)
			if r.code != code || r.errors == "" {
				t.Errorf("%v: %+v", line, r)
			}
			if slices.Contains(line, "--expires") && !strings.Contains(r.errors, "--expires must ") {
				t.Errorf("%v does not say what is wrong: %+v", line, r)
			}
		}
	}
	must(t, environ, "verify")
}

func keyID(t *testing.T, text string) ledger.KeyID {
	t.Helper()
	id, err := ledger.ParseKeyID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
