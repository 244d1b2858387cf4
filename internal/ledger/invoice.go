package ledger

import "crypto/sha256"

// InvoiceKey is a 16-byte hash of merchant and invoice: what an index on
// invoices holds in place of their text.
type InvoiceKey [16]byte

// NewInvoiceKey hashes merchant and invoice.
func NewInvoiceKey(m MerchantID, invoice string) InvoiceKey {
	sum := sha256.Sum256(make(encoder, 0, sealBytes).bytes(m[:]).text(invoice))
	return InvoiceKey(sum[:16])
}

// InvoiceKey is the key of the request's invoice, and whether it has one.
func (r Request) InvoiceKey() (InvoiceKey, bool) {
	if r.Invoice == "" {
		return InvoiceKey{}, false
	}
	return NewInvoiceKey(r.Merchant, r.Invoice), true
}

// WalletInvoice is what is charged at most once: one merchant's invoice on one
// wallet.
type WalletInvoice struct {
	Wallet  WalletID
	Invoice InvoiceKey
}

// WalletInvoice is what the request charges at most once, and whether it has an
// invoice.
func (r Request) WalletInvoice() (WalletInvoice, bool) {
	key, has := r.InvoiceKey()
	return WalletInvoice{Wallet: r.Wallet, Invoice: key}, has
}
