package admission

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of what is submitted of wallets that are not there to whoever asks.
const (
	// unknownBurst such submissions of one owner are taken, and one more every unknownEvery.
	unknownBurst = 100
	unknownEvery = 10 * time.Second

	maxKnownWallets    = 50_000                // remembered to be there
	maxWalletChecks    = 4096                  // that wait; one more is not made
	maxWalletRound     = 1000                  // wallets in one query
	walletCheckTimeout = 2 * time.Second       // of one query
	walletCheckPause   = 20 * time.Millisecond // between two queries
)

// UnknownWallets bounds what an owner submits of wallets that do not exist, or that never let it charge them: each such
// submission is a row for ever. Nobody learns from it which of both a wallet is. Submissions do not wait for it: which
// wallets are there is found out beside them, in one query for many, and what was spent on others counts against what
// comes next.
// While the database does not answer nothing is counted, and nothing refused.
type UnknownWallets struct {
	find    func(context.Context, []ledger.WalletMerchant) ([]ledger.WalletMerchant, error)
	clock   func() time.Time
	log     *slog.Logger
	trouble throttle.Log
	checks  chan walletCheck

	mu      sync.Mutex
	known   map[ledger.WalletMerchant]struct{} // what is there goes on to be
	budgets map[ledger.Party]*rate.Limiter     // of those that used some of theirs
}

// walletCheck is a submission whose wallet may not be there.
type walletCheck struct {
	ledger.WalletMerchant
	owner ledger.Party
}

// NewUnknownWallets makes the bound. It needs [UnknownWallets.Run] beside it. find finds those of
// the wallets that are there to their merchants, in no order; without a merchant, those that exist.
func NewUnknownWallets(
	find func(context.Context, []ledger.WalletMerchant) ([]ledger.WalletMerchant, error), clock func() time.Time, log *slog.Logger,
) *UnknownWallets {
	return &UnknownWallets{
		find: find, clock: clock, log: log, checks: make(chan walletCheck, maxWalletChecks),
		known: map[ledger.WalletMerchant]struct{}{}, budgets: map[ledger.Party]*rate.Limiter{},
	}
}

// Admit reports whether a submission is taken: not where the wallet is not known to be there and the
// owner has spent its budget. The wallet is looked for all the same: if it is there, the next
// attempt is taken. The merchant is the one that would be paid; zero: none.
func (u *UnknownWallets) Admit(o ledger.Party, w ledger.WalletMerchant) bool {
	u.mu.Lock()
	_, known := u.known[w]
	budget := u.budgets[o]
	u.mu.Unlock()
	if known {
		return true
	}
	select {
	case u.checks <- walletCheck{w, o}:
	default:
	}
	return budget == nil || budget.TokensAt(u.clock()) >= 1
}

// Run looks for wallets until ctx ends, and then returns nil.
func (u *UnknownWallets) Run(ctx context.Context) error {
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

func (u *UnknownWallets) look(ctx context.Context, round []walletCheck) {
	wallets := make([]ledger.WalletMerchant, len(round))
	for i, c := range round {
		wallets[i] = c.WalletMerchant
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
	exist := make(map[ledger.WalletMerchant]bool, len(found))
	for _, w := range found {
		exist[w] = true
	}
	for _, c := range round {
		if !exist[c.WalletMerchant] {
			u.spend(c.owner)
		}
	}
}

// spend takes one from the owner's budget. What was taken before anybody could know is
// owed, up to one budget more.
func (u *UnknownWallets) spend(o ledger.Party) {
	budget := u.budgets[o]
	if budget == nil {
		budget = rate.NewLimiter(rate.Every(unknownEvery), unknownBurst)
		keep(u.budgets, o, budget)
	}
	if now := u.clock(); budget.TokensAt(now) > -unknownBurst {
		budget.ReserveN(now, 1)
	}
}
