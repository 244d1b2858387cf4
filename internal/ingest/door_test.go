package ingest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/postgres"
)

// database is the real store behind a door that can be shut: then it fails, or
// hangs until its caller gives up.
type database struct {
	*postgres.Store
	state   atomic.Int32
	decided atomic.Int64 // queries for outcomes
	behind  atomic.Int32 // the state for pages behind the first one of a list
	keys    atomic.Int64 // how long a look-up of a key takes besides (time.Duration)
}

const (
	up int32 = iota
	down
	hanging
	busy
)

var errDown = errors.New("the test shut the database")

func (d *database) door(ctx context.Context) error { return enter(ctx, &d.state) }

func enter(ctx context.Context, state *atomic.Int32) error {
	switch state.Load() {
	case down:
		return errDown
	case busy:
		return ingest.ErrBusy
	case hanging:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (d *database) LookUp(ctx context.Context, ids []ledger.OperationID) (outcomes.Found, error) {
	d.decided.Add(1)
	if err := d.door(ctx); err != nil {
		return outcomes.Found{}, err
	}
	return d.Store.LookUp(ctx, ids)
}

func (d *database) DryRun(ctx context.Context, r ledger.Request) (ingest.DryRun, error) {
	if err := d.door(ctx); err != nil {
		return ingest.DryRun{}, err
	}
	return d.Store.DryRun(ctx, r)
}

func (d *database) DecidedIDs(ctx context.Context, ids []ledger.OperationID, partitions []int) ([]ledger.OperationID, map[int]ledger.Place, error) {
	d.decided.Add(1)
	if err := d.door(ctx); err != nil {
		return nil, nil, err
	}
	return d.Store.DecidedIDs(ctx, ids, partitions)
}

func (d *database) List(ctx context.Context, f ingest.Filter) (ingest.Page, error) {
	if err := d.door(ctx); err != nil {
		return ingest.Page{}, err
	}
	if f.After != nil {
		if err := enter(ctx, &d.behind); err != nil {
			return ingest.Page{}, err
		}
	}
	return d.Store.List(ctx, f)
}

func (d *database) Wallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error) {
	if err := d.door(ctx); err != nil {
		return ledger.Wallet{}, err
	}
	return d.Store.Wallet(ctx, id)
}

func (d *database) ClientWallets(ctx context.Context, id ledger.ClientID, limit int, after *ingest.Cursor) ([]ledger.Wallet, *ingest.Cursor, error) {
	if err := d.door(ctx); err != nil {
		return nil, nil, err
	}
	return d.Store.ClientWallets(ctx, id, limit, after)
}

func (d *database) KnownWallets(ctx context.Context, ids []ledger.WalletMerchant) ([]ledger.WalletMerchant, error) {
	if err := d.door(ctx); err != nil {
		return nil, err
	}
	return d.Store.KnownWallets(ctx, ids)
}

func (d *database) Merchant(ctx context.Context, id ledger.MerchantID) (ledger.Merchant, error) {
	if err := d.door(ctx); err != nil {
		return ledger.Merchant{}, err
	}
	return d.Store.Merchant(ctx, id)
}

func (d *database) CreateClient(ctx context.Context, c ledger.Client, by ledger.Author) (ledger.Client, bool, error) {
	if err := d.door(ctx); err != nil {
		return ledger.Client{}, false, err
	}
	return d.Store.CreateClient(ctx, c, by)
}

func (d *database) Key(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	if err := d.door(ctx); err != nil {
		return ledger.Key{}, err
	}
	time.Sleep(time.Duration(d.keys.Load()))
	return d.Store.Key(ctx, id)
}

func (d *database) Used(ctx context.Context, at map[ledger.KeyID]time.Time) error {
	if err := d.door(ctx); err != nil {
		return err
	}
	return d.Store.Used(ctx, at)
}

// Apply has connections of its own: no read is before it.
func (d *database) Apply(ctx context.Context, r ledger.Request) (ledger.Operation, bool, error) {
	if err := d.door(ctx); err != nil && !errors.Is(err, ingest.ErrBusy) {
		return ledger.Operation{}, false, err
	}
	return d.Store.Apply(ctx, r)
}

// queue is the real queue behind a hook that runs before each submit.
type queue struct {
	*kafka.Queue
	before atomic.Pointer[func(context.Context) error]
}

func (q *queue) Submit(ctx context.Context, r ledger.Request) (ingest.Durable, error) {
	if before := q.before.Load(); before != nil {
		if err := (*before)(ctx); err != nil {
			return nil, err
		}
	}
	return q.Queue.Submit(ctx, r)
}
