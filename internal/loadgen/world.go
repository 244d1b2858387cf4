package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"path"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	chargeAmount     = 100                // of every charge, hold and withdrawal, in cents
	heldAmount       = 100 * chargeAmount // of the holds that come before the load
	currency         = "EUR"
	merchants        = 4
	holder           = 0 // the merchant whose holds come before the load
	walletsPerClient = 100
	setupCallers     = 32 // at once, before and after the load
)

// patience is how long a caller lets the API wait for an outcome: as long as it
// can.
const patience = "wait=30"

// world is who takes part in the run. All of it is the run's own, so that runs on
// one system do not meet.
type world struct {
	clients   []string // each owns walletsPerClient wallets in a row
	wallets   []string
	funds     []int64 // what was paid into each
	merchants []merchant
	grants    map[string]int // operations that gave a mandate: to which merchant
}

type merchant struct{ id, key string }

// found makes clients, wallets and merchants, gives mandates, and pays in what the plan wants:
// enough for all that takes from it, or, into the wallets of the poor, less than for one charge beyond what
// it holds of it at once. It returns when the money is there.
func (l *load) found(ctx context.Context) error {
	o, w := l.options, &l.world
	w.clients = make([]string, (o.Wallets+walletsPerClient-1)/walletsPerClient)
	w.wallets, w.funds, w.grants = make([]string, o.Wallets), make([]int64, o.Wallets), map[string]int{}
	if err := client.Each(ctx, setupCallers, len(w.clients), func(ctx context.Context, i int) (err error) {
		w.clients[i], err = l.create(ctx, "/v1/clients", "client", i, map[string]string{"name": fmt.Sprintf("Load %s client %d", l.run, i)})
		return err
	}); err != nil {
		return err
	}
	for i := range merchants {
		id, err := l.create(ctx, "/v1/merchants", "merchant", i, map[string]string{"name": fmt.Sprintf("Load %s merchant %d", l.run, i)})
		if err != nil {
			return err
		}
		key, err := l.api.CreateKey(ctx, o.Operator, client.NewKey{Role: "merchant", Merchant: id, Name: "load " + l.run})
		if err != nil {
			return err
		}
		w.merchants = append(w.merchants, merchant{id, key})
	}
	return client.Each(ctx, setupCallers, o.Wallets, func(ctx context.Context, i int) (err error) {
		if err = l.open(ctx, i); err != nil {
			return err
		}
		w.funds[i] = (l.plan.takes[i] + 1) * chargeAmount
		if l.plan.poor[i] {
			w.funds[i] = chargeAmount - 1 + l.plan.held[i]
		}
		q := client.Request{Kind: ledger.KindTopUp, Wallet: w.wallets[i], Amount: w.funds[i], Currency: currency}
		if _, err = l.done(ctx, q, o.Operator); err != nil || l.plan.held[i] == 0 {
			return err
		}
		q.Kind, q.Amount = ledger.KindHold, l.plan.held[i]
		_, err = l.done(ctx, q, w.merchants[holder].key)
		return err
	})
}

// open makes the i-th wallet, and gives the mandates of it that the plan wants.
func (l *load) open(ctx context.Context, i int) (err error) {
	w, mandates, charges := &l.world, l.plan.mandates[i], "anyone"
	if mandates != nil {
		charges = "mandated"
	}
	w.wallets[i], err = l.create(ctx, "/v1/wallets", "wallet", i,
		map[string]string{"client_id": w.clients[i/walletsPerClient], "currency": currency, "charges": charges})
	if err != nil {
		return err
	}
	for m, limits := range mandates {
		q := client.Request{Kind: ledger.KindGrant, Wallet: w.wallets[i], Merchant: w.merchants[m].id, Currency: currency, Limits: limits}
		id, err := l.done(ctx, q, l.options.Operator)
		if err != nil {
			return err
		}
		l.mu.Lock()
		w.grants[id] = m
		l.mu.Unlock()
	}
	return nil
}

func (l *load) create(ctx context.Context, path, what string, i int, body any) (string, error) {
	return l.api.Create(ctx, l.options.Operator, path, fmt.Sprintf("load %s %s %d", l.run, what, i), body)
}

// done asks for what comes before the load, wants it to be accepted, and returns the operation's ID.
func (l *load) done(ctx context.Context, q client.Request, key string) (id string, err error) {
	var op client.Operation
	call := q.Call(key, path.Join("load "+l.run, q.Merchant))
	call.Prefer = patience
	if err := l.api.Expect(ctx, call, &op, http.StatusOK, http.StatusAccepted); err != nil {
		return "", err
	}
	if !op.Final() {
		if op, err = l.outcome(ctx, key, op.ID); err != nil {
			return "", err
		}
	}
	if op.Status != string(ledger.StatusAccepted) {
		return "", fmt.Errorf("%s of wallet %s: it failed: %s", q.Kind, q.Wallet, op.Reason())
	}
	return op.ID, nil
}
