package demo

import (
	"context"
	"sync"

	"github.com/monedero/monedero/internal/client"
)

// books is every balance of the world at one moment, in minor units.
type books struct {
	wallets   map[string]int64 // by ID
	merchants map[payee]int64
}

// after is what the books are to be when the plan was carried out.
func (b books) after(p plan) books {
	byWallet, byPayee := p.flows()
	next := books{wallets: map[string]int64{}, merchants: map[payee]int64{}}
	for id, balance := range b.wallets {
		next.wallets[id] = balance + byWallet[id]
	}
	for _, up := range p.topUps {
		next.wallets[up.wallet.id] += up.amount
	}
	for who, balance := range b.merchants {
		next.merchants[who] = balance
	}
	for who, amount := range byPayee {
		next.merchants[who] += amount
	}
	return next
}

// books compares every balance with what it is to be.
func (j *judge) books(want, found books) {
	for id, balance := range want.wallets {
		j.equal(rowWallets, "balance of wallet "+id, balance, found.wallets[id])
	}
	for who, balance := range want.merchants {
		j.equal(rowMerchants, "a merchant's balance in "+who.currency, balance, found.merchants[who])
	}
}

// readBooks reads every balance over the API: those of wallets by their
// client's account status.
func (s *stage) readBooks(ctx context.Context) (books, error) {
	found := books{wallets: map[string]int64{}, merchants: map[payee]int64{}}
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
		for id, f := range funds {
			found.wallets[id] = f.Balance
		}
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
