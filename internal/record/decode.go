package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	errNotOurs = errors.New("the record is not one of ours")
	errText    = errors.New("must be a string")
	errNotNFC  = errors.New("the key, the invoice or the reference is not in Unicode's form NFC")
	errInteger = errors.New("must be an integer")
	errTime    = errors.New("must be an RFC 3339 time in UTC")
)

// Decode reads a record as one of ours. It fails where the record does not say its
// version, its ID and its identity, each once. Fault says why a record of ours is not a
// whole request. Of a newer version, and of a record with a field, kind or source that
// is not known, it reads version, ID and identity alone, and says why in Unknown.
func Decode(r Record) (Decoded, error) {
	m, err := readMembers(r.Value)
	if err != nil {
		return Decoded{}, err
	}
	d, err := m.identity()
	if err != nil || d.Version > Version {
		return d, err
	}
	if d.Unknown = m.news(d.Identity); d.Unknown != nil {
		return d, nil
	}
	request, err := m.request(d)
	if err != nil {
		d.Fault = err
		return d, nil
	}
	d.Request = request
	return d, nil
}

// raw is a JSON value as it was written; empty: absent, which reads as zero. All
// values of a record, and the text read from them, are parts of one string: a
// record costs one allocation for them instead of one each.
type raw string

// members are the values of a record's JSON object, and what is wrong with its
// names.
type members struct {
	version, id, kind, askerRole, askerID raw
	merchant, wallet, source, value       raw
	askerKey, refersTo, expiresIn, rest   raw
	amount, currency, invoice, reference  raw
	description, metadata, note           raw
	applyBefore, receivedAt               raw
	fault                                 error // of a name that is no part of the identity
	unknown                               error // the first name that is none of these
}

func (m *members) field(name string) (v *raw, identity bool) {
	switch name {
	case fieldVersion:
		return &m.version, true
	case fieldID:
		return &m.id, true
	case fieldKind:
		return &m.kind, true
	case fieldAskerRole:
		return &m.askerRole, true
	case fieldAskerID:
		return &m.askerID, true
	case fieldMerchant:
		return &m.merchant, true
	case fieldWallet:
		return &m.wallet, true
	case fieldSource:
		return &m.source, true
	case fieldValue:
		return &m.value, true
	case fieldAskerKey:
		return &m.askerKey, false
	case fieldRefersTo:
		return &m.refersTo, false
	case fieldExpiresIn:
		return &m.expiresIn, false
	case fieldRest:
		return &m.rest, false
	case fieldAmount:
		return &m.amount, false
	case fieldCurrency:
		return &m.currency, false
	case fieldInvoice:
		return &m.invoice, false
	case fieldReference:
		return &m.reference, false
	case fieldDescription:
		return &m.description, false
	case fieldMetadata:
		return &m.metadata, false
	case fieldNote:
		return &m.note, false
	case fieldApplyBefore:
		return &m.applyBefore, false
	case fieldReceivedAt:
		return &m.receivedAt, false
	}
	return nil, false
}

// readMembers splits the object. Names are exact in case. What makes only the
// rest of the record doubtful (repeated names, text that is not UTF-8) is kept as a
// fault, and a name that is not known beside it; a repeated part of the identity is
// no identity.
func readMembers(value []byte) (members, error) {
	var m members
	text := string(value)
	d := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return m, fmt.Errorf("%w: the value is not a JSON object", errNotOurs)
	}
	next := func() (raw, error) {
		v, err := d.ReadValue()
		if err != nil {
			return "", fmt.Errorf("%w: the value is not JSON", errNotOurs)
		}
		end := d.InputOffset()
		return raw(text[end-int64(len(v)) : end]), nil
	}
	for d.PeekKind() == '"' {
		quoted, err := next()
		if err != nil {
			return m, err
		}
		v, err := next()
		if err != nil {
			return m, err
		}
		name, _ := quoted.text()
		at, identity := m.field(name)
		switch {
		case at == nil:
			if m.unknown == nil {
				m.unknown = fmt.Errorf("the field %.40q", name)
			}
		case *at != "" && identity:
			return m, fmt.Errorf("%w: %s is there twice", errNotOurs, name)
		case *at != "":
			m.fault = fmt.Errorf("%s is there twice", name)
		default:
			*at = v
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return m, fmt.Errorf("%w: the value is not JSON", errNotOurs)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: something follows the JSON object", errNotOurs)
	}
	if m.fault == nil && !utf8.ValidString(text) {
		m.fault = errors.New("the record is not UTF-8")
	}
	return m, nil
}

// identity reads what every version says.
func (m *members) identity() (Decoded, error) {
	version, err := m.version.integer()
	if err != nil || version < 1 || version > 1<<30 {
		return Decoded{}, fmt.Errorf("%w: it does not say its version", errNotOurs)
	}
	var texts [8]string
	for i, part := range [...]struct {
		name string
		raw  raw
	}{
		{fieldID, m.id},
		{fieldKind, m.kind},
		{fieldWallet, m.wallet},
		{fieldSource, m.source},
		{fieldValue, m.value},
		{fieldAskerRole, m.askerRole},
		{fieldMerchant, m.merchant},
		{fieldAskerID, m.askerID},
	} {
		if part.raw == "" && (part.name == fieldMerchant || part.name == fieldAskerID) {
			continue // it pays nobody, or the operator asked
		}
		if texts[i], err = part.raw.text(); err != nil || texts[i] == "" || !utf8.ValidString(string(part.raw)) {
			return Decoded{}, fmt.Errorf("%w: it does not say its %s", errNotOurs, part.name)
		}
	}
	d := Decoded{
		Version:  int(version),
		Identity: ledger.Identity{Kind: ledger.Kind(texts[1]), Source: ledger.Source(texts[3]), Value: texts[4]},
	}
	if d.ID, err = ledger.ParseOperationID(texts[0]); err != nil {
		return Decoded{}, fmt.Errorf("%w: id: %w", errNotOurs, err)
	}
	if d.Identity.Wallet, err = ledger.ParseWalletID(texts[2]); err != nil {
		return Decoded{}, fmt.Errorf("%w: wallet_id: %w", errNotOurs, err)
	}
	if m.merchant != "" {
		if d.Identity.Merchant, err = ledger.ParseMerchantID(texts[6]); err != nil {
			return Decoded{}, fmt.Errorf("%w: merchant_id: %w", errNotOurs, err)
		}
	}
	if d.Identity.Asker, err = ledger.ParseParty(ledger.Role(texts[5]), texts[7]); err != nil {
		return Decoded{}, fmt.Errorf("%w: asker: %w", errNotOurs, err)
	}
	return d, nil
}

