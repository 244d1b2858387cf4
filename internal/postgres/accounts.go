package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/wallet.sql
	walletSQL string
	//go:embed queries/client_wallets.sql
	clientWalletsSQL string
	//go:embed queries/account_balances.sql
	accountBalancesSQL string
)

// Wallet reads one wallet. It fails with [ingest.ErrNotFound].
func (s *Store) Wallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error) {
	var w walletRow
	if err := s.pool.QueryRow(ctx, walletSQL, s.partition(id), [16]byte(id)).Scan(w.targets()...); err != nil {
		return ledger.Wallet{}, notFound("read wallet", err)
	}
	return w.read(), nil
}

// ClientWallets reads every wallet of the client, oldest first. It fails with
// [ingest.ErrNotFound] if there is no such client.
func (s *Store) ClientWallets(ctx context.Context, id ledger.ClientID) ([]ledger.Wallet, error) {
	rows, err := s.pool.Query(ctx, clientWalletsSQL, [16]byte(id))
	if err != nil {
		return nil, fmt.Errorf("read wallets of client: %w", err)
	}
	var w walletRow
	var wallets []ledger.Wallet
	if _, err := pgx.ForEachRow(rows, w.targets(), func() error {
		wallets = append(wallets, w.read())
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read wallets of client: %w", err)
	}
	if len(wallets) == 0 {
		if _, err := s.client(ctx, id); err != nil {
			return nil, err
		}
	}
	return wallets, nil
}

// Balances are the merchant's settlement balances by currency, each the sum of
// its parts in every partition.
func (s *Store) Balances(ctx context.Context, id ledger.MerchantID) ([]ingest.Balance, error) {
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

// notFound turns the absence of a row into [ingest.ErrNotFound].
func notFound(doing string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ingest.ErrNotFound
	}
	return fmt.Errorf("%s: %w", doing, err)
}
