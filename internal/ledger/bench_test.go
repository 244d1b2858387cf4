package ledger_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
)

// benchBatch is how many charges one book decides in the benchmarks.
const benchBatch = 500

// BenchmarkDecide is per charge: 500 to a book, over one wallet or over 1,000, that anyone may charge or under mandates.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name    string
		wallets int
		charges ledger.Charges
	}{
		{"wallets=1", 1, ""}, {"wallets=1000", 1000, ""}, {"wallets=1,mandated", 1, ledger.ChargesMandated}, {"wallets=1000,mandated", 1000, ledger.ChargesMandated},
	} {
		wallets := c.wallets
		b.Run(c.name, func(b *testing.B) {
			m := newMinter(b, testSecret)
			requests := make([]ledger.Request, 1000)
			for i := range requests {
				r := validCharge()
				r.Wallet = walletNumber(i % wallets)
				r.Invoice, r.IdempotencyKey = fmt.Sprintf("INV-%d", i), fmt.Sprintf("key-%d", i)
				r.Amount, r.ApplyBefore = 1, worldTime.AddDate(1, 0, 0)
				r.ID = m.OperationID(r.Identity())
				requests[i] = r
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				b.StopTimer()
				book := benchBook(wallets, c.charges)
				b.StartTimer()
				for k := 0; k < benchBatch && n < b.N; k++ {
					r := requests[n%len(requests)]
					if v := book.Decide(r, ledger.Place{Log: 1, Offset: int64(n)}); v != ledger.Settled {
						b.Fatalf("verdict %d", v)
					}
					n++
				}
			}
		})
	}
}

func benchBook(wallets int, charges ledger.Charges) *ledger.Book {
	known := ledger.Known{
		Wallets:   make(map[ledger.WalletID]ledger.Wallet, wallets),
		Merchants: map[ledger.MerchantID]ledger.Merchant{{1}: {}},
		Mandates:  make(map[ledger.WalletMerchant]ledger.Mandate, wallets),
	}
	for i := range wallets {
		id := walletNumber(i)
		known.Wallets[id] = ledger.Wallet{ID: id, Currency: "EUR", Status: ledger.WalletActive, Charges: charges, Balance: ledger.MaxAmount}
		if charges == ledger.ChargesMandated {
			known.Mandates[ledger.WalletMerchant{Wallet: id, Merchant: ledger.MerchantID{1}}] = ledger.Mandate{
				Wallet: id, Merchant: ledger.MerchantID{1}, Given: true,
				Terms: ledger.Terms{MaxAmount: 10, PerDay: 10_000, PerMonth: 10_000, Total: 10_000, ValidUntil: worldTime.AddDate(1, 0, 0)},
			}
		}
	}
	return ledger.NewBook(known, worldTime)
}

func walletNumber(i int) (id ledger.WalletID) {
	binary.BigEndian.PutUint64(id[8:], uint64(i+1))
	return id
}

func BenchmarkOperationID(b *testing.B) {
	m, i := newMinter(b, testSecret), validCharge().Identity()
	b.ReportAllocs()
	for b.Loop() {
		m.OperationID(i)
	}
}

func BenchmarkIssued(b *testing.B) {
	m := newMinter(b, testSecret)
	id := m.OperationID(validCharge().Identity())
	b.ReportAllocs()
	for b.Loop() {
		if !m.Issued(id) {
			b.Fatal("not ours")
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	op, digest := fullOperation(), ledger.Digest{}
	b.ReportAllocs()
	for b.Loop() {
		digest = op.Seal(digest)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	r := validCharge()
	b.ReportAllocs()
	for b.Loop() {
		r.Fingerprint()
	}
}

func BenchmarkFaults(b *testing.B) {
	r := validCharge()
	b.ReportAllocs()
	for b.Loop() {
		if f := r.Faults(); f != nil {
			b.Fatal(f)
		}
	}
}

func BenchmarkIDText(b *testing.B) {
	id := ledger.WalletID{0x02, 15: 0xf2}
	text := id.String()
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ledger.ParseWalletID(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("string", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = id.String()
		}
	})
}