// news is what a newer build wrote, if anything: it knew the secret, so it was one of
// ours, and may decide what we cannot.
func (m *members) news(i ledger.Identity) error {
	switch {
	case m.unknown != nil:
		return m.unknown
	case !i.Kind.Known():
		return fmt.Errorf("the kind %.40q", i.Kind)
	case !i.Asker.Role.Known():
		return fmt.Errorf("the role %.40q", i.Asker.Role)
	case i.Source != ledger.SourceKey && i.Source != ledger.SourceInvoice:
		return fmt.Errorf("the source %.40q", i.Source)
	}
	return nil
}

// request reads the rest and judges the whole. An error names the field and
// never echoes its value.
func (m *members) request(d Decoded) (ledger.Request, error) {
	r := ledger.Request{
		ID: d.ID, Kind: d.Identity.Kind, Asker: ledger.Asker{Party: d.Identity.Asker}, Wallet: d.Identity.Wallet,
		Merchant: d.Identity.Merchant, Metadata: ledger.Metadata(m.metadata),
	}
	if d.Identity.Source == ledger.SourceKey {
		r.IdempotencyKey = d.Identity.Value
	}
	fault := m.fault
	note := func(name string, err error) {
		if err != nil && fault == nil {
			fault = fmt.Errorf("%s %w", name, err)
		}
	}
	var err error
	if m.askerKey != "" {
		r.Asker.Key, err = m.askerKey.key()
		note(fieldAskerKey, err)
	}
	if m.refersTo != "" {
		r.Refers, err = m.refersTo.operation()
		note(fieldRefersTo, err)
	}
	r.ExpiresIn, err = m.expiresIn.integer()
	note(fieldExpiresIn, err)
	rest, err := m.rest.text()
	r.Rest = ledger.Rest(rest)
	note(fieldRest, err)
	r.Amount, err = m.amount.integer()
	note(fieldAmount, err)
	currency, err := m.currency.text()
	r.Currency = ledger.Currency(currency)
	note(fieldCurrency, err)
	r.Invoice, err = m.invoice.text()
	note(fieldInvoice, err)
	r.Reference, err = m.reference.text()
	note(fieldReference, err)
	r.Description, err = m.description.text()
	note(fieldDescription, err)
	r.Note, err = m.note.text()
	note(fieldNote, err)
	r.ApplyBefore, err = m.applyBefore.time()
	note(fieldApplyBefore, err)
	r.ReceivedAt, err = m.receivedAt.time()
	note(fieldReceivedAt, err)
	if fault != nil {
		return ledger.Request{}, fault
	}
	return r, judge(r, d.Identity)
}

// judge refuses what could not have been asked through the queue.
func judge(r ledger.Request, said ledger.Identity) error {
	if r.Kind.Known() && !r.Kind.Queued() {
		return errNotQueued
	}
	if faults := r.Faults(); len(faults) > 0 {
		return fmt.Errorf("%s %s", faults[0].Field, faults[0].Message)
	}
	// HTTP brings these into this form: in another one a record would be another request.
	for _, label := range [...]string{r.IdempotencyKey, r.Invoice, r.Reference} {
		if !norm.NFC.IsNormalString(label) {
			return errNotNFC
		}
	}
	if r.Identity() != said {
		return errors.New("source and value are not those of the request")
	}
	return nil
}

// text reads a JSON string. Bytes that are not UTF-8 are replaced; whoever calls
// has noted them.
func (v raw) text() (string, error) {
	switch {
	case v == "":
		return "", nil
	case v[0] != '"':
		return "", errText
	case strings.IndexByte(string(v), '\\') < 0 && utf8.ValidString(string(v)):
		return string(v[1 : len(v)-1]), nil
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil && utf8.ValidString(string(v)) {
		return "", errText
	}
	return string(b), nil
}

// key reads the ID of an API key.
func (v raw) key() (ledger.KeyID, error) {
	text, err := v.text()
	if err != nil {
		return ledger.KeyID{}, err
	}
	return ledger.ParseKeyID(text)
}

// operation reads the ID of an operation.
func (v raw) operation() (ledger.OperationID, error) {
	text, err := v.text()
	if err != nil {
		return ledger.OperationID{}, err
	}
	return ledger.ParseOperationID(text)
}

// integer reads a JSON number that is written as an integer.
func (v raw) integer() (int64, error) {
	if v == "" {
		return 0, nil
	}
	i, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, errInteger
	}
	return i, nil
}

// time takes the one form that formatTime writes, so that no two readers can
// disagree. The zero time would mean that no time was said.
func (v raw) time() (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	s, err := v.text()
	if err != nil {
		return time.Time{}, errTime
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	var room [len(time.RFC3339Nano)]byte
	if err != nil || t.IsZero() || string(appendTime(room[:0], t)) != s {
		return time.Time{}, errTime
	}
	return t.UTC(), nil
}
