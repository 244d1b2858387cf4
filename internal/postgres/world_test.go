package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

const (
	topic      = "charges.requested"
	partitions = 4
	clusterID  = "test-cluster"
)

// byTest is who changes master data in tests.
var byTest = ledger.Person("somebody@somewhere", "a test")

// world is a store on a database of its own, and what a test does with it.
type world struct {
	t      testing.TB
	url    string
	store  *postgres.Store
	minter *ledger.Minter
	now    time.Time
	keys   int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, url: pgtest.New(t), minter: minter(t, 'x'), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if err := postgres.RegisterTopic(t.Context(), w.url, w.deployment()); err != nil {
		t.Fatal(err)
	}
	w.store = w.connect("test")
	return w
}

func (w *world) deployment() postgres.Deployment {
	return postgres.Deployment{Topic: topic, Partitions: partitions, ClusterID: clusterID, SecretCheck: w.minter.CheckValue(), Group: "processors"}
}

func (w *world) connect(application string) *postgres.Store {
	w.t.Helper()
	s, err := postgres.Connect(w.t.Context(), w.url, postgres.Options{Application: application, Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// owner is a connection as the owner of the schema.
func (w *world) schemaOwner() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func minter(t testing.TB, b byte) *ledger.Minter {
	t.Helper()
	secret := make([]byte, ledger.SecretBytes)
	for i := range secret {
		secret[i] = b
	}
	m, err := ledger.NewMinter(secret)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *world) key() string {
	w.keys++
	return fmt.Sprintf("key %d", w.keys)
}

func newID() (id [16]byte) {
	_, _ = rand.Read(id[:])
	return id
}

// walletID is a new one in the partition.
func walletID(partition int) ledger.WalletID {
	for {
		if id := ledger.WalletID(newID()); id.Partition(partitions) == partition {
			return id
		}
	}
}

func (w *world) client() ledger.ClientID {
	w.t.Helper()
	c := ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}
	if _, made, err := w.store.CreateClient(w.t.Context(), c, byTest); err != nil || !made {
		w.t.Fatal(made, err)
	}
	return c.ID
}

func (w *world) merchant(owner ledger.ClientID) ledger.MerchantID {
	w.t.Helper()
	m := ledger.Merchant{ID: newID(), Owner: owner, Name: "Bodega", CreatedAt: w.now}
	if _, made, err := w.store.CreateMerchant(w.t.Context(), m, byTest); err != nil || !made {
		w.t.Fatal(made, err)
	}
	return m.ID
}

// minted gives the request its ID.
func (w *world) minted(r ledger.Request) *ledger.Request {
	if r.IdempotencyKey == "" && r.Invoice == "" {
		r.IdempotencyKey = w.key()
	}
	r.ReceivedAt, r.Asker = w.now, ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{15: 1}}
	switch {
	case r.Kind == ledger.KindExpire:
		r.Asker = ledger.Asker{Party: ledger.AsSystem()}
	case !r.Merchant.IsZero() && r.Kind.Queued():
		r.Asker.Party = ledger.AsMerchant(r.Merchant)
	}
	r.ID = w.minter.OperationID(r.Identity())
	return &r
}

func (w *world) apply(r ledger.Request) ledger.Operation {
	w.t.Helper()
	op, made, err := w.store.Apply(w.t.Context(), *w.minted(r))
	if err != nil || !made {
		w.t.Fatal(made, err)
	}
	return op
}

// refund gives back of a charge; an amount of 0 is all that is left.
func (w *world) refund(charge *ledger.Request, amount int64) *ledger.Request {
	r := ledger.Request{
		Kind: ledger.KindRefund, Wallet: charge.Wallet, Merchant: charge.Merchant, Refers: charge.ID, Amount: amount, Currency: charge.Currency,
	}
	if amount == 0 {
		r.Currency = ""
	}
	return w.minted(r)
}

// holdOf holds some money of the wallet for a minute.
func (w *world) holdOf(wallet ledger.WalletID, merchant ledger.MerchantID, amount int64, invoice string) *ledger.Request {
	return w.minted(ledger.Request{
		Kind: ledger.KindHold, Wallet: wallet, Merchant: merchant, Amount: amount, Currency: "EUR", Invoice: invoice, ExpiresIn: ledger.MinExpiresIn,
		IdempotencyKey: w.key(),
	})
}

// of refers to a hold: a capture, a release or an expire; an amount of 0 is all that is left.
func (w *world) of(hold *ledger.Request, kind ledger.Kind, amount int64, rest ledger.Rest) *ledger.Request {
	r := ledger.Request{Kind: kind, Wallet: hold.Wallet, Merchant: hold.Merchant, Refers: hold.ID, Amount: amount, Rest: rest}
	if amount > 0 {
		r.Currency = hold.Currency
	}
	return w.minted(r)
}

// wallet opens one in the partition, for a client of its own.
func (w *world) wallet(partition int) ledger.WalletID {
	w.t.Helper()
	id := walletID(partition)
	w.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: w.client(), Currency: "EUR"})
	return id
}

