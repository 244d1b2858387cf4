package postgres_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
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
	before := walPosition(b, w)
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
	charges := float64(b.N * size * partitions)
	b.ReportMetric(charges/b.Elapsed().Seconds(), "charges/s")
	b.ReportMetric((walPosition(b, w)-before)/charges, "wal-B/charge")
}

// BenchmarkSettleFew settles few charges a transaction, one transaction after the other, and reports what each
// takes of CPU: of Postgres and of this process.
func BenchmarkSettleFew(b *testing.B) {
	for _, size := range []int{1, 8, 100} {
		b.Run(fmt.Sprintf("charges=%d", size), func(b *testing.B) {
			w := newWorld(b)
			shop := w.merchant(ledger.ClientID{})
			list := make([]ledger.WalletID, 100)
			for i := range list {
				list[i] = w.wallet(1)
				w.settle(1, request(w.topUp(list[i], 1_000_000_000)))
			}
			claim := w.claim(1)
			const first = 50 // sessions read the catalog and prepare their statements
			batches := make([]processor.Slice, first+b.N)
			for i, next := 0, claim.NextOffset; i < len(batches); i, next = i+1, next+int64(size) {
				items := make([]processor.Item, size)
				for j := range items {
					items[j] = request(w.charge(list[(i*size+j)%len(list)], shop, 1, fmt.Sprint("INV-", w.keys)))
				}
				batches[i] = slice(next, items...)
			}
			var server, here time.Duration
			for i, s := range batches {
				if i == first {
					server, here = serverCPU(b, w), processCPU(b)
					b.ResetTimer()
				}
				if _, err := w.store.Settle(b.Context(), claim, s); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64((serverCPU(b, w)-server).Microseconds())/float64(b.N), "postgres-us/op")
			b.ReportMetric(float64((processCPU(b)-here).Microseconds())/float64(b.N), "go-us/op")
		})
	}
}

// serverCPU is what the sessions of the store have taken, where the server runs here under Linux; else 0.
func serverCPU(b *testing.B, w *world) (all time.Duration) {
	b.Helper()
	rows, err := w.schemaOwner().Query(b.Context(), "select pid from pg_stat_activity where datname = current_database() and application_name = 'monedero-test'")
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			return 0
		}
		var ran time.Duration
		if _, err := fmt.Sscan(string(text), &ran); err != nil {
			b.Fatal(err)
		}
		all += ran
	}
	return all
}

// processCPU is what this process has taken.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFreeze freezes and unfreezes a wallet while its partition settles batches of
// 500 charges of other wallets, one after the other: how long each of these waits.
func BenchmarkFreeze(b *testing.B) {
	w := newWorld(b)
	shop, frozen := w.merchant(ledger.ClientID{}), w.wallet(1)
	var list []ledger.WalletID
	for range 250 {
		id := w.wallet(1)
		list = append(list, id)
		w.settle(1, request(w.topUp(id, 1_000_000_000)))
	}
	claim := w.claim(1)
	batch := func(from int64) processor.Slice {
		items := make([]processor.Item, 500)
		for i := range items {
			items[i] = request(w.charge(list[i%len(list)], shop, 1, fmt.Sprint("INV-", w.keys)))
		}
		return slice(from, items...)
	}
	stop, settled := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for next := claim.NextOffset; ; n++ {
			select {
			case <-stop:
				settled <- n
				return
			default:
			}
			s := batch(next)
			if _, err := w.store.Settle(b.Context(), claim, s); err != nil {
				b.Error(err)
			}
			next = s.To
		}
	}()
	var waits []time.Duration
	kinds := []ledger.Kind{ledger.KindFreeze, ledger.KindUnfreeze}
	b.ResetTimer()
	for n := range b.N {
		began := time.Now()
		r := ledger.Request{
			Kind: kinds[n%2], Wallet: frozen, Asker: ledger.Asker{Party: ledger.AsOperator()}, IdempotencyKey: fmt.Sprint("freeze ", n), ReceivedAt: w.now,
		}
		r.ID = w.minter.OperationID(r.Identity())
		if _, _, err := w.store.Apply(b.Context(), r); err != nil {
			b.Error(err)
		}
		waits = append(waits, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	b.StopTimer()
	close(stop)
	batches := <-settled
	slices.Sort(waits)
	milliseconds := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	b.ReportMetric(milliseconds(waits[len(waits)/2]), "p50-ms")
	b.ReportMetric(milliseconds(waits[len(waits)*99/100]), "p99-ms")
	b.ReportMetric(milliseconds(waits[len(waits)-1]), "max-ms")
	b.ReportMetric(milliseconds(b.Elapsed())/float64(batches), "ms/settle")
}

// walPosition is how many bytes of WAL the server has written.
func walPosition(b *testing.B, w *world) (bytes float64) {
	b.Helper()
	if err := w.schemaOwner().QueryRow(b.Context(), "select pg_current_wal_insert_lsn() - '0/0'").Scan(&bytes); err != nil {
		b.Fatal(err)
	}
	return bytes
}

// BenchmarkLookUp looks 256 operations up that are spread over all partitions and
// have no outcome yet.
func BenchmarkLookUp(b *testing.B) {
	for _, n := range []int{16, 256} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			w := &world{t: b, url: pgtest.New(b), minter: minter(b, 'x')}
			d := w.deployment()
			d.Partitions = n
			if err := postgres.RegisterTopic(b.Context(), w.url, d); err != nil {
				b.Fatal(err)
			}
			w.store = w.connect("test")
			ids := make([]ledger.OperationID, 256)
			for i := range ids {
				ids[i] = newID()
			}
			b.ResetTimer()
			for range b.N {
				if known, _, err := w.store.DecidedIDs(b.Context(), ids, nil); err != nil || len(known) != 0 {
					b.Fatal(len(known), err)
				}
			}
		})
	}
}

