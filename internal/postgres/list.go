package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

var (
	//go:embed queries/list_wallet.sql
	listWalletText string
	//go:embed queries/list_wallet_invoice.sql
	listWalletInvoiceText string
	//go:embed queries/list_merchant.sql
	listMerchantText string
	//go:embed queries/list_invoice.sql
	listInvoiceText string
	//go:embed queries/list_ids.sql
	listIDsText string
)

// errFilter is a fault of the caller.
var errFilter = errors.New("list operations: want a wallet, a merchant or a client")

// The bounds of a page, besides its rows.
const (
	// pageBytes is what the metadata, descriptions and notes of a page may reach: the row with
	// which they do is its last.
	pageBytes = 1 << 20
	// pageWalk operations are gone through for a page of those that no index
	// knows of. To read so many costs about as much as to show a page of 200.
	pageWalk = 1000
	// pageWallets of a client are gone through for a page of its operations.
	pageWallets = 16
)

// List is one page. Each costs about the same, whatever is on record: it lies in
// one piece in an index, in the page's order, or is what is found among the next
// 1,000 operations of such a piece.
func (s *Store) List(ctx context.Context, f ingest.Filter) (ingest.Page, error) {
	ctx, end, err := s.lists.take(ctx)
	if err != nil {
		return ingest.Page{}, fmt.Errorf("list operations: %w", err)
	}
	defer end()
	read := s.listPiece
	if f.Wallet.IsZero() && !f.Client.IsZero() {
		read = s.listClient
	}
	page, err := read(ctx, f)
	if err != nil {
		return ingest.Page{}, fmt.Errorf("list operations: %w", err)
	}
	return page, nil
}

// listPiece is a page of a list that lies in one piece in an index.
func (s *Store) listPiece(ctx context.Context, f ingest.Filter) (ingest.Page, error) {
	sql, args, err := s.listing(f)
	if err != nil {
		return ingest.Page{}, err
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return ingest.Page{}, err
	}
	return collectPage(rows, f.Limit)
}

// listClient is a page of the operations of a client: wallet by wallet, the oldest first, and newest
// first within each. It goes through 16 wallets at most, and through no further one when these held
// more than 1,000 operations. Its cursor is a place within a wallet, and says when that was opened.
func (s *Store) listClient(ctx context.Context, f ingest.Filter) (page ingest.Page, err error) {
	after, limit, walked := f.After, f.Limit, int64(0)
	list := func(w ledger.WalletID, opened time.Time, behind *ingest.Cursor) error {
		f.Wallet, f.After, f.Limit = w, behind, limit-len(page.Operations)
		part, err := s.listPiece(ctx, f)
		if page.Operations = append(page.Operations, part.Operations...); part.Next != nil {
			page.Next = &ingest.Cursor{Sequence: part.Next.Sequence, Bounds: part.Next.Bounds, ID: part.Next.ID, Wallet: w, DecidedAt: opened}
		}
		// Below the first operation of a wallet there is none: it is done with.
		after = &ingest.Cursor{Sequence: 1, Wallet: w, DecidedAt: opened}
		return err
	}
	if f.After != nil {
		if err := list(f.After.Wallet, f.After.DecidedAt, f.After); err != nil || page.Next != nil {
			return page, err
		}
	}
	wallets, err := s.readClientWallets(ctx, f.Client, pageWallets+1, after)
	if err != nil {
		return ingest.Page{}, err
	}
	for i, w := range wallets {
		if i == pageWallets || walked >= pageWalk || len(page.Operations) == limit || bytesOf(page) >= pageBytes {
			page.Next = after
			return page, nil
		}
		if err := list(w.ID, w.opened, nil); err != nil || page.Next != nil {
			return page, err
		}
		walked += w.Sequence
	}
	return page, nil
}

// bytesOf is what the texts of the page take.
func bytesOf(page ingest.Page) (n int) {
	for i := range page.Operations {
		n += page.Operations[i].TextBytes()
	}
	return n
}

