package postgres_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// TestSettlementAddsUp sums what a merchant was charged and gave back on some days, on pages of every size, and between times: the
// sums are those of its operations, and of all days its balance.
func TestSettlementAddsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, other := w.merchant(ledger.ClientID{}), w.merchant(ledger.ClientID{})
	wallets := []ledger.WalletID{w.wallet(0), w.wallet(1)}
	for _, id := range wallets {
		w.settle(id.Partition(partitions), request(w.topUp(id, 1000)))
	}
	type sums struct{ charged, refunded, charges, refunds int64 }
	type movement struct {
		at     time.Time
		amount int64
	}
	var all []movement
	for i := range 40 {
		w.now = w.now.Add(5 * time.Hour)
		id := wallets[i%2]
		charge := w.charge(id, shop, int64(1+i), "")
		poor := w.charge(id, shop, 1_000_000, "")
		w.settle(id.Partition(partitions), request(charge), request(w.charge(id, other, 1, "")), request(poor))
		if w.decided(charge).Status() == ledger.StatusAccepted {
			all = append(all, movement{w.now, int64(1 + i)})
		}
		if i%5 == 0 {
			refund := w.refund(charge, 1)
			w.now = w.now.Add(time.Hour)
			w.settle(id.Partition(partitions), request(refund))
			if w.decided(refund).Status() != ledger.StatusAccepted {
				t.Fatal(w.decided(refund).Reason)
			}
			all = append(all, movement{w.now, -1})
		}
	}
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	end := w.now.Add(time.Second)
	for _, between := range [][2]time.Time{{{}, {}}, {all[3].at, all[20].at}, {all[3].at.Add(time.Microsecond), end}, {all[7].at, all[7].at}} {
		want, balance := map[string]sums{}, int64(0)
		for _, m := range all {
			if m.at.Before(between[0]) || !between[1].IsZero() && !m.at.Before(between[1]) {
				continue
			}
			day := want[m.at.UTC().Format(time.DateOnly)+" EUR"]
			if balance += m.amount; m.amount > 0 {
				day.charged, day.charges = day.charged+m.amount, day.charges+1
			} else {
				day.refunded, day.refunds = day.refunded-m.amount, day.refunds+1
			}
			want[m.at.UTC().Format(time.DateOnly)+" EUR"] = day
		}
		for _, walk := range []int64{1, 3, 7, 1000} {
			got, net := map[string]sums{}, int64(0)
			for after, more := (*ingest.Cursor)(nil), true; more; more = after != nil {
				days, next, err := w.store.SettlementOf(t.Context(), shop, between[0], between[1], after, walk)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range days {
					day := got[fmt.Sprint(d.Day, " ", d.Currency)]
					day = sums{day.charged + number(d.Charged), day.refunded + number(d.Refunded), day.charges + d.Charges, day.refunds + d.Refunds}
					got[fmt.Sprint(d.Day, " ", d.Currency)] = day
					net += number(d.Net)
				}
				after = next
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(sums{})); diff != "" || net != balance {
				t.Errorf("%v by %d: net %d, want %d (-want +got):\n%s", between, walk, net, balance, diff)
			}
		}
		if between[1].IsZero() {
			balances, err := w.store.Balances(t.Context(), shop)
			if err != nil || len(balances) != 1 || number(balances[0].Amount) != balance {
				t.Errorf("the balance is %v, want %d: %v", balances, balance, err)
			}
		}
	}
}