// BenchmarkLookUpDecided looks 256 charges up that have an outcome, of 16 merchants.
func BenchmarkLookUpDecided(b *testing.B) {
	w := newWorld(b)
	id := w.wallet(1)
	shops := make([]ledger.MerchantID, 16)
	for i := range shops {
		shops[i] = w.merchant(ledger.ClientID{})
	}
	var ids []ledger.OperationID
	var items []processor.Item
	for i := range 256 {
		r := w.charge(id, shops[i%len(shops)], 1, fmt.Sprint("INV-", i))
		ids, items = append(ids, r.ID), append(items, request(r))
	}
	w.settle(1, items...)
	b.ResetTimer()
	for range b.N {
		if found, err := w.store.Decided(b.Context(), ids); err != nil || len(found) != len(ids) {
			b.Fatal(len(found), err)
		}
	}
}

// BenchmarkVerify verifies a history of a million operations on 1,000 wallets,
// one of which has a tenth of them: one iteration is all that it needs
// (-benchtime 1x). How long a rebuild takes is reported beside it.
func BenchmarkVerify(b *testing.B) {
	const wallets, rounds = 1000, 1000 // 1,000 operations a round
	w := newWorld(b)
	fill(w, wallets, rounds)
	b.ResetTimer()
	for range b.N {
		if report := w.verified(); report.Operations < wallets*rounds {
			b.Errorf("report: %s", report)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N*wallets*rounds)/b.Elapsed().Seconds(), "operations/s")
	began := time.Now()
	if changed := w.rebuild(); changed != 0 {
		b.Errorf("the rebuild changed %d rows", changed)
	}
	b.ReportMetric(time.Since(began).Seconds(), "rebuild-s")
}

// fill settles rounds of 1,000 operations, spread over the partitions.
func fill(w *world, wallets, rounds int) {
	w.t.Helper()
	shop := w.merchant(ledger.ClientID{})
	lists := make([][]ledger.WalletID, partitions)
	for i := range wallets {
		p := i % partitions
		id := w.wallet(p)
		lists[p] = append(lists[p], id)
		w.settle(p, request(w.topUp(id, 1_000_000_000)))
	}
	var group sync.WaitGroup
	for p := range partitions {
		claim, list := w.claim(p), lists[p]
		group.Go(func() {
			next := claim.NextOffset
			for round := range rounds / partitions {
				items := make([]processor.Item, 1000)
				for i := range items {
					id := list[(round*len(items)+i)%len(list)]
					if i%10 == 0 {
						id = list[0]
					}
					key := fmt.Sprintf("%d-%d-%d", p, round, i)
					items[i] = request(w.minted(ledger.Request{
						Kind: ledger.KindCharge, Wallet: id, Merchant: shop, Amount: 1, Currency: "EUR", Invoice: "INV-" + key, IdempotencyKey: key,
					}))
				}
				s := slice(next, items...)
				if _, err := w.store.Settle(w.t.Context(), claim, s); err != nil {
					w.t.Error(err)
					return
				}
				next = s.To
			}
		})
	}
	group.Wait()
}
