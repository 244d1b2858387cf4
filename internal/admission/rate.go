package admission

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/monedero/monedero/internal/ledger"
)

// maxBudgets budgets are kept; one more, and all begin anew.
const maxBudgets = 10_000

// keep keeps the budget under the name.
func keep[K comparable](budgets map[K]*rate.Limiter, name K, budget *rate.Limiter) {
	if len(budgets) >= maxBudgets {
		clear(budgets)
	}
	budgets[name] = budget
}

// Rates holds API keys to their rates. It is safe for concurrent use.
type Rates struct {
	clock func() time.Time

	mu      sync.Mutex
	budgets map[ledger.KeyID]*rate.Limiter // of the keys that have a rate
}

// NewRates makes the rates of a replica.
func NewRates(clock func() time.Time) *Rates {
	return &Rates{clock: clock, budgets: map[ledger.KeyID]*rate.Limiter{}}
}

// Take counts a request under the key, and reports whether the key's rate allows it. A key
// whose rate was changed begins anew.
func (r *Rates) Take(k ledger.Key) bool {
	if k.Rate == 0 {
		return true
	}
	r.mu.Lock()
	budget := r.budgets[k.ID]
	if budget == nil || budget.Burst() != k.Rate {
		budget = rate.NewLimiter(rate.Limit(k.Rate), k.Rate)
		keep(r.budgets, k.ID, budget)
	}
	r.mu.Unlock()
	return budget.AllowN(r.clock(), 1)
}
