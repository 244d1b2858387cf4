package admission

import (
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// TestRates: a key may send as many requests at once as in a second, and its neighbour as many.
func TestRates(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	r := NewRates(func() time.Time { return now })
	taken := func(k ledger.Key, of int) (n int) {
		for range of {
			if r.Take(k) {
				n++
			}
		}
		return n
	}
	key := ledger.Key{ID: ledger.KeyID{1}, Rate: 3}
	if n := taken(key, 10); n != 3 {
		t.Errorf("%d of a rate of 3 at once", n)
	}
	if n := taken(ledger.Key{ID: ledger.KeyID{2}, Rate: 3}, 10); n != 3 {
		t.Errorf("%d of a neighbour's", n)
	}
	now = now.Add(time.Second)
	if n := taken(key, 10); n != 3 {
		t.Errorf("%d a second later", n)
	}
	key.Rate = 5
	if n := taken(key, 10); n != 5 {
		t.Errorf("%d of a rate that was changed", n)
	}
	if n := taken(ledger.Key{ID: ledger.KeyID{3}}, 10); n != 10 {
		t.Errorf("%d of a key without a rate", n)
	}
	for n := range 2 * maxBudgets {
		r.Take(ledger.Key{ID: ledger.KeyID{9, byte(n), byte(n >> 8)}, Rate: 1})
		if len(r.budgets) > maxBudgets {
			t.Fatalf("%d budgets are kept", len(r.budgets))
		}
	}
}
