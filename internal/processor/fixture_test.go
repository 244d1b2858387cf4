package processor_test

import (
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
	clusterID  = "a cluster of the tests"
	testSecret = "a secret of the processor's tests, long enough"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Main{M: m}) }

// fixture is a database with one funded wallet, and the log of its partition as
// the test writes it.
type fixture struct {
	t        *testing.T
	url      string
	store    *postgres.Store
	minter   *ledger.Minter
	clock    time.Time
	client   ledger.ClientID
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
	f := &fixture{t: t, url: pgtest.New(t), minter: minter, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	deployment := postgres.Deployment{
		Topic: topic, Partitions: partitions, ClusterID: clusterID, SecretCheck: minter.CheckValue(), Group: "processors",
	}
	if err := postgres.RegisterTopic(t.Context(), f.url, deployment); err != nil {
		t.Fatal(err)
	}
	f.store, err = postgres.Connect(t.Context(), f.url, postgres.Options{Now: func() time.Time { return f.clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.store.Close)
	f.client, f.merchant = ledger.ClientID(uuid.New()), ledger.MerchantID(uuid.New())
	if _, _, err := f.store.CreateClient(t.Context(), ledger.Client{ID: f.client, Name: "Ada", CreatedAt: f.clock}, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	merchant := ledger.Merchant{ID: f.merchant, Name: "Bakery", CreatedAt: f.clock}
	if _, _, err := f.store.CreateMerchant(t.Context(), merchant, ledger.Person("test", "")); err != nil {
		t.Fatal(err)
	}
	f.wallet = f.open()
	f.append(f.encoded(f.request(ledger.KindTopUp, "funding", 1000)))
	return f
}

// open opens a wallet in partition 0.
func (f *fixture) open() ledger.WalletID {
	f.t.Helper()
	wallet := f.walletIn(0)
	open := ledger.Request{
		ID: f.minter.RandomOperationID(wallet, [10]byte{}), Kind: ledger.KindOpen, Wallet: wallet, Client: f.client,
		Currency: "EUR", ReceivedAt: f.clock, Asker: ledger.Asker{Party: ledger.AsOperator()},
	}
	if _, _, err := f.store.Apply(f.t.Context(), open); err != nil {
		f.t.Fatal(err)
	}
	return wallet
}

func (f *fixture) walletIn(partition int) ledger.WalletID {
	for {
		if w := ledger.WalletID(uuid.New()); w.Partition(partitions) == partition {
			return w
		}
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

// batch is everything in the log from the claim's offset on.
func (f *fixture) batch(c processor.Claim) processor.Batch {
	return processor.Batch{Claim: c, From: c.NextOffset, To: int64(len(f.log)), Records: f.log[c.NextOffset:]}
}

// settler settles through the store, or through what stands before it.
func (f *fixture) settler(s processor.Store) *processor.Settler { return f.decoding(s, record.Decode) }

func (f *fixture) decoding(s processor.Store, decode processor.Decode) *processor.Settler {
	metrics := processor.NewMetrics(prometheus.NewRegistry())
	return processor.NewSettler(s, decode, f.minter, metrics, slog.New(slog.DiscardHandler), func() time.Time { return f.clock })
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

func (f *fixture) balance() int64 {
	f.t.Helper()
	w, err := f.store.Wallet(f.t.Context(), f.wallet)
	if err != nil {
		f.t.Fatal(err)
	}
	return w.Balance
}

func (f *fixture) nextOffset() int64 {
	f.t.Helper()
	next, err := f.store.NextOffset(f.t.Context(), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return next
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

// faulty stands before the real store and says what goes wrong there.
type faulty struct {
	processor.Store
	before func(processor.Slice) error // fails instead of settling
	after  func(processor.Slice) error // fails although it settled
}

func (s *faulty) Settle(ctx context.Context, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	if s.before != nil {
		if err := s.before(slice); err != nil {
			return processor.Tally{}, err
		}
	}
	tally, err := s.Store.Settle(ctx, c, slice)
	if err == nil && s.after != nil {
		err = s.after(slice)
	}
	return tally, err
}

// asRequest reports whether the slice is to decide the operation.
func asRequest(s processor.Slice, id ledger.OperationID) bool {
	for _, item := range s.Items {
		if item.Request != nil && item.Request.ID == id {
			return true
		}
	}
	return false
}

func keys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("key %d", i)
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
