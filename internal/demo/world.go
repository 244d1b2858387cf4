package demo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// The people of the demo besides those with money.
const (
	poorWallets   = 24
	frozenWallets = 5
	closedWallets = 3
	// countedWallets are new every day, so that nothing of another day is in them.
	countedWallets = 8
	// mandatedWallets are new every day, too: so is what their merchants use of mandates.
	mandatedWallets = 8
	// MinWallets leaves enough wallets that are neither.
	MinWallets = 60

	walletsPerClient = 2
	dollarEvery      = 10 // every so many wallets one is in dollars
)

const (
	euro   = "EUR"
	dollar = "USD"
)

// Who may charge a wallet.
const (
	anyone   = "anyone"
	mandated = "mandated"
)

func shopNames() []string {
	return []string{"Panadería Luz", "Café Orto", "Librería Abajo", "Mercado Sur", "Metro de la Villa", "Cine Alameda"}
}

// wallet is a wallet as the demo knows it.
type wallet struct {
	id, client, currency string
	key                  string // of its client; only of those that are charged under mandates
}

// merchant is a merchant with a key to charge with.
type merchant struct{ id, name, key string }

// world is who takes part in the day.
type world struct {
	merchants   []*merchant
	ownMerchant *merchant // owned by the client who owns own
	own         *wallet
	rich        []*wallet // they get money each day
	poor        []*wallet // nobody ever paid anything in
	frozen      []*wallet
	closed      []*wallet
	counted     []*wallet // each gets what one story takes
	mandated    []*wallet // each is charged under mandates, by one story; the others anyone charges
	clientKey   string    // of the client who owns rich[0]
	operator    string    // API key
}

// wallets is every wallet of the world.
func (w *world) wallets() []*wallet {
	all := append([]*wallet{w.own}, w.rich...)
	all = append(all, w.poor...)
	all = append(all, w.frozen...)
	all = append(all, w.closed...)
	all = append(all, w.counted...)
	return append(all, w.mandated...)
}

// traders is every merchant of the world.
func (w *world) traders() []*merchant { return append([]*merchant{w.ownMerchant}, w.merchants...) }

// founder makes the world over the API, by many callers at once. All it makes, but for the
// counted and the mandated wallets and the keys of their clients, has an idempotency key that is the same on every day, so that on data of an
// earlier day it finds what it made then.
type founder struct {
	day      int
	api      *client.Client
	operator string // API key
	keys     map[string]string
	callers  int
}

// found makes or finds the world with so many wallets.
func (f *founder) found(ctx context.Context, wallets int, t *tally) (*world, error) {
	w := &world{operator: f.operator}
	var own []*wallet
	for _, p := range []struct {
		name    string
		size    int
		into    *[]*wallet
		charges string
	}{
		{"own", 1, &own, anyone},
		{"rich", wallets - 1 - poorWallets - frozenWallets - closedWallets - countedWallets - mandatedWallets, &w.rich, anyone},
		{"poor", poorWallets, &w.poor, anyone},
		{"frozen", frozenWallets, &w.frozen, anyone},
		{"closed", closedWallets, &w.closed, anyone},
		{fmt.Sprint("counted-", f.day), countedWallets, &w.counted, anyone},
		{fmt.Sprint("mandated-", f.day), mandatedWallets, &w.mandated, mandated},
	} {
		var err error
		if *p.into, err = f.pool(ctx, p.name, p.size, p.charges, t); err != nil {
			return nil, err
		}
	}
	w.own = own[0]
	if err := f.all(ctx, w.frozen, "freeze"); err != nil {
		return nil, err
	}
	if err := f.all(ctx, w.closed, "close"); err != nil {
		return nil, err
	}
	return w, f.openShops(ctx, w)
}

// openShops makes the merchants, and the keys of all who take part.
func (f *founder) openShops(ctx context.Context, w *world) (err error) {
	for i, name := range shopNames() {
		m, err := f.merchant(ctx, fmt.Sprintf("merchant-%d", i), name, "")
		if err != nil {
			return err
		}
		w.merchants = append(w.merchants, m)
	}
	if w.ownMerchant, err = f.merchant(ctx, "merchant-own", "Taller Propio", w.own.client); err != nil {
		return err
	}
	w.clientKey, err = f.key(ctx, "client", client.NewKey{Role: "client", Client: w.rich[0].client, Name: "demo"})
	return err
}

// pool opens size wallets, a few for each client.
func (f *founder) pool(ctx context.Context, name string, size int, charges string, t *tally) ([]*wallet, error) {
	pool := make([]*wallet, size)
	clients := (size + walletsPerClient - 1) / walletsPerClient
	err := client.Each(ctx, f.callers, clients, func(ctx context.Context, c int) error {
		owner, err := f.create(ctx, "/v1/clients", fmt.Sprintf("client-%s-%d", name, c), map[string]string{"name": fmt.Sprintf("Client %s %d", name, c+1)})
		if err != nil {
			return err
		}
		key := ""
		if charges == mandated {
			if key, err = f.api.CreateKey(ctx, f.operator, client.NewKey{Role: "client", Client: owner, Name: "demo"}); err != nil {
				return err
			}
		}
		for i := c * walletsPerClient; i < min((c+1)*walletsPerClient, size); i++ {
			currency := euro
			if i%dollarEvery == dollarEvery-1 {
				currency = dollar
			}
			id, err := f.create(ctx, "/v1/wallets", fmt.Sprintf("wallet-%s-%d", name, i), map[string]string{"client_id": owner, "currency": currency, "charges": charges})
			if err != nil {
				return err
			}
			pool[i] = &wallet{id: id, client: owner, currency: currency, key: key}
			t.add(1)
		}
		return nil
	})
	return pool, err
}

func (f *founder) merchant(ctx context.Context, as, name, owner string) (*merchant, error) {
	body := map[string]string{"name": name}
	if owner != "" {
		body["client_id"] = owner
	}
	id, err := f.create(ctx, "/v1/merchants", as, body)
	if err != nil {
		return nil, err
	}
	key, err := f.key(ctx, as, client.NewKey{Role: "merchant", Merchant: id, Name: "demo"})
	return &merchant{id: id, name: name, key: key}, err
}

// key is the API key kept under the name, or a new one.
func (f *founder) key(ctx context.Context, name string, k client.NewKey) (string, error) {
	if key := f.keys[name]; key != "" {
		return key, nil
	}
	key, err := f.api.CreateKey(ctx, f.operator, k)
	if err != nil {
		return "", err
	}
	f.keys[name] = key
	return key, nil
}

// all freezes or closes the wallets.
func (f *founder) all(ctx context.Context, wallets []*wallet, do string) error {
	for _, w := range wallets {
		var done client.Operation
		if err := f.api.Expect(ctx, client.Call{
			Method: http.MethodPost, Path: "/v1/wallets/" + w.id + "/" + do, Key: f.operator, IdempotencyKey: "demo-" + do,
		}, &done, http.StatusOK, http.StatusCreated); err != nil {
			return err
		}
		if done.Status != string(ledger.StatusAccepted) {
			return fmt.Errorf("%s wallet %s: it is %s", do, w.id, done.Status)
		}
	}
	return nil
}

func (f *founder) create(ctx context.Context, path, as string, body any) (string, error) {
	return f.api.Create(ctx, f.operator, path, "demo-"+as, body)
}
