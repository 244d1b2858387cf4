package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// Pool is the connections as a service has them.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Opened is how many connections were made for reads and direct operations.
func (s *Store) Opened() int64 {
	return s.pool.Stat().NewConnsCount() + s.direct.Stat().NewConnsCount()
}

// Listing is the statement that List runs for the filter.
func (s *Store) Listing(f ingest.Filter) (string, []any, error) { return s.listing(f) }

// ClientWalletsListing is the statement that ClientWallets runs.
func ClientWalletsListing(id ledger.ClientID, limit int, after *ingest.Cursor) (string, []any) {
	return clientWalletsListing(id, limit, after)
}

// The bounds of a page.
const (
	PageBytes = pageBytes
	PageWalk  = pageWalk
)

// Expand is what becomes of a statement in queries/.
var Expand = expand

// VerifyOperationsSQL is the statement by which verify follows histories.
var VerifyOperationsSQL = verifyOperationsSQL

// The statements of a statement.
var (
	StatementSQL    = statementSQL
	WalletStatesSQL = walletStatesSQL
)

// SettlementOf is Settlement that goes through so many operations for a page.
func (s *Store) SettlementOf(ctx context.Context, id ledger.MerchantID, from, to time.Time, after *ingest.Cursor, walk int64) ([]ingest.SettledDay, *ingest.Cursor, error) {
	return s.settlement(ctx, id, from, to, after, walk)
}

// Gather lets what Settle brings wait from now on, until so many wait or the patience ends after release was
// called, and then go together. Nothing may settle when it is called.
func (s *Store) Gather(n int, patience time.Duration) (release func()) {
	none := &joining{}
	s.joints.queue.Add(none)
	return func() {
		for until := time.Now().Add(patience); s.joints.queue.Waiting() <= n && time.Now().Before(until); {
			time.Sleep(100 * time.Microsecond)
		}
		s.joints.queue.Withdraw(none)
		s.settleJoints()
	}
}
