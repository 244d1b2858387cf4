package demo

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// books is every balance of the world at one moment, in minor units.
type books struct {
	wallets   map[string]int64 // by ID
	merchants map[payee]int64
}

// after is what the books are to be when the plan was carried out.
func (b books) after(p plan) books {
	byWallet, byPayee := p.accepted()
	next := books{wallets: map[string]int64{}, merchants: map[payee]int64{}}
	for id, balance := range b.wallets {
		next.wallets[id] = balance - byWallet[id]
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
	err := each(ctx, s.options.Callers, len(order), func(ctx context.Context, i int) error {
		var status struct {
			Data []struct {
				ID      string `json:"id"`
				Balance int64  `json:"balance"`
			} `json:"data"`
		}
		if err := s.read(ctx, "/v1/clients/"+order[i]+"/wallets", &status); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, w := range status.Data {
			found.wallets[w.ID] = w.Balance
		}
		return nil
	})
	if err != nil {
		return books{}, fmt.Errorf("read the wallets' balances: %w", err)
	}
	for _, m := range s.world.traders() {
		var status struct {
			Balances []struct {
				Currency string `json:"currency"`
				Amount   string `json:"amount"`
			} `json:"balances"`
		}
		if err := s.read(ctx, "/v1/merchants/"+m.id, &status); err != nil {
			return books{}, fmt.Errorf("read a merchant's balances: %w", err)
		}
		for _, b := range status.Balances {
			if found.merchants[payee{m.key, b.Currency}], err = strconv.ParseInt(b.Amount, 10, 64); err != nil {
				return books{}, fmt.Errorf("read a merchant's balance: %w", err)
			}
		}
	}
	return found, nil
}

func (s *stage) read(ctx context.Context, path string, into any) error {
	return s.api.expect(ctx, call{Method: http.MethodGet, Path: path, Key: s.state.Operator}, into, http.StatusOK)
}
