package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of what is submitted of wallets that do not exist.
const (
	// unknownBurst such submissions of one owner are taken, and one more every unknownEvery.
	unknownBurst = 100
	unknownEvery = 10 * time.Second

	maxKnownWallets    = 50_000                // remembered to exist
	maxWalletChecks    = 4096                  // that wait; one more is not made
	maxBudgets         = 10_000                // owners; one more, and all begin anew
	maxWalletRound     = 1000                  // wallets in one query
	walletCheckTimeout = 2 * time.Second       // of one query
	walletCheckPause   = 20 * time.Millisecond // between two queries
)

// unknownWallets bounds what an owner submits of wallets that do not exist: each such
// submission is a row for ever. Submissions do not wait for it: which wallets exist is found out beside
// them, in one query for many, and what was spent on others counts against what comes next.
// While the database does not answer nothing is counted, and nothing refused.
type unknownWallets struct {
	find    func(context.Context, []ledger.WalletID) ([]ledger.WalletID, error)
	clock   func() time.Time
	metrics *Metrics
	log     *slog.Logger
	trouble throttle.Log
	checks  chan walletCheck

	mu      sync.Mutex
	known   map[ledger.WalletID]struct{}   // wallets are never removed: what exists goes on to
	budgets map[ledger.Party]*rate.Limiter // of those that used some of theirs
}

// walletCheck is a submission whose wallet may not exist.
type walletCheck struct {
	wallet ledger.WalletID
	owner  ledger.Party
}

func newUnknownWallets(
	find func(context.Context, []ledger.WalletID) ([]ledger.WalletID, error), clock func() time.Time, m *Metrics, log *slog.Logger,
) *unknownWallets {
	return &unknownWallets{
		find: find, clock: clock, metrics: m, log: log, checks: make(chan walletCheck, maxWalletChecks),
		known: map[ledger.WalletID]struct{}{}, budgets: map[ledger.Party]*rate.Limiter{},
	}
}

// admit fails with CodeRateLimited where the wallet is not known to exist and the owner
// has spent its budget. The wallet is looked for all the same: if it exists, the next
// attempt is taken.
func (u *unknownWallets) admit(o ledger.Party, w ledger.WalletID) error {
	u.mu.Lock()
	_, known := u.known[w]
	budget := u.budgets[o]
	u.mu.Unlock()
	if known {
		return nil
	}
	select {
	case u.checks <- walletCheck{w, o}:
	default:
	}
	if budget != nil && budget.TokensAt(u.clock()) < 1 {
		u.metrics.shed("unknown_wallet")
		return refuse(CodeRateLimited, "too many requests of the key's owner were for wallets that do not exist, and this wallet is not known to; it was not taken")
	}
	return nil
}

// run looks for wallets until ctx ends.
func (u *unknownWallets) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-u.checks:
			round := []walletCheck{first}
			for len(round) < maxWalletRound && len(u.checks) > 0 {
				round = append(round, <-u.checks)
			}
			u.look(ctx, round)
			throttle.Pause(ctx, walletCheckPause)
		}
	}
}

func (u *unknownWallets) look(ctx context.Context, round []walletCheck) {
	wallets := make([]ledger.WalletID, len(round))
	for i, c := range round {
		wallets[i] = c.wallet
	}
	ctx, cancel := context.WithTimeout(ctx, walletCheckTimeout)
	defer cancel()
	found, err := u.find(ctx, wallets)
	if err != nil {
		if skipped, ok := u.trouble.Next(); ok {
			u.log.WarnContext(ctx, "wallets not looked for", "wallets", len(wallets), "err", err, "skipped", skipped)
		}
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range found {
		if len(u.known) >= maxKnownWallets {
			for other := range u.known { // whichever comes first
				delete(u.known, other)
				break
			}
		}
		u.known[w] = struct{}{}
	}
	exist := make(map[ledger.WalletID]bool, len(found))
	for _, w := range found {
		exist[w] = true
	}
	for _, c := range round {
		if !exist[c.wallet] {
			u.spend(c.owner)
		}
	}
}

// spend takes one from the owner's budget. What was taken before anybody could know is
// owed, up to one budget more.
func (u *unknownWallets) spend(o ledger.Party) {
	budget := u.budgets[o]
	if budget == nil {
		if len(u.budgets) >= maxBudgets {
			clear(u.budgets)
		}
		budget = rate.NewLimiter(rate.Every(unknownEvery), unknownBurst)
		u.budgets[o] = budget
	}
	if now := u.clock(); budget.TokensAt(now) > -unknownBurst {
		budget.ReserveN(now, 1)
	}
}
