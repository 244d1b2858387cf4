package postgres_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// BenchmarkSettle settles batches of 500 charges with invoices, on every
// partition at once: spread over 250 wallets of each, and on one of each.
func BenchmarkSettle(b *testing.B) {
	for _, wallets := range []int{250, 1} {
		b.Run(fmt.Sprintf("wallets=%d", wallets*partitions), func(b *testing.B) { benchmarkSettle(b, wallets) })
	}
}

func benchmarkSettle(b *testing.B, wallets int) {
	b.Helper()
	const size = 500
	w := newWorld(b)
	shop := w.merchant(ledger.ClientID{})
	var claims [partitions]processor.Claim
	var batches [partitions][]processor.Slice
	for p := range partitions {
		var list []ledger.WalletID
		for range wallets {
			id := w.wallet(p)
			list = append(list, id)
			w.settle(p, request(w.topUp(id, 1_000_000_000)))
		}
		claims[p] = w.claim(p)
		next := claims[p].NextOffset
		for range b.N {
			items := make([]processor.Item, size)
			for i := range items {
				items[i] = request(w.charge(list[i%wallets], shop, 1, fmt.Sprint("INV-", w.keys)))
			}
			batches[p] = append(batches[p], slice(next, items...))
			next += size
		}
	}
	b.ResetTimer()
	var group sync.WaitGroup
	for p := range partitions {
		group.Go(func() {
			for _, s := range batches[p] {
				if _, err := w.store.Settle(b.Context(), claims[p], s); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*size*partitions)/b.Elapsed().Seconds(), "charges/s")
}
