package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/list_clients.sql
	listClientsSQL string
	//go:embed queries/list_merchants.sql
	listMerchantsSQL string
	//go:embed queries/list_keys.sql
	listKeysSQL string
	//go:embed queries/list_keys_owner.sql
	listKeysOwnerSQL string
	//go:embed queries/list_wallets.sql
	listWalletsSQL string
)

// Cursor is where a page of a list ended.
type Cursor = ingest.Cursor

// AuditFilter selects what was done.
type AuditFilter = ingest.AuditFilter

// AuditEntry is something that was done.
type AuditEntry = ingest.AuditEntry

// Clients is a page of all clients; see [ingest.Registry].
func (s *Store) Clients(ctx context.Context, limit int, after *ingest.Cursor) ([]ledger.Client, *ingest.Cursor, error) {
	return newestFirst(ctx, s, listClientsSQL, nil, limit, after, scanClient,
		func(c ledger.Client) (time.Time, [16]byte) { return c.CreatedAt, c.ID })
}

// Merchants is a page of all merchants; see [ingest.Registry].
func (s *Store) Merchants(ctx context.Context, limit int, after *ingest.Cursor) ([]ledger.Merchant, *ingest.Cursor, error) {
	return newestFirst(ctx, s, listMerchantsSQL, nil, limit, after, scanMerchant,
		func(m ledger.Merchant) (time.Time, [16]byte) { return m.CreatedAt, m.ID })
}

// Keys is a page of API keys; see [ingest.Registry].
func (s *Store) Keys(ctx context.Context, owner ledger.Party, limit int, after *ingest.Cursor) ([]ledger.Key, *ingest.Cursor, error) {
	sql, more := listKeysSQL, []any(nil)
	if owner.Owner != ([16]byte{}) {
		sql, more = listKeysOwnerSQL, []any{owner.Owner}
	}
	return newestFirst(ctx, s, sql, more, limit, after, scanKey, func(k ledger.Key) (time.Time, [16]byte) { return k.CreatedAt, k.ID })
}

// Wallets is a page of all wallets; see [ingest.Accounts].
func (s *Store) Wallets(ctx context.Context, limit int, after *ingest.Cursor) ([]ledger.Wallet, *ingest.Cursor, error) {
	list, next, err := newestFirst(ctx, s, listWalletsSQL, nil, limit, after, scanOpened,
		func(w openedWallet) (time.Time, [16]byte) { return w.opened, w.ID })
	wallets := make([]ledger.Wallet, len(list))
	for i, w := range list {
		wallets[i] = w.Wallet
	}
	return wallets, next, err
}

// newestFirst reads a page of at most limit rows behind the cursor, newest first, and
// where the next one begins (nil: this is the last one). One row more than the page has
// tells whether there is another page. The statement's parameters begin with the rows
// and the place to start behind.
func newestFirst[T any](
	ctx context.Context, s *Store, sql string, more []any, limit int, after *ingest.Cursor,
	scan func(pgx.Row) (T, error), place func(T) (time.Time, [16]byte),
) ([]T, *ingest.Cursor, error) {
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read a list: %w", err)
	}
	defer end()
	at, id := afterTime(after)
	rows, err := s.pool.Query(ctx, sql, append([]any{limit + 1, at, id}, more...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("read a list: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) { return scan(row) })
	if err != nil {
		return nil, nil, fmt.Errorf("read a list: %w", err)
	}
	if len(list) <= limit {
		return list, nil, nil
	}
	list = list[:limit]
	last, lastID := place(list[limit-1])
	return list, &ingest.Cursor{DecidedAt: last, ID: lastID}, nil
}
