package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/decided.sql
	decidedText string
	//go:embed queries/decided_ids.sql
	decidedIDsSQL string
	//go:embed queries/list_wallet.sql
	listWalletText string
	//go:embed queries/search_wallet.sql
	searchWalletText string
	//go:embed queries/list_wallet_invoice.sql
	listWalletInvoiceText string
	//go:embed queries/list_merchant.sql
	listMerchantText string
	//go:embed queries/list_invoice.sql
	listInvoiceText string
	//go:embed queries/positions.sql
	positionsSQL string
)

// errFilter is a fault of the caller.
var errFilter = errors.New("list operations: want a wallet, a merchant or both")

// LookUp finds operations, and where their partitions stand, in one round trip.
func (s *Store) LookUp(ctx context.Context, list []ledger.OperationID) (found outcomes.Found, err error) {
	found.Next = map[int]ledger.Place{}
	partitions := s.partitionsOf(list)
	b := &pgx.Batch{}
	b.Queue(decidedSQL, partitions, ids(list)).Query(func(rows pgx.Rows) error {
		var r decidedRow
		_, err := pgx.ForEachRow(rows, r.targets(), func() error {
			found.Decided = append(found.Decided, r.read())
			return nil
		})
		return err
	})
	// Read after the operations: what is pending is never behind its partition.
	asked := slices.Sorted(slices.Values(partitions)) // the batch still refers to the list in the order of the IDs
	b.Queue(positionsSQL, slices.Compact(asked)).Query(func(rows pgx.Rows) error {
		var partition int
		var next ledger.Place
		_, err := pgx.ForEachRow(rows, []any{&partition, &next.Log, &next.Offset}, func() error {
			found.Next[partition] = next
			return nil
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return outcomes.Found{}, fmt.Errorf("read operations: %w", err)
	}
	for i, d := range found.Decided {
		found.Decided[i].Log = found.Next[d.ID.Partition(s.deployment.Partitions)].Log
	}
	return found, nil
}

// Decided is those of the operations that have an outcome, in no order.
func (s *Store) Decided(ctx context.Context, list []ledger.OperationID) ([]outcomes.Decided, error) {
	found, err := s.LookUp(ctx, list)
	return found.Decided, err
}

// DecidedIDs finds which operations are on record.
func (s *Store) DecidedIDs(ctx context.Context, list []ledger.OperationID) ([]ledger.OperationID, error) {
	rows, err := s.pool.Query(ctx, decidedIDsSQL, s.partitionsOf(list), ids(list))
	if err != nil {
		return nil, fmt.Errorf("look operations up: %w", err)
	}
	var known []ledger.OperationID
	var id pgtype.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		known = append(known, id.Bytes)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look operations up: %w", err)
	}
	return known, nil
}

// partitionsOf is the partition of each ID.
func (s *Store) partitionsOf(list []ledger.OperationID) []int32 {
	partitions := make([]int32, len(list))
	for i, id := range list {
		partitions[i] = int32(id.Partition(s.deployment.Partitions))
	}
	return partitions
}

// The bounds of a page, besides its rows.
const (
	// pageBytes is what the metadata, descriptions and notes of a page may reach: the row with
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
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return ingest.Page{}, fmt.Errorf("list operations: %w", err)
	}
	defer end()
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
		return listWalletInvoiceSQL, []any{rows, pageBytes, s.partition(f.Wallet), idOrNull(f.Wallet), key, at.Sequence, [16]byte(at.ID)}, nil
	case !f.Wallet.IsZero() && f.Merchant.IsZero() && f.Invoice == "":
		return listWalletSQL, []any{rows, pageBytes, s.partition(f.Wallet), idOrNull(f.Wallet), sequence, [16]byte(at.ID)}, nil
	case !f.Wallet.IsZero():
		invoice := pgtype.Text{String: f.Invoice, Valid: f.Invoice != ""}
		return searchWalletSQL, []any{
			rows, pageBytes, s.partition(f.Wallet), idOrNull(f.Wallet), sequence, [16]byte(at.ID), idOrNull(f.Merchant), invoice, pageWalk,
		}, nil
	case !f.Merchant.IsZero() && f.Invoice != "":
		return listInvoiceSQL, []any{rows, pageBytes, key, [16]byte(at.Wallet), at.Sequence, [16]byte(at.ID)}, nil
	case !f.Merchant.IsZero():
		decided, id := afterTime(f.After)
		return listMerchantSQL, []any{rows, pageBytes, idOrNull(f.Merchant), decided, id}, nil
	}
	return "", nil, errFilter
}

// collectPage reads the rows of a list: an operation, how many rows there are
// before those that are too many bytes were left out, whether the row belongs to
// the page, and whether the search ends with it.
func collectPage(rows pgx.Rows, limit int) (page ingest.Page, err error) {
	var r decidedRow
	var last outcomes.Decided
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

func cursorAfter(d outcomes.Decided) *ingest.Cursor {
	return &ingest.Cursor{Sequence: d.Sequence, DecidedAt: d.DecidedAt, Wallet: d.Wallet, ID: d.ID}
}

// NextOffset is the first offset of the partition that is not settled.
func (s *Store) NextOffset(ctx context.Context, partition int) (next int64, err error) {
	err = s.pool.QueryRow(ctx, positionsSQL, []int32{int32(partition)}).Scan(nil, nil, &next)
	if errors.Is(err, pgx.ErrNoRows) {
		err = processor.ErrNoProgress
	}
	if err != nil {
		return 0, fmt.Errorf("read progress: %w", err)
	}
	return next, nil
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
	merchant  pgtype.Text
	refunded  pgtype.Int8
	conflicts int
}

func (r *decidedRow) targets(more ...any) []any {
	return r.operationRow.targets(append([]any{&r.owner, &r.merchant, &r.refunded, &r.conflicts}, more...)...)
}

func (r *decidedRow) read() outcomes.Decided {
	return outcomes.Decided{
		Operation: r.operation(), Owner: r.owner.Bytes, MerchantName: r.merchant.String, Refunded: r.refunded.Int64, Conflicts: r.conflicts,
	}
}
