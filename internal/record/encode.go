package record

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/monedero/monedero/internal/ledger"
)

// The headers of a record: CloudEvents 1.0 in binary mode, and the W3C trace
// context of whoever wrote it.
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderTime        = "ce_time"
	HeaderContentType = "content-type"
	HeaderTraceparent = "traceparent"
)

const (
	specVersion = "1.0"
	typePrefix  = "monedero."
	typeSuffix  = ".requested"
	eventSource = "/monedero/ingest"
	contentType = "application/json"
)

// The names in a record's value. Those up to "value" are the identity: they keep
// name and place in every version.
const (
	fieldVersion     = "version"
	fieldID          = "id"
	fieldKind        = "kind"
	fieldAskerRole   = "asker_role"
	fieldAskerID     = "asker_id"
	fieldMerchant    = "merchant_id"
	fieldWallet      = "wallet_id"
	fieldSource      = "source"
	fieldValue       = "value"
	fieldAskerKey    = "asker_key"
	fieldRefersTo    = "refers_to"
	fieldExpiresIn   = "expires_in"
	fieldRest        = "rest"
	fieldAmount      = "amount"
	fieldCurrency    = "currency"
	fieldInvoice     = "invoice"
	fieldReference   = "reference"
	fieldDescription = "description"
	fieldMetadata    = "metadata"
	fieldNote        = "note"
	fieldApplyBefore = "apply_before"
	fieldReceivedAt  = "received_at"
)

var errNotQueued = errors.New("operations of this kind do not travel through Kafka")

// Encode writes a request that has no [ledger.Request.Faults] as a record's value
// and headers. Absent fields are left out. It fails for a kind that is not queued
// and for text that is not UTF-8.
func Encode(r ledger.Request) (value []byte, headers []Header, err error) {
	if !r.Kind.Queued() {
		return nil, nil, errNotQueued
	}
	identity := r.Identity()
	w := writer{b: make([]byte, 0, 512)}
	w.raw(fieldVersion, strconv.Itoa(Version))
	w.text(fieldID, r.ID.String())
	w.text(fieldKind, string(identity.Kind))
	w.text(fieldAskerRole, string(identity.Asker.Role))
	if identity.Asker.Owner != [16]byte{} {
		w.text(fieldAskerID, identity.Asker.String())
	}
	if !identity.Merchant.IsZero() {
		w.text(fieldMerchant, identity.Merchant.String())
	}
	w.text(fieldWallet, identity.Wallet.String())
	w.text(fieldSource, string(identity.Source))
	w.text(fieldValue, identity.Value)
	if !r.Asker.Key.IsZero() {
		w.text(fieldAskerKey, r.Asker.Key.String())
	}
	if !r.Refers.IsZero() {
		w.text(fieldRefersTo, r.Refers.String())
	}
	if r.ExpiresIn != 0 {
		w.raw(fieldExpiresIn, strconv.FormatInt(r.ExpiresIn, 10))
	}
	w.optional(fieldRest, string(r.Rest))
	if r.Amount != 0 {
		w.raw(fieldAmount, strconv.FormatInt(r.Amount, 10))
	}
	w.optional(fieldCurrency, string(r.Currency))
	w.optional(fieldInvoice, r.Invoice)
	w.optional(fieldReference, r.Reference)
	w.optional(fieldDescription, r.Description)
	if r.Metadata != "" {
		w.raw(fieldMetadata, string(r.Metadata))
	}
	w.optional(fieldNote, r.Note)
	if !r.ApplyBefore.IsZero() {
		w.text(fieldApplyBefore, formatTime(r.ApplyBefore))
	}
	if !r.ReceivedAt.IsZero() {
		w.text(fieldReceivedAt, formatTime(r.ReceivedAt))
	}
	w.b = append(w.b, '}')
	if w.err != nil {
		return nil, nil, fmt.Errorf("encode request: %w", w.err)
	}
	headers = []Header{
		{Key: HeaderSpecVersion, Value: []byte(specVersion)},
		{Key: HeaderID, Value: []byte(r.ID.String())},
		{Key: HeaderType, Value: []byte(typePrefix + string(r.Kind) + typeSuffix)},
		{Key: HeaderSource, Value: []byte(eventSource)},
		{Key: HeaderContentType, Value: []byte(contentType)},
	}
	if !r.ReceivedAt.IsZero() {
		headers = append(headers, Header{Key: HeaderTime, Value: []byte(formatTime(r.ReceivedAt))})
	}
	return w.b, headers, nil
}

// writer writes the members of one JSON object.
type writer struct {
	b   []byte
	err error
}

func (w *writer) name(name string) {
	if len(w.b) == 0 {
		w.b = append(w.b, '{')
	} else {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) raw(name, value string) {
	w.name(name)
	w.b = append(w.b, value...)
}

func (w *writer) text(name, value string) {
	w.name(name)
	var err error
	if w.b, err = jsontext.AppendQuote(w.b, value); err != nil && w.err == nil {
		w.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func formatTime(t time.Time) string { return string(appendTime(nil, t)) }

func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.RFC3339Nano) }
