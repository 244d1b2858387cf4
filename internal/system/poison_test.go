package system

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
)

// TestPoison puts into the topic what nobody should, all into partition 0, and
// one good charge behind it.
func TestPoison(t *testing.T) {
	t.Parallel()
	h := newPair(t)
	minter, err := ledger.NewMinter([]byte(testSecret))
	h.must(err)
	merchant, err := ledger.ParseMerchantID(h.shop.merchant)
	h.must(err)
	var wallets [2]ledger.WalletID
	for i, w := range h.wallets {
		wallets[i], err = ledger.ParseWalletID(w)
		h.must(err)
	}
	// Each record is that of a good charge of 7, changed.
	charge := func(wallet ledger.WalletID, key string) ledger.Request {
		r := ledger.Request{
			Kind: ledger.KindCharge, Wallet: wallet, Merchant: merchant, Amount: 7, Currency: "EUR",
			IdempotencyKey: key, ReceivedAt: time.Now(),
		}
		r.ID = minter.OperationID(r.Identity())
		return r
	}
	produce := func(r ledger.Request, old, changed string) string {
		value, headers, err := kafka.Encode(r)
		h.must(err)
		if old != "" && !bytes.Contains(value, []byte(old)) {
			t.Fatalf("the record does not say %s", old)
		}
		record := &kgo.Record{
			Partition: 0, Key: []byte(r.Wallet.String()), Value: bytes.Replace(value, []byte(old), []byte(changed), 1),
		}
		for _, header := range headers {
			record.Headers = append(record.Headers, kgo.RecordHeader(header))
		}
		h.produce(record)
		return r.ID.String()
	}
	forged := charge(wallets[0], "forged")
	forged.ID[3]++

	h.produce(&kgo.Record{Partition: 0})
	h.produce(&kgo.Record{Partition: 0, Key: []byte("k"), Value: []byte("not ours")})
	h.produce(&kgo.Record{Partition: 0, Value: []byte(`{"version":1,"id":"op_0","amount":1}`)})
	produce(charge(wallets[1], "in the wrong partition"), "", "")
	produce(forged, "", "")
	refused := []string{
		produce(charge(wallets[0], "zero"), `"amount":7`, `"amount":0`),
		produce(charge(wallets[0], "negative"), `"amount":7`, `"amount":-7`),
		produce(charge(wallets[0], "too much"), `"amount":7`, `"amount":9007199254740992`),
		produce(charge(wallets[0], "twice"), `"amount":7`, `"amount":7,"AMOUNT":-7`),
		produce(charge(wallets[0], "no currency"), `"EUR"`, `"EUX"`),
		produce(charge(wallets[0], "control"), `"amount":7`, `"amount":7,"description":"\u0000"`),
	}
	good := produce(charge(wallets[0], "good"), "", "")

	h.processor()
	if o, err := h.shop.till.outcome(t.Context(), good); err != nil || o.Status != "accepted" {
		t.Errorf("the charge behind the poison is %s, %v", o.Status, err)
	}
	for _, id := range refused {
		if o, err := h.shop.till.outcome(t.Context(), id); err != nil || o.Failure.Reason != "processing_error" {
			t.Errorf("operation %s is %s for %q, %v; want a processing error", id, o.Status, o.Failure.Reason, err)
		}
	}
	// Offset 0 is the top-up; each dead letter says its place, and whether an
	// operation stands beside it.
	want := []string{"1", "2", "3", "4", "5", "6 beside", "7 beside", "8 beside", "9 beside", "10 beside", "11 beside"}
	letters := h.column("select log_offset || case when operation_id is null then '' else ' beside' end from dead_letters " +
		"where partition = 0 and reason <> '' order by log_offset")
	if diff := cmp.Diff(want, letters); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	t.Log(h.monedero("verify"))
}
