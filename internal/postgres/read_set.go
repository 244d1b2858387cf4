package postgres

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
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
)

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
	var fingerprint hash
	if err := each(results, []any{&id, &fingerprint}, func() {
		known.Decided[id.Bytes] = ledger.Fingerprint(fingerprint)
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
