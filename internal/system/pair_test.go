package system

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// pair is a system of two partitions with a wallet in each, both topped up once;
// the processor that settled this was stopped.
type pair struct {
	*stack
	shop     *shop
	wallets  [2]ledger.WalletID // by partition
	served   *process           // the ingest
	minter   *ledger.Minter
	merchant ledger.MerchantID
}

func newPair(t *testing.T) *pair {
	t.Helper()
	return newPairOn(newStack(t, 2))
}

func newPairOn(s *stack) *pair {
	s.t.Helper()
	served, operator := s.ingest()
	settled := s.processor()
	p := &pair{stack: s, served: served, shop: operator.open()}
	for p.wallets[0].IsZero() || p.wallets[1].IsZero() {
		w, err := ledger.ParseWalletID(p.shop.wallet())
		p.must(err)
		p.wallets[w.Partition(2)] = w
	}
	for _, w := range p.wallets {
		operator.topUp(w.String(), 100)
	}
	settled.terminate()
	var err error
	p.merchant, err = ledger.ParseMerchantID(p.shop.merchant)
	p.must(err)
	p.minter, err = ledger.NewMinter([]byte(testSecret))
	p.must(err)
	return p
}

// charge is what ingest makes of a charge of 7.
func (p *pair) charge(wallet ledger.WalletID, key string) ledger.Request {
	r := ledger.Request{
		Kind: ledger.KindCharge, Wallet: wallet, Merchant: p.merchant, Amount: 7, Currency: "EUR",
		IdempotencyKey: key, ReceivedAt: time.Now(), Asker: ledger.Asker{Party: ledger.AsMerchant(p.merchant)},
	}
	r.ID = p.minter.OperationID(r.Identity())
	return r
}

func (p *pair) record(r ledger.Request) record.Record {
	p.t.Helper()
	value, headers, err := record.Encode(r)
	p.must(err)
	return record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers}
}

// produce puts the records straight into a partition.
func (p *pair) produce(partition int, records ...record.Record) {
	p.t.Helper()
	p.kafka.Produce(p.t, topicName, partition, records...)
}

// recreateTopic makes the topic anew, empty.
func (p *pair) recreateTopic() {
	p.t.Helper()
	p.kafka.DeleteTopic(p.t, topicName)
	p.kafka.Create(p.t, topicName, 2)
}

// sql runs a statement as the owner.
func (p *pair) sql(statement string) { p.column(statement) }

// column runs a query as the owner and reads its column of text.
func (p *pair) column(query string) []string {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.database)
	p.must(err)
	rows, err := conn.Query(p.t.Context(), query)
	p.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	p.must(errors.Join(err, conn.Close(p.t.Context())))
	return all
}