// mandated opens one in the partition that is charged under mandates.
func (w *world) mandated(partition int) ledger.WalletID {
	w.t.Helper()
	id := walletID(partition)
	w.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: w.client(), Currency: "EUR", Charges: ledger.ChargesMandated})
	return id
}

// grant gives the merchant a mandate of the wallet.
func (w *world) grant(id ledger.WalletID, m ledger.MerchantID, terms ledger.Terms) ledger.Operation {
	w.t.Helper()
	return w.apply(ledger.Request{Kind: ledger.KindGrant, Wallet: id, Merchant: m, Currency: "EUR", Terms: terms})
}

func (w *world) topUp(id ledger.WalletID, amount int64) *ledger.Request {
	return w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: id, Amount: amount, Currency: "EUR", Reference: "E2E-17"})
}

func (w *world) charge(id ledger.WalletID, m ledger.MerchantID, amount int64, invoice string) *ledger.Request {
	return w.minted(ledger.Request{
		Kind: ledger.KindCharge, Wallet: id, Merchant: m, Amount: amount, Currency: "EUR", Invoice: invoice, IdempotencyKey: w.key(),
		Description: "a coffee", Metadata: ledger.NewMetadata(map[string]string{"table": "4"}), ApplyBefore: w.now.Add(time.Hour),
	})
}

func (w *world) claim(partition int) processor.Claim {
	w.t.Helper()
	c, err := w.store.Claim(w.t.Context(), topic, partition, processor.Memory{})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func recordAt(offset int64) record.Record {
	return record.Record{
		Offset: offset, Key: []byte("key"), Value: fmt.Appendf(nil, "value %d", offset), Time: time.UnixMilli(1_700_000_000_000 + offset),
		Headers: []record.Header{{Key: "ce_id", Value: []byte{0, 0xff, byte(offset)}}},
	}
}

func request(r *ledger.Request) processor.Item { return processor.Item{Request: r} }

func refusal(id ledger.OperationID, wallet ledger.WalletID, value string) processor.Item {
	return processor.Item{
		Refusal: &ledger.Refusal{ID: id, Kind: ledger.KindCharge, Asker: ledger.Asker{Party: ledger.AsMerchant(newID())}, Wallet: wallet, Fingerprint: ledger.RefusedFingerprint([]byte(value))},
		Fault:   "the amount is not one\x00\xff",
	}
}

func dead() processor.Item { return processor.Item{Fault: "not ours"} }

// slice puts the items at consecutive offsets.
func slice(from int64, items ...processor.Item) processor.Slice {
	for i := range items {
		items[i].Record = recordAt(from + int64(i))
	}
	return processor.Slice{From: from, To: from + int64(len(items)), Items: items}
}

// settle claims the partition and settles the items where it stands.
func (w *world) settle(partition int, items ...processor.Item) processor.Tally {
	w.t.Helper()
	c := w.claim(partition)
	tally, err := w.store.Settle(w.t.Context(), c, slice(c.NextOffset, items...))
	if err != nil {
		w.t.Fatal(err)
	}
	return tally
}

func (w *world) decided(r *ledger.Request) outcomes.Decided {
	w.t.Helper()
	found, err := w.store.Decided(w.t.Context(), []ledger.OperationID{r.ID})
	if err != nil || len(found) != 1 {
		w.t.Fatal(len(found), err)
	}
	return found[0]
}

// verified fails the test unless everything that must hold does.
func (w *world) verified() postgres.Report {
	w.t.Helper()
	report, err := w.store.Verify(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range report.Violations {
		w.t.Error(v)
	}
	return report
}

// newOrdinaryOwner is a world whose database belongs to a user with no rights
// but to make roles.
func newOrdinaryOwner(t *testing.T) *world {
	t.Helper()
	address := pgtest.Empty(t)
	super, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = super.Close(context.Background()) })
	database := super.Config().Database
	user := database + "_owner"
	for _, sql := range []string{
		"create role " + user + " login createrole password 'secret'", "alter database " + database + " owner to " + user,
		"alter schema public owner to " + user,
	} {
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// From 16 on, only who made the service's role may grant it.
	if _, err := super.Exec(t.Context(), `do $$ begin
		if current_setting('server_version_num')::int >= 160000 then
			create role monedero_service nologin;
		end if;
	exception when duplicate_object or unique_violation then null; end $$`); err != nil {
		t.Fatal(err)
	}
	if _, err := super.Exec(t.Context(), `do $$ begin
		if current_setting('server_version_num')::int >= 160000 then grant monedero_service to `+user+`; end if;
	end $$`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, sql := range []string{"reassign owned by " + user + " to current_user", "drop owned by " + user, "drop role " + user} {
			if _, err := super.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "secret")
	w := &world{t: t, url: u.String(), minter: minter(t, 'x'), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if _, err := postgres.Migrate(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	if err := postgres.RegisterTopic(t.Context(), w.url, w.deployment()); err != nil {
		t.Fatal(err)
	}
	w.store = w.connect("test")
	return w
}
