package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// Create makes a client, merchant or wallet by a POST to the path, or finds what
// the same request made under the same idempotency key, and returns its ID.
func (c *Client) Create(ctx context.Context, key, path, idempotencyKey string, body any) (id string, err error) {
	var made struct {
		ID string `json:"id"`
	}
	err = c.Expect(ctx, Call{
		Method: http.MethodPost, Path: path, Key: key, IdempotencyKey: idempotencyKey, Body: body,
	}, &made, http.StatusOK, http.StatusCreated)
	return made.ID, err
}

// NewKey is the body that makes an API key.
type NewKey struct {
	Role     string `json:"role"`
	Merchant string `json:"merchant_id,omitempty"` // of the role merchant
	Client   string `json:"client_id,omitempty"`   // of the role client
	Name     string `json:"name"`
}

// CreateKey makes an API key, and returns the text to send. A key is shown once,
// so it is made without an idempotency key: a repeated answer would not hold it.
// A retry after a 503 may so leave a key behind that nobody knows.
func (c *Client) CreateKey(ctx context.Context, key string, k NewKey) (string, error) {
	var made struct {
		Secret string `json:"secret"`
	}
	err := c.Expect(ctx, Call{Method: http.MethodPost, Path: "/v1/api-keys", Key: key, Body: k}, &made, http.StatusCreated)
	return made.Secret, err
}

// Funds is the money of a wallet, in minor units.
type Funds struct {
	Balance   int64 `json:"balance"`
	Held      int64 `json:"held"`
	Available int64 `json:"available"`
}

// WalletFunds is the money of every wallet that the client owns, by the wallet's ID.
func (c *Client) WalletFunds(ctx context.Context, key, client string) (map[string]Funds, error) {
	found := map[string]Funds{}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		var page struct {
			Data []struct {
				ID string `json:"id"`
				Funds
			} `json:"data"`
			HasMore    bool   `json:"has_more"`
			NextCursor string `json:"next_cursor"`
		}
		if err := c.read(ctx, key, "/v1/clients/"+client+"/wallets?"+query.Encode(), &page); err != nil {
			return nil, fmt.Errorf("read the wallets' balances: %w", err)
		}
		for _, w := range page.Data {
			found[w.ID] = w.Funds
		}
		if !page.HasMore {
			return found, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// MerchantBalances are the merchant's settlement balances, by currency, in minor
// units. It fails on one that does not fit into an int64.
func (c *Client) MerchantBalances(ctx context.Context, key, merchant string) (map[string]int64, error) {
	var status struct {
		Balances []struct {
			Currency string `json:"currency"`
			Amount   string `json:"amount"`
		} `json:"balances"`
	}
	if err := c.read(ctx, key, "/v1/merchants/"+merchant, &status); err != nil {
		return nil, fmt.Errorf("read a merchant's balances: %w", err)
	}
	found := make(map[string]int64, len(status.Balances))
	for _, b := range status.Balances {
		amount, err := strconv.ParseInt(b.Amount, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read a merchant's balance: %w", err)
		}
		found[b.Currency] = amount
	}
	return found, nil
}

func (c *Client) read(ctx context.Context, key, path string, into any) error {
	return c.Expect(ctx, Call{Method: http.MethodGet, Path: path, Key: key}, into, http.StatusOK)
}

// Each calls fn for 0 to n-1, so many at once, until one fails or ctx ends. It
// returns once every call that began has ended.
func Each(ctx context.Context, callers, n int, fn func(ctx context.Context, i int) error) error {
	g, group := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for i := 0; i < n && group.Err() == nil; i++ {
		g.Go(func() error { return fn(group, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
