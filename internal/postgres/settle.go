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
	//go:embed queries/known_referred.sql
	knownReferredSQL string
	//go:embed queries/known_merchants.sql
	knownMerchantsSQL string
	//go:embed queries/advance_progress.sql
	advanceProgressSQL string
)

// beginSQL: each statement sees what was committed when it starts. So what is
// read after the locks are held is what the owners of the locks left.
const beginSQL = "begin isolation level read committed"

// rollbackTimeout is how long a rollback may take before the connection is given
// up instead; then the server rolls back by itself.
const rollbackTimeout = time.Second

var errNotCommitted = errors.New("the transaction was rolled back instead of committed")

// Settle is that of [processor.Store]. It takes one transaction and three round
// trips, or two where there is no operation to write.
//
// A crash before the commit leaves nothing. A crash after it, or a lost answer,
// leaves everything, and the same call again fails with a *MovedError.
func (s *Store) Settle(ctx context.Context, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	if len(slice.Items) > ledger.MaxBatch {
		return processor.Tally{}, fmt.Errorf("%w: %d items in one slice", processor.ErrData, len(slice.Items))
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return processor.Tally{}, fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	defer s.keepUnblocked(ctx, conn.Conn())()

	tally, err := s.settle(ctx, conn, c, slice)
	if err != nil {
		rollback(ctx, conn)
		return processor.Tally{}, classified(err)
	}
	return tally, nil
}

// settle is the transaction, and this file has its steps in the order in which they happen.
func (s *Store) settle(ctx context.Context, conn *pgxpool.Conn, c processor.Claim, slice processor.Slice) (processor.Tally, error) {
	// Fence, lock, read: the first round trip. A crash leaves locks, until the server
	// notices it or whoever waits for them ends the session; see unblock.go.
	known, at, err := lockAndRead(ctx, conn, c, slice)
	if err != nil {
		return processor.Tally{}, err
	}

	// A replay: an expire that became a dead letter is one again. Few batches hold an expire.
	if slice, err = keepDead(ctx, conn.Conn(), c, slice); err != nil {
		return processor.Tally{}, err
	}

	// Decide: in memory. Nobody else changes what was read while the locks are held.
	book := ledger.NewBook(known, s.decisionTime(at))
	book.Expect(len(slice.Items))
	w, err := decide(book, c, slice)
	if err != nil {
		return processor.Tally{}, err
	}

	// Write the operations: the second round trip. Nobody sees them yet, and a crash
	// rolls them back.
	if err := w.copyOperations(ctx, conn.Conn()); err != nil {
		return processor.Tally{}, err
	}

	// Write the rest, advance, commit: the third round trip. A crash before the server
	// reads the commit leaves nothing. A crash after that leaves all of it or nothing,
	// and the progress says which: it moves in the same commit. Kafka hears of it only
	// then, so the batch comes again, and finds its progress moved.
	b := &pgx.Batch{}
	w.queue(b)
	w.advance(b, c, slice)
	return w.tally, commit(ctx, conn, b)
}

// keepDead returns the slice with dead letters in place of the expires that are dead letters on record. Unlike
// other requests that were refused they have no outcome, and what lies behind them was decided without them.
func keepDead(ctx context.Context, conn *pgx.Conn, c processor.Claim, slice processor.Slice) (processor.Slice, error) {
	expires := func(i processor.Item) bool {
		return i.Request != nil && i.Request.Kind == ledger.KindExpire || !i.Expire.IsZero()
	}
	if !slices.ContainsFunc(slice.Items, expires) {
		return slice, nil
	}
	letters, err := knownLetters(ctx, conn, c, slice)
	if err != nil || len(letters) == 0 {
		return slice, err
	}
	slice.Items = slices.Clone(slice.Items)
	for i, item := range slice.Items {
		if expires(item) && letters[item.Record.Offset] {
			slice.Items[i] = processor.Item{Record: item.Record, Fault: "a dead letter already"}
		}
	}
	return slice, nil
}

// lockAndRead begins the transaction, and returns what is known of everything that the
// slice names, and the time at which the progress was locked. Nothing in it commits, so
// the fence can be judged when all of it is back.
func lockAndRead(
	ctx context.Context, conn *pgxpool.Conn, c processor.Claim, slice processor.Slice,
) (known ledger.Known, at time.Time, err error) {
	set := readSetOf(slice)
	b := &pgx.Batch{}
	b.Queue(beginSQL)
	b.Queue(fenceSQL, c.Partition)
	set.queue(b, c.Partition, lockWalletsSQL)
	results := conn.SendBatch(ctx, b)
	defer func() {
		if closeErr := results.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("lock and read: %w", closeErr)
		}
	}()
	if _, err := results.Exec(); err != nil {
		return known, at, fmt.Errorf("begin: %w", err)
	}
	position, at, err := fence(results.QueryRow(), c, slice)
	if err != nil {
		return known, at, err
	}
	known, err = set.read(results)
	known.Position = position
	return known, at, err
}

