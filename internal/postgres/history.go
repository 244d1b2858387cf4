package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/decided.sql
	decidedSQL string
	//go:embed queries/decided_ids.sql
	decidedIDsSQL string
	//go:embed queries/list_wallet.sql
	listWalletSQL string
	//go:embed queries/search_wallet.sql
	searchWalletSQL string
	//go:embed queries/list_wallet_invoice.sql
	listWalletInvoiceSQL string
	//go:embed queries/list_merchant.sql
	listMerchantSQL string
	//go:embed queries/list_invoice.sql
	listInvoiceSQL string
	//go:embed queries/next_offset.sql
	nextOffsetSQL string
)

// errFilter is a fault of the caller.
var errFilter = errors.New("list operations: want a wallet, a merchant or both")

// Decided finds operations in one round trip: a statement for each partition
// that the IDs lie in, so that each is served by one shard and one index.
func (s *Store) Decided(ctx context.Context, list []ledger.OperationID) ([]ingest.Decided, error) {
	var found []ingest.Decided
	b := &pgx.Batch{}
	for partition, part := range s.byPartition(list) {
		b.Queue(decidedSQL, partition, part).Query(func(rows pgx.Rows) (err error) {
			var log int32
			first := len(found)
			found, err = collectDecided(rows, found, &log)
			for i := first; i < len(found); i++ {
				found[i].Log = log
			}
			return err
		})
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read operations: %w", err)
	}
	return found, nil
}

// DecidedIDs finds which operations are on record, as Decided does.
func (s *Store) DecidedIDs(ctx context.Context, list []ledger.OperationID) ([]ledger.OperationID, error) {
	var known []ledger.OperationID
	b := &pgx.Batch{}
	for partition, part := range s.byPartition(list) {
		b.Queue(decidedIDsSQL, partition, part).Query(func(rows pgx.Rows) error {
			var id pgtype.UUID
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				known = append(known, id.Bytes)
				return nil
			})
			return err
		})
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("look operations up: %w", err)
	}
	return known, nil
}

// byPartition are the IDs as a parameter for each partition that they lie in.
func (s *Store) byPartition(list []ledger.OperationID) map[int]pgtype.FlatArray[[16]byte] {
	parts := make(map[int]pgtype.FlatArray[[16]byte], min(len(list), s.deployment.Partitions))
	for _, id := range list {
		p := id.Partition(s.deployment.Partitions)
		parts[p] = append(parts[p], id)
	}
	return parts
}

// The bounds of a page, besides its rows.
const (
	// pageBytes is what the metadata and descriptions of a page may reach: the row with
	// which they do is its last.
	pageBytes = 1 << 20
	// pageWalk operations of a wallet are gone through for a page of those that no index
	// knows of. To read so many costs about as much as to show a page of 200.
	pageWalk = 1000
)

// List is one page. Each costs about the same, whatever is on record: it lies in
// one piece in an index, in the page's order, or is what is found among the next
// 1,000 operations of a wallet.
func (s *Store) List(ctx context.Context, f ingest.Filter) (ingest.Page, error) {
	sql, args, err := s.listing(f)
	if err != nil {
		return ingest.Page{}, err
	}
	select {
	case s.lists <- struct{}{}:
		defer func() { <-s.lists }()
	case <-ctx.Done():
		return ingest.Page{}, fmt.Errorf("list operations: %w", ctx.Err())
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return ingest.Page{}, fmt.Errorf("list operations: %w", err)
	}
	page, err := collectPage(rows, f.Limit)
	if err != nil {
		return ingest.Page{}, fmt.Errorf("list operations: %w", err)
	}
	return page, nil
}

