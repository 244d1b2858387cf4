package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// pages lists everything that the filter selects, page by page.
func pages(t *testing.T, w *world, f ingest.Filter) []ledger.OperationID {
	t.Helper()
	var list []ledger.OperationID
	for {
		page, err := w.store.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Operations {
			list = append(list, d.ID)
		}
		if len(page.Operations) > f.Limit {
			t.Errorf("a page of %d operations, want %d at most", len(page.Operations), f.Limit)
		}
		if f.After = page.Next; page.Next == nil {
			return list
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.wallet(0), w.wallet(1)
	shop, other := w.merchant(ledger.ClientID{}), w.merchant(ledger.ClientID{})
	fund := w.topUp(a, 1000)
	inv1 := w.charge(a, shop, 10, "INV-1")
	failed1 := w.charge(a, shop, 10, "INV-1")
	elsewhere := w.charge(a, other, 10, "INV-1")
	bareA := w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: a})
	bareB := w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: a})
	w.settle(0, request(fund), request(inv1), request(failed1), request(elsewhere), refusal(bareA.ID, a, "x"), refusal(bareB.ID, a, "y"))
	w.now = w.now.Add(time.Microsecond)
	poor := w.charge(b, shop, 10, "INV-1")
	plain := w.charge(b, shop, 10, "")
	w.settle(1, request(poor), request(plain))

	open := openOf(t, w, a)
	unsequenced := []ledger.OperationID{bareA.ID, bareB.ID}
	slices.SortFunc(unsequenced, func(x, y ledger.OperationID) int { return slices.Compare(y[:], x[:]) })
	byTime := func(ids ...ledger.OperationID) []ledger.OperationID { // all decided at once: by ID
		slices.SortFunc(ids, func(x, y ledger.OperationID) int { return slices.Compare(y[:], x[:]) })
		return ids
	}
	for name, c := range map[string]struct {
		filter ingest.Filter
		want   []ledger.OperationID
	}{
		"a wallet": {
			ingest.Filter{Wallet: a},
			append(slices.Clone(unsequenced), elsewhere.ID, failed1.ID, inv1.ID, fund.ID, open),
		},
		"a merchant on a wallet": {ingest.Filter{Wallet: a, Merchant: shop}, []ledger.OperationID{failed1.ID, inv1.ID}},
		"an invoice in a wallet": {
			ingest.Filter{Wallet: a, Invoice: "INV-1"}, []ledger.OperationID{elsewhere.ID, failed1.ID, inv1.ID},
		},
		"a merchant's invoice in a wallet": {
			ingest.Filter{Wallet: a, Merchant: shop, Invoice: "INV-1"}, []ledger.OperationID{failed1.ID, inv1.ID},
		},
		"a merchant": {
			ingest.Filter{Merchant: shop},
			append(byTime(poor.ID, plain.ID), byTime(inv1.ID, failed1.ID)...),
		},
		"a merchant's invoice": {
			ingest.Filter{Merchant: shop, Invoice: "INV-1"},
			byWallet(a, b, []ledger.OperationID{failed1.ID, inv1.ID}, []ledger.OperationID{poor.ID}),
		},
		"nothing": {ingest.Filter{Merchant: ledger.MerchantID(newID())}, nil},
	} {
		for limit := 1; limit <= 8; limit++ {
			c.filter.Limit = limit
			if diff := cmp.Diff(c.want, pages(t, w, c.filter)); diff != "" {
				t.Errorf("%s, %d a page: %s", name, limit, diff)
			}
		}
	}
	if _, err := w.store.List(t.Context(), ingest.Filter{Limit: 1}); err == nil {
		t.Error("a list of everything was served")
	}
}

// TestPagesAreBoundedInBytes: of operations that are as large as they may be a page
// holds few, and none is left out.
func TestPagesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, wallet := w.merchant(ledger.ClientID{}), w.wallet(0)
	metadata := map[string]string{}
	for i := range 20 {
		metadata[fmt.Sprint("key", i)] = strings.Repeat("€", 500)
	}
	const charges = 100
	items := make([]processor.Item, charges)
	for i := range items {
		items[i] = request(w.minted(ledger.Request{
			Kind: ledger.KindCharge, Wallet: wallet, Merchant: shop, Amount: 1, Currency: "EUR", Invoice: "INV-1",
			IdempotencyKey: w.key(), Metadata: ledger.NewMetadata(metadata),
		}))
	}
	w.settle(0, items...)
	const row = 20 * 1500
	for name, f := range map[string]ingest.Filter{
		"wallet": {Wallet: wallet}, "merchant": {Merchant: shop}, "both": {Wallet: wallet, Merchant: shop},
		"invoice": {Merchant: shop, Invoice: "INV-1"}, "invoice in the wallet": {Wallet: wallet, Merchant: shop, Invoice: "INV-1"},
	} {
		f.Limit = 200
		page, err := w.store.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, d := range page.Operations {
			size += len(d.Metadata)
		}
		if page.Next == nil || size < postgres.PageBytes || size > postgres.PageBytes+2*row {
			t.Errorf("%s: a page of %d bytes, the next one at %v", name, size, page.Next)
		}
		want := charges
		if name == "wallet" {
			want++ // its opening
		}
		if got := len(pages(t, w, f)); got != want {
			t.Errorf("%s: %d operations, want %d", name, got, want)
		}
	}
}

// byWallet are the two wallets' operations, the larger wallet's first.
func byWallet(a, b ledger.WalletID, ofA, ofB []ledger.OperationID) []ledger.OperationID {
	if slices.Compare(a[:], b[:]) > 0 {
		return slices.Concat(ofA, ofB)
	}
	return slices.Concat(ofB, ofA)
}

func openOf(t *testing.T, w *world, id ledger.WalletID) ledger.OperationID {
	t.Helper()
	var open [16]byte
	err := w.schemaOwner().QueryRow(t.Context(), "select id from operations where wallet_id = $1 and kind = 'open'", [16]byte(id)).Scan(&open)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func TestDecidedAcrossPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []ledger.OperationID
	for p := range partitions {
		r := w.topUp(w.wallet(p), 1)
		w.settle(p, request(r))
		want = append(want, r.ID)
	}
	slices.Reverse(want) // the order of a question is nobody's business
	unknown := w.topUp(walletID(0), 1)
	found, err := w.store.Decided(t.Context(), append(want, unknown.ID))
	if err != nil {
		t.Fatal(err)
	}
	var got []ledger.OperationID
	for _, d := range found {
		got = append(got, d.ID)
	}
	order := func(x, y ledger.OperationID) int { return slices.Compare(x[:], y[:]) }
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	known, _, err := w.store.DecidedIDs(t.Context(), append(want, unknown.ID), nil)
	slices.SortFunc(known, order)
	if diff := cmp.Diff(want, known); err != nil || diff != "" {
		t.Error(err, diff)
	}
	partition := unknown.ID.Partition(w.deployment().Partitions)
	none, next, err := w.store.DecidedIDs(t.Context(), nil, []int{partition})
	if settled, offsetErr := w.store.NextOffset(t.Context(), partition); err != nil || offsetErr != nil || len(none) != 0 || len(next) != 1 || next[partition].Offset != settled {
		t.Errorf("where the partition stands, alone: %v, %v, %v; want %d, %v", none, next, err, settled, offsetErr)
	}
	if found, err := w.store.Decided(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("nothing asked: %v, %v", found, err)
	}
}