// fence compares the progress row with the claim and with what was settled under it: whose
// the partition is, and where it stands. It returns the position of the partition's last
// operation, and the time.
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

// readSet is what a slice's items name, and so what must be read to decide them. What is
// named twice is read twice, which is harmless; wallets are locked, so each is
// named once, in one order for everybody.
type readSet struct {
	wallets        []ledger.WalletID
	operations     []ledger.OperationID
	merchants      []ledger.MerchantID
	invoices       []ledger.InvoiceKey
	invoiceWallets []ledger.WalletID
	mandates       map[ledger.WalletMerchant]bool
	granted        ledger.WalletID      // that is to give another mandate; zero: none, and nobody asks how many it gave
	referred       []ledger.OperationID // most batches have none, and do not ask
}

func readSetOf(slice processor.Slice) readSet {
	n := len(slice.Items)
	set := readSet{
		wallets: make([]ledger.WalletID, 0, n), operations: make([]ledger.OperationID, 0, n),
		merchants: make([]ledger.MerchantID, 0, n), invoices: make([]ledger.InvoiceKey, 0, n),
		invoiceWallets: make([]ledger.WalletID, 0, n), mandates: make(map[ledger.WalletMerchant]bool, n),
	}
	for _, item := range slice.Items {
		switch r := item.Request; {
		case r != nil:
			set.add(r)
		case item.Refusal != nil:
			set.operations = append(set.operations, item.Refusal.ID)
		case !item.Expire.IsZero():
			set.operations = append(set.operations, item.Expire)
		}
	}
	set.wallets = distinct(set.wallets)
	set.merchants = distinct(set.merchants)
	return set
}

func (set *readSet) add(r *ledger.Request) {
	set.operations = append(set.operations, r.ID)
	set.wallets = append(set.wallets, r.Wallet)
	if !r.Merchant.IsZero() {
		set.merchants = append(set.merchants, r.Merchant)
	}
	if !r.Refers.IsZero() {
		set.referred = append(set.referred, r.Refers)
	}
	if i, has := r.WalletInvoice(); has {
		set.invoices = append(set.invoices, i.Invoice)
		set.invoiceWallets = append(set.invoiceWallets, i.Wallet)
	}
	if m, has := r.Mandate(); has {
		set.mandates[m] = true
	}
	if r.Kind == ledger.KindGrant {
		set.granted = r.Wallet
	}
}

// distinct sorts the IDs and names each once.
func distinct[T ~[16]byte](list []T) []T {
	slices.SortFunc(list, func(a, b T) int {
		x, y := [16]byte(a), [16]byte(b)
		return bytes.Compare(x[:], y[:])
	})
	return slices.Compact(list)
}

// queue asks for everything; the wallets come first, by a statement that locks them or does not.
func (set readSet) queue(b *pgx.Batch, partition int, walletsSQL string) {
	b.Queue(walletsSQL, partition, ids(set.wallets))
	b.Queue(knownOperationsSQL, partition, ids(set.operations))
	b.Queue(acceptedInvoicesSQL, partition, ids(set.invoices), ids(set.invoiceWallets))
	b.Queue(knownMerchantsSQL, ids(set.merchants))
	if len(set.mandates) > 0 {
		wallets, merchants := make([]ledger.WalletID, 0, len(set.mandates)), make([]ledger.MerchantID, 0, len(set.mandates))
		for m := range set.mandates {
			wallets, merchants = append(wallets, m.Wallet), append(merchants, m.Merchant)
		}
		b.Queue(knownMandatesSQL, partition, ids(wallets), ids(merchants))
	}
	if !set.granted.IsZero() {
		b.Queue(countMandatesSQL, partition, [16]byte(set.granted))
	}
	if len(set.referred) > 0 {
		b.Queue(knownReferredSQL, partition, ids(set.referred))
	}
}

// read takes the answers in the order of the questions.
func (set readSet) read(results pgx.BatchResults) (ledger.Known, error) {
	known := ledger.Known{
		Wallets:   make(map[ledger.WalletID]ledger.Wallet, len(set.wallets)),
		Merchants: make(map[ledger.MerchantID]ledger.Merchant, len(set.merchants)),
		Decided:   make(map[ledger.OperationID]ledger.Fingerprint, len(set.operations)),
		Invoices:  make(map[ledger.WalletInvoice]ledger.OperationID, len(set.invoices)),
	}
	var w walletRow
	if err := each(results, w.targets(), func() {
		known.Wallets[w.wallet.ID] = w.read()
	}); err != nil {
		return known, fmt.Errorf("read wallets: %w", err)
	}
	var id, wallet, owner, invoice pgtype.UUID
	var hash []byte
	if err := each(results, []any{&id, &hash}, func() {
		known.Decided[id.Bytes] = ledger.Fingerprint(hash)
	}); err != nil {
		return known, fmt.Errorf("read known operations: %w", err)
	}
	var held bool
	if err := each(results, []any{&wallet, &invoice, &id, &held}, func() {
		key := ledger.WalletInvoice{Wallet: wallet.Bytes, Invoice: invoice.Bytes}
		if _, accepted := known.Invoices[key]; !held || !accepted {
			known.Invoices[key] = id.Bytes
		}
	}); err != nil {
		return known, fmt.Errorf("read accepted invoices: %w", err)
	}
	var suspended bool
	if err := each(results, []any{&id, &owner, &suspended}, func() {
		known.Merchants[id.Bytes] = ledger.Merchant{Owner: owner.Bytes, Suspended: suspended}
	}); err != nil {
		return known, fmt.Errorf("read merchants: %w", err)
	}
	if err := set.readMandates(results, &known); err != nil || len(set.referred) == 0 {
		return known, err
	}
	known.Referred = make(map[ledger.OperationID]ledger.Referred, len(set.referred))
	for _, id := range set.referred {
		known.Referred[id] = ledger.Referred{}
	}
	var r referredRow
	if err := each(results, append([]any{&id}, r.targets()...), func() {
		known.Referred[id.Bytes] = r.read()
	}); err != nil {
		return known, fmt.Errorf("read what is referred to: %w", err)
	}
	return known, nil
}

