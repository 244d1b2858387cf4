package loadgen

import (
	"context"
	"fmt"
	"net/http"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	chargeAmount     = 100                // of every charge, hold and withdrawal, in cents
	heldAmount       = 100 * chargeAmount // of the holds that come before the load
	currency         = "EUR"
	merchants        = 4
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
}

type merchant struct{ id, key string }

// found makes clients, wallets and merchants, and pays in what the plan wants:
// enough for all that takes from it, or, into the wallets of the poor, less than for one charge beyond what
// it holds of it at once. It returns when the money is there.
func (l *load) found(ctx context.Context) error {
	o, w := l.options, &l.world
	w.clients = make([]string, (o.Wallets+walletsPerClient-1)/walletsPerClient)
	w.wallets, w.funds = make([]string, o.Wallets), make([]int64, o.Wallets)
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
		owner := w.clients[i/walletsPerClient]
		if w.wallets[i], err = l.create(ctx, "/v1/wallets", "wallet", i, map[string]string{"client_id": owner, "currency": currency, "charges": "anyone"}); err != nil {
			return err
		}
		w.funds[i] = (l.plan.takes[i] + 1) * chargeAmount
		if l.plan.poor[i] {
			w.funds[i] = chargeAmount - 1 + l.plan.held[i]
		}
		q := client.Request{Kind: ledger.KindTopUp, Wallet: w.wallets[i], Amount: w.funds[i], Currency: currency}
		if err = l.done(ctx, q, o.Operator); err != nil || l.plan.held[i] == 0 {
			return err
		}
		q.Kind, q.Amount = ledger.KindHold, l.plan.held[i]
		return l.done(ctx, q, w.merchants[0].key)
	})
}

func (l *load) create(ctx context.Context, path, what string, i int, body any) (string, error) {
	return l.api.Create(ctx, l.options.Operator, path, fmt.Sprintf("load %s %s %d", l.run, what, i), body)
}

// done asks for what comes before the load, and wants it to be accepted.
func (l *load) done(ctx context.Context, q client.Request, key string) error {
	var op client.Operation
	call := q.Call(key, "load "+l.run)
	call.Prefer = patience
	err := l.api.Expect(ctx, call, &op, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return err
	}
	if !op.Final() {
		if op, err = l.outcome(ctx, key, op.ID); err != nil {
			return err
		}
	}
	if op.Status != string(ledger.StatusAccepted) {
		return fmt.Errorf("%s of wallet %s: it failed: %s", q.Kind, q.Wallet, op.Reason())
	}
	return nil
}
