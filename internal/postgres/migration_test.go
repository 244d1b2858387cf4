package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/migrations"
)

// migratedTo makes the schema as it was up to the migration, and connects as its owner.
func migratedTo(t *testing.T, address string, version int64) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if err := provider.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestMigrationKeepsOperations: a history that was sealed in version 2 holds after the
// migration that gives each operation what it was decided on, and its position.
func TestMigrationKeepsOperations(t *testing.T) {
	t.Parallel()
	w := &world{t: t, url: pgtest.Empty(t), minter: minter(t, 'x'), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	conn := migratedTo(t, w.url, 21)
	var operations []ledger.Operation
	for i, id := range []ledger.WalletID{walletID(1), walletID(1), walletID(2)} {
		client, merchant := ledger.ClientID(newID()), ledger.MerchantID(newID())
		// A clock that went back in the middle of the wallet's history.
		for n, at := range []time.Time{w.now, w.now.Add(time.Hour), w.now.Add(time.Minute)} {
			known := ledger.Known{Merchants: map[ledger.MerchantID]ledger.Merchant{merchant: {Owner: client, Suspended: i == 1}}, Wallets: map[ledger.WalletID]ledger.Wallet{}}
			if n > 0 {
				last := operations[len(operations)-1]
				known.Wallets[id] = ledger.Wallet{
					ID: id, Client: client, Currency: "EUR", Status: last.StatusAfter, Balance: last.BalanceAfter, Sequence: last.Sequence, Digest: last.Digest,
				}
			}
			before := known.Wallets[id].Digest
			book := ledger.NewBook(known, at)
			request := []*ledger.Request{
				w.minted(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: client, Currency: "EUR"}),
				w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: id, Amount: 100, Currency: "EUR"}), w.charge(id, merchant, 7, "INV-1"),
			}[n]
			place := ledger.Place{}
			if n > 0 {
				place = ledger.Place{Log: 1, Offset: int64(3*i + n)}
			}
			book.Decide(*request, place)
			o := book.Operations()[0]
			o.SealVersion = 2
			o.Digest = o.Seal(before)
			operations = append(operations, o)
		}
	}
	for i := range operations {
		insertOld(t, conn, &operations[i])
	}
	if _, err := postgres.Migrate(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	if err := postgres.RegisterTopic(t.Context(), w.url, w.deployment()); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Rebuild(t.Context(), w.url, nil, func(postgres.Rebuilt) {}); err != nil {
		t.Fatal(err)
	}
	w.store = w.connect("test")
	report, err := w.store.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		if v.Rule != postgres.RulePlace { // the log itself is not there
			t.Error(v)
		}
	}
	if report.Operations != int64(len(operations)) || report.Failed != 3 {
		t.Errorf("%d operations, %d failed", report.Operations, report.Failed)
	}
}

// insertOld inserts what a build before the migration stored of an operation.
func insertOld(t *testing.T, conn *pgx.Conn, o *ledger.Operation) {
	t.Helper()
	names, marks, args := []string{"partition", "digest"}, []string{"$1", "$2"}, []any{o.Wallet.Partition(partitions), o.Digest[:]}
	if key, has := o.InvoiceKey(); has {
		names, args = append(names, "invoice_key"), append(args, [16]byte(key))
		marks = append(marks, "$3")
	}
	for _, f := range ledger.OperationFields() {
		if f.Since != 2 || f.Absent != nil && f.Absent(o) {
			continue
		}
		var value any
		switch v := f.Of(o).(type) {
		case *string:
			value = *v
		case *[16]byte:
			value = *v
		case *[32]byte:
			value = v[:]
		case *int64:
			value = *v
		case *int32:
			value = *v
		case *time.Time:
			value = *v
		}
		switch value {
		case "", [16]byte{}, int32(0), time.Time{}:
			continue
		}
		if value == int64(0) && f.Absent == nil {
			continue
		}
		names, args = append(names, f.Column), append(args, value)
		marks = append(marks, fmt.Sprintf("$%d", len(args)))
	}
	sql := "insert into operations (" + strings.Join(names, ", ") + ") values (" + strings.Join(marks, ", ") + ")"
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
}
