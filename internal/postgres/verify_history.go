package postgres

import (
	"bytes"
	"context"
	_ "embed"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/verify_operations.sql
	verifyOperationsText string
	//go:embed queries/verify_unsequenced.sql
	verifyUnsequencedText string
)

// auditRow receives an operation, its wallet's row, what had its invoice before, and what it refers to.
type auditRow struct {
	operationRow
	whole                         bool
	invoiceKey                    pgtype.UUID
	client                        pgtype.UUID
	currency, status, charges     pgtype.Text
	balance, creditLimit, lastSeq pgtype.Int8
	lastDigest                    []byte
	openedAt                      pgtype.Timestamptz
	held, holds                   pgtype.Int8
	charged                       pgtype.UUID
	chargedSequence               pgtype.Int8
	holding                       pgtype.UUID
	referred                      referredRow
}

func (r *auditRow) targets() []any {
	return append(r.operationRow.targets(&r.whole, &r.invoiceKey, &r.client, &r.currency, &r.status, &r.charges, &r.balance, &r.creditLimit, &r.lastSeq,
		&r.lastDigest, &r.openedAt, &r.held, &r.holds, &r.charged, &r.chargedSequence, &r.holding), r.referred.targets()...)
}

// stored is the wallet's row; nil if there is none.
func (r *auditRow) stored(id ledger.WalletID) *ledger.Wallet {
	if !r.client.Valid {
		return nil
	}
	w := ledger.Wallet{
		ID: id, Client: r.client.Bytes, Currency: ledger.Currency(r.currency.String), Status: ledger.WalletStatus(r.status.String),
		Charges: ledger.Charges(r.charges.String),
		Balance: r.balance.Int64, CreditLimit: r.creditLimit.Int64, Held: r.held.Int64, Holds: r.holds.Int64, Sequence: r.lastSeq.Int64,
	}
	if len(r.lastDigest) == len(w.Digest) {
		w.Digest = ledger.Digest(r.lastDigest)
	}
	return &w
}

// acceptedCharge is the charge or capture of the invoice that was accepted before the operation, or the hold
// that was open with it.
func (r *auditRow) acceptedCharge(o ledger.Operation) ledger.OperationID {
	if o.Sequence != 0 && r.charged.Valid && r.chargedSequence.Int64 < o.Sequence {
		return r.charged.Bytes
	}
	return r.holding.Bytes
}

// historySettings are those of a service but for its hurry: every step goes by an
// index.
const historySettings = "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0"

// verifyRows is how many operations are read in one snapshot: a fraction of a
// second's work. An older snapshot would make updates of a busy wallet slow.
const verifyRows = 20_000

// histories audits wallet after wallet, then the operations that no wallet knows
// of. What is read on in another snapshot has not changed: rows are only added,
// and the wallet's row is that of the snapshot with its last operation.
func (p *partitionCheck) histories(ctx context.Context) error {
	h := history{check: p}
	from, to := ledger.WalletID{}, ledger.WalletID(bytes.Repeat([]byte{0xff}, 16))
	if !p.scope.Wallet.IsZero() {
		from, to = p.scope.Wallet, p.scope.Wallet
	}
	since := orNull(p.scope.Since)
	wallet, sequence := from, int64(0)
	if err := p.pages(ctx, func(tx pgx.Tx) (int, error) {
		args := []any{p.partition, [16]byte(wallet), sequence, [16]byte(to), verifyRows, since}
		rows := 0
		err := forEach(ctx, tx, verifyOperationsSQL, args, h.row.targets(), func() {
			o := h.row.operation()
			h.next(o)
			wallet, sequence = o.Wallet, o.Sequence
			rows++
		})
		return rows, err
	}); err != nil {
		return err
	}
	h.finish()
	wallet, operation := from, ledger.OperationID{}
	var row operationRow
	var whole bool
	var invoiceKey pgtype.UUID
	var referred referredRow
	return p.pages(ctx, func(tx pgx.Tx) (int, error) {
		args := []any{p.partition, [16]byte(wallet), [16]byte(operation), [16]byte(to), verifyRows, since}
		rows := 0
		err := forEach(ctx, tx, verifyUnsequencedSQL, args, row.targets(append([]any{&whole, &invoiceKey}, referred.targets()...)...), func() {
			o := row.operation()
			p.operation(o, whole, invoiceKey, (&ledger.Audit{}).Check(o, ledger.OperationID{}, referred.read()))
			wallet, operation = o.Wallet, o.ID
			rows++
		})
		return rows, err
	})
}

// pages reads in one snapshot after the other until one is not full.
func (p *partitionCheck) pages(ctx context.Context, read func(pgx.Tx) (rows int, err error)) error {
	for rows := verifyRows; rows == verifyRows; {
		if err := p.store.snapshot(ctx, historySettings, func(tx pgx.Tx) (err error) {
			rows, err = read(tx)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// history follows the operations of one wallet after the other.
type history struct {
	check  *partitionCheck
	row    auditRow
	audit  ledger.Audit
	wallet ledger.WalletID
	stored *ledger.Wallet // as of the last operation that was read
}

func (h *history) next(o ledger.Operation) {
	if o.Wallet != h.wallet {
		h.finish()
		h.audit, h.wallet = ledger.Audit{}, o.Wallet
	}
	h.stored = h.row.stored(o.Wallet)
	h.check.operation(o, h.row.whole, h.row.invoiceKey, h.audit.Check(o, h.row.acceptedCharge(o), h.row.referred.read()))
	if o.Sequence == 1 && h.row.openedAt.Valid && !h.row.openedAt.Time.Equal(o.DecidedAt) {
		h.check.violation(RuleWallet, o, "was not opened when its row says")
	}
}

// finish compares the wallet's row with what its operations made of it.
func (h *history) finish() {
	made, exists := h.audit.Wallet()
	if !exists {
		return // a row without operations is among the orphans
	}
	h.check.report.Wallets++
	about := ledger.Operation{Request: ledger.Request{Wallet: h.wallet}}
	switch {
	case h.stored == nil:
		h.check.violation(RuleWallet, about, "has operations and no row")
	case *h.stored != made:
		h.check.violation(RuleWallet, about, "is not what its operations made of it")
	}
}

// operation checks what one row says by itself, and notes what else is wrong.
func (p *partitionCheck) operation(o ledger.Operation, whole bool, invoiceKey pgtype.UUID, flaws []ledger.Flaw) {
	p.report.Operations++
	if o.Status() == ledger.StatusAccepted {
		p.report.Accepted++
	} else {
		p.report.Failed++
	}
	if o.Wallet.Partition(p.partitions) != p.partition || o.ID.Bucket() != o.Wallet.Bucket() {
		p.violation(RulePartition, o, "is not where the operation's wallet belongs")
	}
	if !whole {
		p.violation(RuleWhole, o, "has parts that do not go together, or that are none")
	}
	key, has := o.InvoiceKey()
	if has != invoiceKey.Valid || has && invoiceKey.Bytes != key {
		p.violation(RuleInvoiceKey, o, "does not follow from merchant and invoice")
	}
	for _, flaw := range flaws {
		p.violation(flaw.Rule, o, "%s", flaw.Detail)
	}
}