// listing is the statement for the filter, and its parameters. One row more than
// the page has tells whether there is another page.
func (s *Store) listing(f ingest.Filter) (sql string, args []any, err error) {
	rows := f.Limit + 1
	key := [16]byte(ledger.NewInvoiceKey(f.Merchant, f.Invoice))
	at := after(f.After)
	sequence := pgtype.Int8{Int64: at.Sequence, Valid: at.Sequence != 0 && f.After != nil}
	switch {
	case !f.Wallet.IsZero() && !f.Merchant.IsZero() && f.Invoice != "":
		return listWalletInvoiceSQL, []any{s.partition(f.Wallet), idOrNull(f.Wallet), key, rows, pageBytes, at.Sequence, [16]byte(at.ID)}, nil
	case !f.Wallet.IsZero() && f.Merchant.IsZero() && f.Invoice == "":
		return listWalletSQL, []any{s.partition(f.Wallet), idOrNull(f.Wallet), rows, pageBytes, sequence, [16]byte(at.ID)}, nil
	case !f.Wallet.IsZero():
		invoice := pgtype.Text{String: f.Invoice, Valid: f.Invoice != ""}
		return searchWalletSQL, []any{
			s.partition(f.Wallet), idOrNull(f.Wallet), rows, pageBytes, sequence, [16]byte(at.ID), idOrNull(f.Merchant), invoice, pageWalk,
		}, nil
	case !f.Merchant.IsZero() && f.Invoice != "":
		return listInvoiceSQL, []any{key, rows, pageBytes, [16]byte(at.Wallet), at.Sequence, [16]byte(at.ID)}, nil
	case !f.Merchant.IsZero():
		decided, id := afterTime(f.After)
		return listMerchantSQL, []any{idOrNull(f.Merchant), rows, pageBytes, decided, id}, nil
	}
	return "", nil, errFilter
}

// collectPage reads the rows of a list: an operation, how many rows there are
// before those that are too many bytes were left out, whether the row belongs to
// the page, and whether the search ends with it.
func collectPage(rows pgx.Rows, limit int) (page ingest.Page, err error) {
	var r decidedRow
	var last ingest.Decided
	var all int
	var found, ends bool
	read := 0
	_, err = pgx.ForEachRow(rows, r.targets(&all, &found, &ends), func() error {
		read++
		if len(page.Operations) == limit { // the one row more
			page.Next = cursorAfter(last)
			return nil
		}
		if last = r.read(); found {
			page.Operations = append(page.Operations, last)
		}
		if ends {
			page.Next = cursorAfter(last)
		}
		return nil
	})
	if read < all {
		page.Next = cursorAfter(last)
	}
	return page, err
}

func cursorAfter(d ingest.Decided) *ingest.Cursor {
	return &ingest.Cursor{Sequence: d.Sequence, DecidedAt: d.DecidedAt, Wallet: d.Wallet, ID: d.ID}
}

// NextOffset is the first offset of the partition that is not settled.
func (s *Store) NextOffset(ctx context.Context, partition int) (int64, error) {
	at, err := s.Position(ctx, partition)
	return at.Offset, err
}

// Position is the place of the next record that the partition is to settle.
func (s *Store) Position(ctx context.Context, partition int) (at ledger.Place, err error) {
	err = s.pool.QueryRow(ctx, nextOffsetSQL, partition).Scan(&at.Log, &at.Offset)
	if errors.Is(err, pgx.ErrNoRows) {
		err = processor.ErrNoProgress
	}
	if err != nil {
		return ledger.Place{}, fmt.Errorf("read progress: %w", err)
	}
	return at, nil
}

func (s *Store) partition(w ledger.WalletID) int { return w.Partition(s.deployment.Partitions) }

// after is where a page begins: behind the cursor, or above everything.
func after(c *ingest.Cursor) ingest.Cursor {
	if c == nil {
		last := [16]byte(bytes.Repeat([]byte{0xff}, 16))
		return ingest.Cursor{Wallet: last, Sequence: math.MaxInt64, ID: last}
	}
	return *c
}

// afterTime are the parameters of a list by time of decision.
func afterTime(c *ingest.Cursor) (pgtype.Timestamptz, pgtype.UUID) {
	if c == nil {
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, pgtype.UUID{Valid: true}
	}
	return pgtype.Timestamptz{Time: c.DecidedAt, Valid: true}, pgtype.UUID{Bytes: c.ID, Valid: true}
}

// decidedRow receives an operation and what a reader needs besides.
type decidedRow struct {
	operationRow
	owner     pgtype.UUID
	conflicts int
}

func (r *decidedRow) targets(more ...any) []any {
	return r.operationRow.targets(append([]any{&r.owner, &r.conflicts}, more...)...)
}

func (r *decidedRow) read() ingest.Decided {
	return ingest.Decided{Operation: r.operation(), Owner: r.owner.Bytes, Conflicts: r.conflicts}
}

// collectDecided appends the rows. What the query says besides goes to more, from
// the last row.
func collectDecided(rows pgx.Rows, list []ingest.Decided, more ...any) ([]ingest.Decided, error) {
	var r decidedRow
	_, err := pgx.ForEachRow(rows, r.targets(more...), func() error {
		list = append(list, r.read())
		return nil
	})
	return list, err
}
