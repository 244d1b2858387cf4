package postgres

import (
	"bytes"
	"context"
	"math/big"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

// auditRow receives an operation, its wallet's row, and the accepted charge of
// its invoice.
type auditRow struct {
	operationRow
	invoiceKey                    []byte
	client                        pgtype.UUID
	currency, status              pgtype.Text
	balance, creditLimit, lastSeq pgtype.Int8
	lastDigest                    []byte
	openedAt                      pgtype.Timestamptz
	charged                       pgtype.UUID
	chargedSequence               pgtype.Int8
}

func (r *auditRow) targets() []any {
	return r.operationRow.targets(&r.invoiceKey, &r.client, &r.currency, &r.status, &r.balance, &r.creditLimit, &r.lastSeq,
		&r.lastDigest, &r.openedAt, &r.charged, &r.chargedSequence)
}

// stored is the wallet's row; nil if there is none.
func (r *auditRow) stored(id ledger.WalletID) *ledger.Wallet {
	if !r.client.Valid {
		return nil
	}
	w := ledger.Wallet{
		ID: id, Client: r.client.Bytes, Currency: ledger.Currency(r.currency.String), Status: ledger.WalletStatus(r.status.String),
		Balance: r.balance.Int64, CreditLimit: r.creditLimit.Int64, Sequence: r.lastSeq.Int64,
	}
	copy(w.Digest[:], r.lastDigest)
	return &w
}

// earlier is the charge of the invoice that was accepted before the operation.
func (r *auditRow) earlier(o ledger.Operation) ledger.OperationID {
	if o.Sequence == 0 || !r.charged.Valid || r.chargedSequence.Int64 >= o.Sequence {
		return ledger.OperationID{}
	}
	return r.charged.Bytes
}

// operations audits wallet after wallet.
func (p *partitionCheck) operations(ctx context.Context, tx pgx.Tx) error {
	var row auditRow
	var audit ledger.Audit
	var wallet ledger.WalletID
	var stored *ledger.Wallet
	finish := func() { p.wallet(&audit, wallet, stored) }
	err := forEach(ctx, tx, verifyOperationsSQL, []any{p.partition}, row.targets(), func() {
		o := row.operation()
		if o.Wallet != wallet {
			finish()
			audit, wallet, stored = ledger.Audit{}, o.Wallet, row.stored(o.Wallet)
		}
		p.operation(o, row.invoiceKey)
		if o.Sequence == 1 && row.openedAt.Valid && !row.openedAt.Time.Equal(o.DecidedAt) {
			p.violation(RuleWallet, o, "was not opened when its row says")
		}
		for _, flaw := range audit.Check(o, row.earlier(o)) {
			p.violation(flaw.Rule, o, "%s", flaw.Detail)
		}
	})
	finish()
	return err
}

// operation checks what one row says by itself, and adds up what it moved.
func (p *partitionCheck) operation(o ledger.Operation, invoiceKey []byte) {
	p.report.Operations++
	if o.Status() == ledger.StatusAccepted {
		p.report.Accepted++
	} else {
		p.report.Failed++
	}
	if o.Wallet.Partition(p.partitions) != p.partition || o.ID.Bucket() != o.Wallet.Bucket() {
		p.violation(RulePartition, o, "is not where the operation's wallet belongs")
	}
	key, has := o.InvoiceKey()
	if has && !bytes.Equal(key[:], invoiceKey) || !has && invoiceKey != nil {
		p.violation(RuleInvoiceKey, o, "does not follow from merchant and invoice")
	}
	if m := o.Movement(); m.Amount != 0 {
		amount := big.NewInt(m.Amount)
		m.Amount = 0
		if sum := p.moved[m]; sum != nil {
			sum.Add(sum, amount)
		} else {
			p.moved[m] = amount
		}
	}
}

// wallet compares a wallet's row with what its operations made of it.
func (p *partitionCheck) wallet(audit *ledger.Audit, id ledger.WalletID, stored *ledger.Wallet) {
	made, exists := audit.Wallet()
	about := ledger.Operation{Request: ledger.Request{Wallet: id}}
	switch {
	case exists && stored == nil:
		p.report.Wallets++
		p.violation(RuleWallet, about, "has operations and no row")
	case exists && *stored != made:
		p.report.Wallets++
		p.violation(RuleWallet, about, "is not what its operations made of it")
	case exists:
		p.report.Wallets++
	}
	// A row without operations is among the orphans.
}
