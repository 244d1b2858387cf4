package ingest

import (
	"golang.org/x/text/unicode/norm"

	"github.com/monedero/monedero/internal/ledger"
)

// written is the text in Unicode's form NFC: an invoice, an idempotency key or a name
// is the same however the caller's keyboard composed its characters. What is stored,
// compared and hashed is this form.
func written(label string) string { return norm.NFC.String(label) }

// ReadName is the name of a client, a merchant or an API key as it is stored, and
// what is wrong with it; see [ledger.NameFaults].
func ReadName(text string) (name string, faults []string) {
	name = written(text)
	return name, ledger.NameFaults(name)
}
