package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

var (
	errNotOurs = errors.New("the record is not one of ours")
	errText    = errors.New("must be a string")
	errInteger = errors.New("must be an integer")
	errTime    = errors.New("must be an RFC 3339 time in UTC")
)

// Decode is a [processor.Decode]: it fails where the record does not say its
// version, its ID and its identity, each once, and says in Fault why a record of
// ours is not a request. Of a newer version it reads no more than those.
func Decode(r processor.Record) (processor.Decoded, error) {
	m, err := readMembers(r.Value)
	if err != nil {
		return processor.Decoded{}, err
	}
	d, err := m.identity()
	if err != nil || d.Version > processor.Version {
		return d, err
	}
	request, err := m.request(d)
	if err != nil {
		d.Fault = err
		return d, nil
	}
	d.Request = request
	return d, nil
}

// members are the raw values of a record's JSON object, and what is wrong with
// its names.
type members struct {
	version, id, kind, merchant, wallet, source, value jsontext.Value
	amount, currency, invoice, description, metadata   jsontext.Value
	applyBefore, receivedAt                            jsontext.Value
	fault                                              error // of a name that is no part of the identity
}

func (m *members) field(name string) (v *jsontext.Value, identity bool) {
	switch name {
	case fieldVersion:
		return &m.version, true
	case fieldID:
		return &m.id, true
	case fieldKind:
		return &m.kind, true
	case fieldMerchant:
		return &m.merchant, true
	case fieldWallet:
		return &m.wallet, true
	case fieldSource:
		return &m.source, true
	case fieldValue:
		return &m.value, true
	case fieldAmount:
		return &m.amount, false
	case fieldCurrency:
		return &m.currency, false
	case fieldInvoice:
		return &m.invoice, false
	case fieldDescription:
		return &m.description, false
	case fieldMetadata:
		return &m.metadata, false
	case fieldApplyBefore:
		return &m.applyBefore, false
	case fieldReceivedAt:
		return &m.receivedAt, false
	}
	return nil, false
}

// readMembers splits the object. Names are exact in case. What makes only the
// rest of the record doubtful (unknown and repeated names, text that is not
// UTF-8) is kept as a fault; a repeated part of the identity is no identity.
func readMembers(text []byte) (members, error) {
	var m members
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return m, fmt.Errorf("%w: the value is not a JSON object", errNotOurs)
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return m, fmt.Errorf("%w: the value is not JSON", errNotOurs)
		}
		name := t.String()
		v, err := d.ReadValue()
		if err != nil {
			return m, fmt.Errorf("%w: the value is not JSON", errNotOurs)
		}
		at, identity := m.field(name)
		switch {
		case at == nil:
			m.fault = errors.New("the record has a field that is not known")
		case *at != nil && identity:
			return m, fmt.Errorf("%w: %s is there twice", errNotOurs, name)
		case *at != nil:
			m.fault = fmt.Errorf("%s is there twice", name)
		default:
			end := d.InputOffset()
			*at = text[end-int64(len(v)) : end : end] // v itself is good only until the next read
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return m, fmt.Errorf("%w: the value is not JSON", errNotOurs)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: something follows the JSON object", errNotOurs)
	}
	if m.fault == nil && !utf8.Valid(text) {
		m.fault = errors.New("the record is not UTF-8")
	}
	return m, nil
}

// identity reads what every version says.
func (m *members) identity() (processor.Decoded, error) {
	var d processor.Decoded
	version, err := integer(m.version)
	if err != nil || version < 1 || version > 1<<30 {
		return d, fmt.Errorf("%w: it does not say its version", errNotOurs)
	}
	var texts [6]string
	for i, part := range []struct {
		name string
		raw  jsontext.Value
	}{
		{fieldID, m.id},
		{fieldKind, m.kind},
		{fieldWallet, m.wallet},
		{fieldSource, m.source},
		{fieldValue, m.value},
		{fieldMerchant, m.merchant},
	} {
		if part.raw == nil && part.name == fieldMerchant {
			continue // the operator asked
		}
		if texts[i], err = text(part.raw); err != nil || texts[i] == "" || !utf8.Valid(part.raw) {
			return d, fmt.Errorf("%w: it does not say its %s", errNotOurs, part.name)
		}
	}
	d.Version = int(version)
	if d.ID, err = ledger.ParseOperationID(texts[0]); err != nil {
		return processor.Decoded{}, fmt.Errorf("%w: id: %w", errNotOurs, err)
	}
	d.Identity = ledger.Identity{Kind: ledger.Kind(texts[1]), Source: ledger.Source(texts[3]), Value: texts[4]}
	if d.Identity.Wallet, err = ledger.ParseWalletID(texts[2]); err != nil {
		return processor.Decoded{}, fmt.Errorf("%w: wallet_id: %w", errNotOurs, err)
	}
	if m.merchant != nil {
		if d.Identity.Merchant, err = ledger.ParseMerchantID(texts[5]); err != nil {
			return processor.Decoded{}, fmt.Errorf("%w: merchant_id: %w", errNotOurs, err)
		}
	}
	return d, nil
}

// request reads the rest and judges the whole. An error names the field and
// never echoes its value.
func (m *members) request(d processor.Decoded) (ledger.Request, error) {
	r := ledger.Request{
		ID: d.ID, Kind: d.Identity.Kind, Wallet: d.Identity.Wallet, Merchant: d.Identity.Merchant,
		Metadata: ledger.Metadata(m.metadata),
	}
	if d.Identity.Source == ledger.SourceKey {
		r.IdempotencyKey = d.Identity.Value
	}
	err := m.fault
	note := func(name string, e error) {
		if e != nil && err == nil {
			err = fmt.Errorf("%s %w", name, e)
		}
	}
	var e error
	if m.amount != nil {
		r.Amount, e = integer(m.amount)
		note(fieldAmount, e)
	}
	for _, f := range []struct {
		name string
		raw  jsontext.Value
		set  func(string)
	}{
		{fieldCurrency, m.currency, func(s string) { r.Currency = ledger.Currency(s) }},
		{fieldInvoice, m.invoice, func(s string) { r.Invoice = s }},
		{fieldDescription, m.description, func(s string) { r.Description = s }},
	} {
		if f.raw != nil {
			s, e := text(f.raw)
			note(f.name, e)
			f.set(s)
		}
	}
	if m.applyBefore != nil {
		r.ApplyBefore, e = parseTime(m.applyBefore)
		note(fieldApplyBefore, e)
	}
	if m.receivedAt != nil {
		r.ReceivedAt, e = parseTime(m.receivedAt)
		note(fieldReceivedAt, e)
	}
	if err != nil {
		return ledger.Request{}, err
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
	if r.Identity() != said {
		return errors.New("source and value are not those of the request")
	}
	return nil
}

// text reads a JSON string. Bytes that are not UTF-8 are replaced; whoever calls
// has noted them.
func text(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", errText
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && utf8.Valid(raw) {
		return "", errText
	}
	return string(b), nil
}

// integer reads a JSON number that is written as an integer.
func integer(raw jsontext.Value) (int64, error) {
	if raw.Kind() != '0' {
		return 0, errInteger
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, errInteger
	}
	return v, nil
}

// parseTime takes the one form that formatTime writes, so that no two readers
// can disagree. The zero time would mean that no time was said.
func parseTime(raw jsontext.Value) (time.Time, error) {
	s, err := text(raw)
	if err != nil {
		return time.Time{}, errTime
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() || formatTime(t) != s {
		return time.Time{}, errTime
	}
	return t.UTC(), nil
}
