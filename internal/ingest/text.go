package ingest

import (
	"golang.org/x/text/unicode/norm"
)

// written is the text in Unicode's form NFC: an invoice, a reference or an
// idempotency key is the same however the caller's keyboard composed its characters. What is stored,
// compared and hashed is this form.
func written(label string) string { return norm.NFC.String(label) }
