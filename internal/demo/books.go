package demo

import (
	"context"
	"maps"
	"sync"

	"github.com/monedero/monedero/internal/client"
)

// books is every balance of the world at one moment, in minor units.
type books struct {
	wallets   map[string]client.Funds // by ID
	merchants map[payee]int64
}

// after is what the books are to be when the plan was carried out.
func (b books) after(p plan) books {
	byWallet, byPayee := p.flows()
	next := books{wallets: map[string]client.Funds{}, merchants: map[payee]int64{}}
	for id, funds := range b.wallets {
		next.wallets[id] = added(funds, byWallet[id].Balance, byWallet[id].Held)
	}
	for _, up := range p.topUps {
		next.wallets[up.wallet.id] = added(next.wallets[up.wallet.id], up.amount, 0)
	}
	for who, balance := range b.merchants {
		next.merchants[who] = balance
	}
	for who, amount := range byPayee {
		next.merchants[who] += amount
	}
	return next
}

// books compares every balance, and what is held, with what it is to be. What is expiring may be held, or not any more.
func (j *judge) books(want, found books, expiring map[string]int64) {
	for id, funds := range want.wallets {
		if is := found.wallets[id]; is.Held == funds.Held-expiring[id] {
			funds = added(funds, 0, -expiring[id])
		}
		j.equal(rowWallets, "money of wallet "+id, funds, found.wallets[id])
	}
	for who, balance := range want.merchants {
		j.equal(rowMerchants, "a merchant's balance in "+who.currency, balance, found.merchants[who])
	}
}

// readBooks reads every balance over the API: those of wallets by their
// client's account status.
func (s *stage) readBooks(ctx context.Context) (books, error) {
	found := books{wallets: map[string]client.Funds{}, merchants: map[payee]int64{}}
	clients := map[string]bool{}
	var order []string
	for _, w := range s.world.wallets() {
		if !clients[w.client] {
			clients[w.client] = true
			order = append(order, w.client)
		}
	}
	var mu sync.Mutex
	if err := client.Each(ctx, s.options.Callers, len(order), func(ctx context.Context, i int) error {
		funds, err := s.api.WalletFunds(ctx, s.state.Operator, order[i])
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(found.wallets, funds)
		return err
	}); err != nil {
		return books{}, err
	}
	for _, m := range s.world.traders() {
		balances, err := s.api.MerchantBalances(ctx, s.state.Operator, m.id)
		if err != nil {
			return books{}, err
		}
		for currency, balance := range balances {
			found.merchants[payee{m.key, currency}] = balance
		}
	}
	return found, nil
}
