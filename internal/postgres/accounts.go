package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/wallet.sql
	walletSQL string
	//go:embed queries/known_wallets.sql
	knownWalletsSQL string
	//go:embed queries/client_wallets.sql
	clientWalletsSQL string
	//go:embed queries/account_balances.sql
	accountBalancesSQL string
)

// Wallet reads one wallet. It fails with [ledger.ErrNotFound].
func (s *Store) Wallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return ledger.Wallet{}, fmt.Errorf("read wallet: %w", err)
	}
	defer end()
	var w walletRow
	if err := s.pool.QueryRow(ctx, walletSQL, s.partition(id), [16]byte(id)).Scan(w.targets()...); err != nil {
		return ledger.Wallet{}, notFound("read wallet", err)
	}
	return w.read(), nil
}

// KnownWallets finds those of the wallets that exist, in no order.
func (s *Store) KnownWallets(ctx context.Context, list []ledger.WalletID) ([]ledger.WalletID, error) {
	partitions := make([]int32, len(list))
	for i, id := range list {
		partitions[i] = int32(s.partition(id)) //nolint:gosec // there are 65,536 at most
	}
	rows, err := s.pool.Query(ctx, knownWalletsSQL, partitions, ids(list))
	if err != nil {
		return nil, fmt.Errorf("look for wallets: %w", err)
	}
	known, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (id ledger.WalletID, err error) {
		return id, row.Scan((*[16]byte)(&id))
	})
	if err != nil {
		return nil, fmt.Errorf("look for wallets: %w", err)
	}
	return known, nil
}

// ClientWallets reads a page of the client's wallets, oldest first. It fails with
// [ledger.ErrNotFound] if there is no such client.
func (s *Store) ClientWallets(ctx context.Context, id ledger.ClientID, limit int, after *ingest.Cursor) (
	wallets []ledger.Wallet, next *ingest.Cursor, err error,
) {
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read wallets of client: %w", err)
	}
	defer end()
	sql, args := clientWalletsListing(id, limit, after)
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read wallets of client: %w", err)
	}
	var w walletRow
	var opened, last time.Time
	if _, err := pgx.ForEachRow(rows, append(w.targets(), &opened), func() error {
		if len(wallets) == limit {
			next = &ingest.Cursor{DecidedAt: last, Wallet: wallets[limit-1].ID}
			return nil
		}
		wallets, last = append(wallets, w.read()), opened.UTC()
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("read wallets of client: %w", err)
	}
	if len(wallets) == 0 {
		if _, err := s.Client(ctx, id); err != nil {
			return nil, nil, err
		}
	}
	return wallets, next, nil
}

// clientWalletsListing is the statement for the page, and its parameters. One row
// more than the page has tells whether there is another page.
func clientWalletsListing(id ledger.ClientID, limit int, after *ingest.Cursor) (sql string, args []any) {
	at, from := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, pgtype.UUID{Valid: true}
	if after != nil {
		at, from = orNull(after.DecidedAt), idOrNull(after.Wallet)
	}
	return clientWalletsSQL, []any{[16]byte(id), limit + 1, at, from}
}

// Balances are the merchant's settlement balances by currency, each the sum of
// its parts in every partition.
func (s *Store) Balances(ctx context.Context, id ledger.MerchantID) ([]ingest.Balance, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	defer end()
	partitions := make([]int32, s.deployment.Partitions)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	rows, err := s.pool.Query(ctx, accountBalancesSQL, [16]byte(id.Account()), partitions)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	balances, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b ingest.Balance, err error) {
		err = row.Scan((*string)(&b.Currency), &b.Amount)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	return balances, nil
}

// notFound turns the absence of a row into [ledger.ErrNotFound].
func notFound(doing string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.ErrNotFound
	}
	return fmt.Errorf("%s: %w", doing, err)
}
