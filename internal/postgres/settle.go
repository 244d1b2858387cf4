package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	//go:embed queries/fence.sql
	fenceSQL string
	//go:embed queries/lock_wallets.sql
	lockWalletsSQL string
	//go:embed queries/known_operations.sql
	knownOperationsSQL string
	//go:embed queries/accepted_invoices.sql
	acceptedInvoicesSQL string
	//go:embed queries/known_merchants.sql
	knownMerchantsSQL string
	//go:embed queries/advance_progress.sql
	advanceProgressSQL string
)

// beginSQL: each statement sees what was committed when it starts. So what is
// read after the locks are held is what the owners of the locks left.
const beginSQL = "begin isolation level read committed"

// Settle records the slice in one transaction and three round trips (two where
// there is no operation to write). In order: fence, lock, read what is known, decide, write, commit.
//
// A crash before the commit leaves nothing. A crash after it, or a lost answer,
// leaves everything, and the same call again says so with a *MovedError.
func (s *Store) Settle(ctx context.Context, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	if len(slice.Items) > ledger.MaxBatch {
		return processor.Tally{}, fmt.Errorf("%w: %d items in one slice", processor.ErrData, len(slice.Items))
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return processor.Tally{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.watch(ctx, conn.Conn())()

	tally, err := s.settle(ctx, conn, c, slice)
	if err != nil {
		rollback(ctx, conn)
		return processor.Tally{}, classified(err)
	}
	return tally, nil
}

func (s *Store) settle(ctx context.Context, conn *pgxpool.Conn, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	known, at, err := lockAndRead(ctx, conn, c, slice)
	if err != nil {
		return processor.Tally{}, err
	}
	o := outcome{claim: c, slice: slice, book: ledger.NewBook(known, s.decisionTime(at))}
	o.book.Expect(len(slice.Items))
	if err := o.decide(); err != nil {
		return processor.Tally{}, err
	}
	w := writing{partition: c.Partition, log: c.Log, book: o.book, letters: o.letters}
	w.last = func(b *pgx.Batch) {
		t := o.tally
		b.Queue(advanceProgressSQL, c.Partition, c.Epoch, slice.From, slice.To, t.Settled, t.Duplicates, t.Conflicts, t.Dead,
			t.Gaps, o.lastRecord(), o.book.Position())
	}
	if err := w.commit(ctx, conn); err != nil {
		return processor.Tally{}, err
	}
	return o.tally, nil
}

// lockAndRead is the first round trip, and at what time it held the lock. Nothing in it
// commits, so the fence can be judged when all of it is back.
func lockAndRead(
	ctx context.Context, conn *pgxpool.Conn, c processor.Claim, slice processor.Slice,
) (known ledger.Known, at time.Time, err error) {
	touched := touchedBy(slice)
	b := &pgx.Batch{}
	b.Queue(beginSQL)
	b.Queue(fenceSQL, c.Partition)
	touched.queue(b, c.Partition)
	results := conn.SendBatch(ctx, b)
	known, at, err = func() (ledger.Known, time.Time, error) {
		if _, err := results.Exec(); err != nil {
			return ledger.Known{}, time.Time{}, fmt.Errorf("begin: %w", err)
		}
		position, at, err := fence(results.QueryRow(), c, slice)
		if err != nil {
			return ledger.Known{}, time.Time{}, err
		}
		known, err := touched.read(results)
		known.Position = position
		return known, at, err
	}()
	if closeErr := results.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("lock and read: %w", closeErr)
	}
	return known, at, err
}

// fence compares whose the partition is, and where it stands, with the claim and
// what was settled under it. It returns the position of the partition's last operation, and
// the time.
func fence(row pgx.Row, c processor.Claim, slice processor.Slice) (position int64, at time.Time, err error) {
	var now processor.Memory
	switch err := row.Scan(&now.Epoch, &now.Log, &now.MovedEpoch, &now.NextOffset, &position, &at); {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, at, fmt.Errorf("%w: partition %d has no progress row", processor.ErrProgress, c.Partition)
	case err != nil:
		return 0, at, fmt.Errorf("lock progress: %w", err)
	}
	known := c.Memory()
	if slice.From > known.NextOffset {
		known = known.Moved(slice.From)
	}
	switch err := known.Check(now); {
	case err != nil:
		return 0, at, err
	case now.Log == c.Log && now.NextOffset == slice.From:
		return position, at, nil
	case now.Log == c.Log && now.NextOffset > slice.From && now.NextOffset <= slice.To:
		return 0, at, &processor.MovedError{NextOffset: now.NextOffset}
	}
	return 0, at, fmt.Errorf("%w: log %d, offset %d, not log %d, offset %d", processor.ErrProgress, now.Log, now.NextOffset, c.Log, slice.From)
}

// touched is everything that the requests of a slice name. What is asked for
// twice is answered twice, and harmless; only what is locked is named once, in
// one order for everybody.
type touched struct {
	wallets        []ledger.WalletID
	operations     []ledger.OperationID
	merchants      []ledger.MerchantID
	invoices       []ledger.InvoiceKey
	invoiceWallets []ledger.WalletID
}

func touchedBy(slice processor.Slice) touched {
	n := len(slice.Items)
	t := touched{
		wallets: make([]ledger.WalletID, 0, n), operations: make([]ledger.OperationID, 0, n),
		merchants: make([]ledger.MerchantID, 0, n), invoices: make([]ledger.InvoiceKey, 0, n),
		invoiceWallets: make([]ledger.WalletID, 0, n),
	}
	for _, item := range slice.Items {
		switch r := item.Request; {
		case r != nil:
			t.operations = append(t.operations, r.ID)
			t.wallets = append(t.wallets, r.Wallet)
			if !r.Merchant.IsZero() {
				t.merchants = append(t.merchants, r.Merchant)
			}
			if i, has := r.WalletInvoice(); has {
				t.invoices = append(t.invoices, i.Invoice)
				t.invoiceWallets = append(t.invoiceWallets, i.Wallet)
			}
		case item.Refusal != nil:
			t.operations = append(t.operations, item.Refusal.ID)
		}
	}
	t.wallets = distinct(t.wallets)
	t.merchants = distinct(t.merchants)
	return t
}

// distinct sorts the IDs and names each once.
func distinct[T ~[16]byte](list []T) []T {
	slices.SortFunc(list, func(a, b T) int {
		x, y := [16]byte(a), [16]byte(b)
		return bytes.Compare(x[:], y[:])
	})
	return slices.Compact(list)
}

// queue asks for everything; the locks come first.
func (t touched) queue(b *pgx.Batch, partition int) {
	b.Queue(lockWalletsSQL, partition, ids(t.wallets))
	b.Queue(knownOperationsSQL, partition, ids(t.operations))
	b.Queue(acceptedInvoicesSQL, partition, ids(t.invoices), ids(t.invoiceWallets))
	b.Queue(knownMerchantsSQL, ids(t.merchants))
}

// read takes the answers in the order of the questions.
func (t touched) read(results pgx.BatchResults) (ledger.Known, error) {
	known := ledger.Known{
		Wallets:   make(map[ledger.WalletID]ledger.Wallet, len(t.wallets)),
		Merchants: make(map[ledger.MerchantID]ledger.Merchant, len(t.merchants)),
		Decided:   make(map[ledger.OperationID]ledger.Fingerprint, len(t.operations)),
		Invoices:  make(map[ledger.WalletInvoice]ledger.OperationID, len(t.invoices)),
	}
	var w walletRow
	if err := each(results, w.targets(), func() {
		known.Wallets[w.wallet.ID] = w.read()
	}); err != nil {
		return known, fmt.Errorf("lock wallets: %w", err)
	}
	var id, wallet, owner, invoice pgtype.UUID
	var hash []byte
	if err := each(results, []any{&id, &hash}, func() {
		known.Decided[id.Bytes] = ledger.Fingerprint(hash)
	}); err != nil {
		return known, fmt.Errorf("read known operations: %w", err)
	}
	if err := each(results, []any{&wallet, &invoice, &id}, func() {
		known.Invoices[ledger.WalletInvoice{Wallet: wallet.Bytes, Invoice: invoice.Bytes}] = id.Bytes
	}); err != nil {
		return known, fmt.Errorf("read accepted invoices: %w", err)
	}
	var suspended bool
	if err := each(results, []any{&id, &owner, &suspended}, func() {
		known.Merchants[id.Bytes] = ledger.Merchant{Owner: owner.Bytes, Suspended: suspended}
	}); err != nil {
		return known, fmt.Errorf("read merchants: %w", err)
	}
	return known, nil
}

// each scans every row of the next answer into the targets.
func each(results pgx.BatchResults, targets []any, row func()) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		row()
		return nil
	})
	return err
}