// listing is the statement for the filter, and its parameters. One row more than
// the page has tells whether there is another page.
func (s *Store) listing(f ingest.Filter) (sql string, args []any, err error) {
	merchant, invoice, wallet := f.Merchant, f.Invoice, ledger.WalletID{} // as far as no index has them
	key := [16]byte(ledger.NewInvoiceKey(f.Merchant, f.Invoice))
	at := after(f.After)
	sequence := pgtype.Int8{Int64: at.Sequence, Valid: at.Sequence != 0 && f.After != nil}
	decided, id := afterTime(f.After)
	switch {
	case f.IDs != nil:
		sql, args = listIDsSQL, []any{s.partitionsOf(f.IDs), ids(f.IDs), decided, id}
	case f.ByMerchant:
		merchant, wallet = ledger.MerchantID{}, f.Wallet
		sql, args = listMerchantSQL, []any{idOrNull(f.Merchant), decided, id}
	case !f.Wallet.IsZero() && !f.Merchant.IsZero() && f.Invoice != "":
		merchant, invoice = ledger.MerchantID{}, ""
		sql, args = listWalletInvoiceSQL, []any{s.partition(f.Wallet), idOrNull(f.Wallet), key, position(at)}
	case !f.Wallet.IsZero():
		sql, args = listWalletSQL, []any{s.partition(f.Wallet), idOrNull(f.Wallet), sequence, [16]byte(at.ID)}
	case !f.Merchant.IsZero() && f.Invoice != "":
		merchant, invoice = ledger.MerchantID{}, ""
		sql, args = listInvoiceSQL, []any{key, [16]byte(at.Wallet), position(at)}
	case !f.Merchant.IsZero():
		merchant = ledger.MerchantID{}
		if f.After == nil && !f.To.IsZero() {
			decided, id = afterTime(&ingest.Cursor{DecidedAt: f.To}) // behind the time and before every ID of it
		}
		sql, args = listMerchantSQL, []any{idOrNull(f.Merchant), decided, id}
	default:
		return "", nil, errFilter
	}
	rows := f.Limit + 1
	walk := rows
	if !merchant.IsZero() || !wallet.IsZero() || invoice != "" || f.Kind != "" || f.Status != "" || f.Reason != "" || !f.From.IsZero() || !f.To.IsZero() || f.IDs != nil {
		walk = max(rows, pageWalk)
	}
	return sql, append([]any{
		rows, pageBytes, walk, textOrNone(string(f.Kind)),
		pgtype.Bool{Bool: f.Status == ledger.StatusFailed, Valid: f.Status != ""},
		textOrNone(string(f.Reason)), orNull(f.From), orNull(f.To), idOrNull(merchant), textOrNone(invoice), idOrNull(wallet),
	}, args...), nil
}

// textOrNone is the text; null for the empty one.
func textOrNone(text string) pgtype.Text { return pgtype.Text{String: text, Valid: text != ""} }

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
	return &ingest.Cursor{Sequence: d.Sequence, Bounds: []int64{d.Position}, DecidedAt: d.DecidedAt, Wallet: d.Wallet, ID: d.ID}
}

// after is where a page begins: behind the cursor, or above everything.
func after(c *ingest.Cursor) ingest.Cursor {
	if c == nil {
		last := [16]byte(bytes.Repeat([]byte{0xff}, 16))
		return ingest.Cursor{Wallet: last, Sequence: math.MaxInt64, Bounds: []int64{math.MaxInt64}, ID: last}
	}
	return *c
}

// position is that before which a page begins; of a wallet that is done with there is none.
func position(c ingest.Cursor) int64 {
	if len(c.Bounds) == 0 {
		return 0
	}
	return c.Bounds[0]
}

// afterTime are the parameters of a list by time of decision.
func afterTime(c *ingest.Cursor) (pgtype.Timestamptz, pgtype.UUID) {
	if c == nil {
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, pgtype.UUID{Valid: true}
	}
	return pgtype.Timestamptz{Time: c.DecidedAt, Valid: true}, pgtype.UUID{Bytes: c.ID, Valid: true}
}