func (set readSet) readMandates(results pgx.BatchResults, known *ledger.Known) error {
	if len(set.mandates) > 0 {
		known.Mandates = map[ledger.WalletMerchant]ledger.Mandate{}
		var m mandateRow
		if err := each(results, m.targets(), func() {
			known.Mandates[ledger.WalletMerchant{Wallet: m.mandate.Wallet, Merchant: m.mandate.Merchant}] = m.read()
		}); err != nil {
			return fmt.Errorf("read mandates: %w", err)
		}
	}
	if !set.granted.IsZero() {
		var given int
		if err := results.QueryRow().Scan(&given); err != nil {
			return fmt.Errorf("count mandates: %w", err)
		}
		known.Given = map[ledger.WalletID]int{set.granted: given}
	}
	return nil
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

// decide takes the items in their order. A panic in the rules is the data's
// fault: the item that causes it is found by trying smaller slices.
func decide(book *ledger.Book, c processor.Claim, slice processor.Slice) (w writeSet, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: deciding panicked: %v", processor.ErrData, p)
		}
	}()
	w = writeSet{partition: c.Partition, log: c.Log, book: book}
	for _, item := range slice.Items {
		at := ledger.Place{Log: c.Log, Offset: item.Record.Offset}
		switch {
		case item.Request != nil:
			w.count(book.Decide(*item.Request, at))
		case item.Refusal != nil:
			v := book.Refuse(*item.Refusal, at)
			w.count(v)
			// A duplicate has the payload of the first one, which is kept.
			if v != ledger.Duplicate {
				w.deadLetters = append(w.deadLetters, deadLetter{item: item, operation: item.Refusal.ID})
			}
		case book.Decided(item.Expire):
			w.count(ledger.Duplicate)
		default:
			w.tally.Dead++
			w.deadLetters = append(w.deadLetters, deadLetter{item: item})
		}
	}
	w.tally.Gaps = int(slice.To-slice.From) - len(slice.Items)
	w.tally.Outcomes = map[processor.OutcomeLabel]int{}
	for _, op := range book.Operations() {
		w.tally.Outcomes[processor.OutcomeLabel{Kind: op.Kind, Reason: op.Reason}]++
	}
	return w, nil
}

func (w *writeSet) count(v ledger.Verdict) {
	switch v {
	case ledger.Settled:
		w.tally.Settled++
	case ledger.Duplicate:
		w.tally.Duplicates++
	case ledger.Conflicting:
		w.tally.Conflicts++
	}
}

// advance queues what moves the progress to the slice's end, under the claim's epoch.
func (w *writeSet) advance(b *pgx.Batch, c processor.Claim, slice processor.Slice) {
	t := &w.tally
	b.Queue(advanceProgressSQL, c.Partition, c.Epoch, slice.From, slice.To, t.Settled, t.Duplicates, t.Conflicts, t.Dead, t.Gaps,
		lastRecord(slice), w.book.Position())
}

// lastRecord is the hash of the record at the slice's last offset; nil if that offset
// holds none.
func lastRecord(slice processor.Slice) []byte {
	if len(slice.Items) == 0 {
		return nil
	}
	last := slice.Items[len(slice.Items)-1].Record
	if last.Offset != slice.To-1 {
		return nil
	}
	hash := last.Hash()
	return hash[:]
}

// commit sends the statements of the batch, and a commit behind them. An error may mean
// either: whether the transaction committed is then unknown.
func commit(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) error {
	statements := b.Len()
	b.Queue("commit")
	results := conn.SendBatch(ctx, b)
	return errors.Join(awaitCommit(results, statements), results.Close())
}

func awaitCommit(results pgx.BatchResults, statements int) error {
	for range statements {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("write balances and progress: %w", err)
		}
	}
	// The commit point.
	tag, err := results.Exec()
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if tag.String() != "COMMIT" {
		return errNotCommitted
	}
	return nil
}

// rollback ends a transaction that failed. Where it cannot, the pool closes the
// connection, and the server rolls back.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, "rollback")
}
