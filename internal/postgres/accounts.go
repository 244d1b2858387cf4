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

// KnownWallets finds those of the list whose wallet is there to the merchant, in no order; see [ingest.Accounts].
func (s *Store) KnownWallets(ctx context.Context, list []ledger.WalletMerchant) ([]ledger.WalletMerchant, error) {
	ctx, cancel := outlive(ctx)
	defer cancel()
	n := len(list)
	partitions, wallets, merchants := make([]int32, n), make([]ledger.WalletID, n), make(pgtype.FlatArray[pgtype.UUID], n)
	for i, of := range list {
		partitions[i] = int32(s.partition(of.Wallet)) //nolint:gosec // there are 65,536 at most
		wallets[i], merchants[i] = of.Wallet, idOrNull(of.Merchant)
	}
	rows, err := s.pool.Query(ctx, knownWalletsSQL, partitions, ids(wallets), merchants)
	if err != nil {
		return nil, fmt.Errorf("look for wallets: %w", err)
	}
	known, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.WalletMerchant, error) {
		var number int
		if err := row.Scan(&number); err != nil {
			return ledger.WalletMerchant{}, err
		}
		return list[number-1], nil
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
	list, err := s.readClientWallets(ctx, id, limit+1, after)
	if err != nil {
		return nil, nil, fmt.Errorf("read wallets of client: %w", err)
	}
	if len(list) > limit { // one more than the page has tells whether there is another page
		list = list[:limit]
		next = &ingest.Cursor{DecidedAt: list[limit-1].opened, Wallet: list[limit-1].ID}
	}
	for _, w := range list {
		wallets = append(wallets, w.Wallet)
	}
	if len(wallets) == 0 {
		if _, err := s.Client(ctx, id); err != nil {
			return nil, nil, err
		}
	}
	return wallets, next, nil
}

// openedWallet is a wallet, and when it was opened.
type openedWallet struct {
	ledger.Wallet
	opened time.Time
}

// scanOpened reads a wallet and when it was opened.
func scanOpened(row pgx.Row) (openedWallet, error) {
	var w walletRow
	var opened time.Time
	err := row.Scan(append(w.targets(), &opened)...)
	return openedWallet{Wallet: w.read(), opened: opened.UTC()}, err
}

// readClientWallets reads so many wallets of the client behind the cursor, oldest first.
func (s *Store) readClientWallets(ctx context.Context, id ledger.ClientID, rows int, after *ingest.Cursor) ([]openedWallet, error) {
	sql, args := clientWalletsListing(id, rows, after)
	found, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (openedWallet, error) { return scanOpened(row) })
}

// clientWalletsListing is the statement for so many wallets, and its parameters.
func clientWalletsListing(id ledger.ClientID, rows int, after *ingest.Cursor) (sql string, args []any) {
	at, from := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, pgtype.UUID{Valid: true}
	if after != nil {
		at, from = orNull(after.DecidedAt), idOrNull(after.Wallet)
	}
	return clientWalletsSQL, []any{[16]byte(id), rows, at, from}
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
