package repair_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

const (
	topic      = "charges.requested"
	partitions = 2
	testSecret = "a secret of the tests of repair, long enough"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Main{M: m}) }

// fixture is a database with one wallet in partition 0, and the log of that partition as
// the test writes it: it begins with a top-up.
type fixture struct {
	t        *testing.T
	url      string
	store    *postgres.Store
	minter   *ledger.Minter
	clock    time.Time
	merchant ledger.MerchantID
	wallet   ledger.WalletID
	log      []record.Record
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	minter, err := ledger.NewMinter([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		t: t, url: pgtest.New(t), minter: minter, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), merchant: ledger.MerchantID(uuid.New()),
	}
	if err := postgres.RegisterTopic(t.Context(), f.url, postgres.Deployment{
		Topic: topic, Partitions: partitions, ClusterID: "a cluster of the tests", SecretCheck: minter.CheckValue(), Group: "processors",
	}); err != nil {
		t.Fatal(err)
	}
	f.store, err = postgres.Connect(t.Context(), f.url, postgres.Options{Now: func() time.Time { return f.clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.store.Close)
	client := ledger.Client{ID: ledger.ClientID(uuid.New()), Name: "Ada", CreatedAt: f.clock}
	if _, _, err := f.store.CreateClient(t.Context(), client, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	merchant := ledger.Merchant{ID: f.merchant, Name: "Bakery", CreatedAt: f.clock}
	if _, _, err := f.store.CreateMerchant(t.Context(), merchant, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	for f.wallet = ledger.WalletID(uuid.New()); f.wallet.Partition(partitions) != 0; {
		f.wallet = ledger.WalletID(uuid.New())
	}
	f.apply(ledger.Request{Kind: ledger.KindOpen, Client: client.ID, Currency: "EUR"})
	f.append(f.encoded(f.request(ledger.KindTopUp, "funding", 1000)))
	return f
}

// apply does a direct operation on the wallet.
func (f *fixture) apply(r ledger.Request) {
	f.t.Helper()
	r.ID, r.Wallet, r.ReceivedAt = f.minter.RandomOperationID(f.wallet, [10]byte([]byte(uuid.NewString())[:10])), f.wallet, f.clock
	r.Asker.Party = ledger.AsOperator()
	if _, _, err := f.store.Apply(f.t.Context(), r); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) request(kind ledger.Kind, key string, amount int64) ledger.Request {
	r := ledger.Request{
		Kind: kind, Wallet: f.wallet, Amount: amount, Currency: "EUR", IdempotencyKey: key, ReceivedAt: f.clock,
	}
	r.Asker.Party = ledger.AsOperator()
	if kind == ledger.KindCharge {
		r.Merchant, r.Asker.Party = f.merchant, ledger.AsMerchant(f.merchant)
	}
	r.ID = f.minter.OperationID(r.Identity())
	return r
}

func (f *fixture) charge(key string, amount int64) ledger.Request {
	return f.request(ledger.KindCharge, key, amount)
}

func (f *fixture) encoded(r ledger.Request) record.Record {
	f.t.Helper()
	value, headers, err := record.Encode(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers, Time: f.clock}
}

// refusals are charges that no processor decides.
func (f *fixture) refusals(n int) []record.Record {
	records := make([]record.Record, n)
	for i := range records {
		records[i] = f.encoded(f.charge(fmt.Sprintf("refusal %d", i), 3))
		records[i].Value = bytes.Replace(records[i].Value, []byte(`"amount":3`), []byte(`"amount":"3"`), 1)
	}
	return records
}

// append puts records at the end of the log.
func (f *fixture) append(records ...record.Record) {
	for _, r := range records {
		r.Offset = int64(len(f.log))
		f.log = append(f.log, r)
	}
}

func (f *fixture) claim() processor.Claim {
	f.t.Helper()
	c, err := f.store.Claim(f.t.Context(), topic, 0, processor.Memory{})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// settled settles the whole log.
func (f *fixture) settled() {
	f.t.Helper()
	c := f.claim()
	batch := processor.Batch{Claim: c, From: c.NextOffset, To: int64(len(f.log)), Records: f.log[c.NextOffset:]}
	settler := processor.NewSettler(f.store, record.Decode, f.minter, processor.NewMetrics(prometheus.NewRegistry()),
		slog.New(slog.DiscardHandler), func() time.Time { return f.clock })
	if got := settler.Settle(f.t.Context(), batch); got.Kind != processor.ResultSettled {
		f.t.Fatal(got)
	}
}

// outcome is the reason of the operation, "accepted", or "pending".
func (f *fixture) outcome(id ledger.OperationID) string {
	f.t.Helper()
	found, err := f.store.Decided(f.t.Context(), []ledger.OperationID{id})
	if err != nil {
		f.t.Fatal(err)
	}
	switch {
	case len(found) == 0:
		return "pending"
	case found[0].Reason == "":
		return "accepted"
	}
	return string(found[0].Reason)
}

func (f *fixture) nextOffset() int64 {
	f.t.Helper()
	next, err := f.store.NextOffset(f.t.Context(), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return next
}

// exec runs a statement as the owner.
func (f *fixture) exec(statement string) error {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(f.t.Context())) }()
	_, err = conn.Exec(f.t.Context(), statement)
	return err
}

// strings reads one column of text, as the owner.
func (f *fixture) strings(query string) []string {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(f.t.Context())) }()
	rows, err := conn.Query(f.t.Context(), query)
	if err != nil {
		f.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// verify runs the checker.
func (f *fixture) verify() {
	f.t.Helper()
	report, err := f.store.Verify(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, v := range report.Violations {
		f.t.Error(v)
	}
}
