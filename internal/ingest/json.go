package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxFaults bounds the faults that one answer lists.
const maxFaults = 100

// instant is the form of a time in RFC 3339: package time takes more than that.
var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// decode reads a body strictly into T: names exact in case and unique, none
// that T does not have, no null, no control characters in any string. It fails
// where the text is not JSON, or not UTF-8; everything else that is wrong is a
// fault with its place, all of them at once. Fields at fault stay zero. An empty
// body is an empty object. Empty is not absent: no field holds an empty text.
//
// The fields of T are string, int64, *int64 (nil: absent), time.Time, map[string]string and []string,
// named by their json tags; those that no tag lets be omitted are required. Those of a struct that
// is embedded are among them.
func decode[T any](keep *bodies, body []byte) (T, []Fault, error) {
	var into T
	d := decoder{fields: keep.fieldsOf(reflect.TypeFor[T]())}
	if len(body) == 0 {
		d.require(0)
		return into, d.faults, nil
	}
	if !utf8.Valid(body) {
		return into, nil, refuse(CodeMalformedJSON, "the body is not UTF-8")
	}
	r, _ := keep.readers.Get().(*reader)
	if r == nil {
		r = new(reader)
	}
	defer keep.readers.Put(r)
	r.text.Reset(body)
	r.json.Reset(&r.text, jsontext.AllowDuplicateNames(true))
	d.json = &r.json
	err := d.body(reflect.ValueOf(&into).Elem())
	if err == nil {
		_, err = d.json.ReadToken()
		if errors.Is(err, io.EOF) {
			return into, d.faults, nil
		}
		if err == nil {
			err = refuse(CodeMalformedJSON, "the body holds more than one value")
		}
	}
	return into, nil, malformed(err)
}

// bodies is what decoding keeps, because it costs more than to decode. The zero
// value is ready; it is safe for concurrent use.
type bodies struct {
	readers sync.Pool // of *reader
	fields  sync.Map  // reflect.Type to fields
}

type reader struct {
	text bytes.Reader
	json jsontext.Decoder
}

// malformed says where the text stops being JSON. The library's own text would
// show the character it met there.
func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		return refuse(CodeMalformedJSON, fmt.Sprintf("the body is not JSON at byte %d", syntax.ByteOffset))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(CodeMalformedJSON, "the body ends too early")
	}
	return err
}

type decoder struct {
	json   *jsontext.Decoder
	fields fields
	faults []Fault
}

// fields are those of a body, of which there are at most 64: their names on the wire,
// in their order, where they are, and a bit for each that is required.
type fields struct {
	names    []string
	places   [][]int
	required uint64
}

// require notes the required fields that were not seen.
func (d *decoder) require(seen uint64) {
	for i, name := range d.fields.names {
		if d.fields.required&^seen&(1<<i) != 0 {
			d.fault(spot{"body", name, true}, "is required")
		}
	}
}

// spot is where in the body a value is: at the place, or if member is set, under
// the name in the object there. It becomes text only where there is a fault.
type spot struct {
	place, name string
	member      bool
}

func (s spot) String() string {
	if !s.member {
		return s.place
	}
	return safePlace(s.place + "." + s.name)
}

func (d *decoder) fault(at spot, message string) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, Fault{Location: at.String(), Message: message})
	}
}

func (d *decoder) body(into reflect.Value) error {
	at := spot{place: "body"}
	if d.json.PeekKind() != '{' {
		d.fault(at, "must be an object")
		return d.json.SkipValue()
	}
	var seen uint64 // a bit for each field
	err := d.object(at, func(name string, at spot) error {
		i := slices.Index(d.fields.names, name)
		switch {
		case i < 0:
			d.fault(at, unknownName(d.fields.names, name))
		case seen&(1<<i) != 0:
			d.fault(at, "must not appear twice")
		default:
			seen |= 1 << i
			return d.value(at, into.FieldByIndex(d.fields.places[i]))
		}
		return d.json.SkipValue()
	})
	d.require(seen)
	return err
}

// object reads an object and hands each member over, with its place.
func (d *decoder) object(at spot, member func(name string, at spot) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	place := at.String()
	for d.json.PeekKind() != '}' {
		token, err := d.json.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		inside := spot{place, name, true}
		if hasControl(name) {
			d.fault(at, "must not have control characters in a name")
			inside = at
		}
		if err := member(name, inside); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

func (d *decoder) value(at spot, into reflect.Value) error {
	switch v := into.Addr().Interface().(type) {
	case *string:
		text, ok, err := d.text(at, "must be a string")
		if ok && text == "" {
			d.fault(at, "must not be empty")
		}
		*v = text
		return err
	case *int64:
		return d.integer(at, v)
	case **int64:
		*v = new(int64)
		return d.integer(at, *v)
	case **bool:
		*v = new(bool)
		return d.boolean(at, *v)
	case *time.Time:
		return d.time(at, v)
	case *map[string]string:
		return d.entries(at, v)
	case *[]string:
		return d.texts(at, v)
	default:
		panic("a body has a field of a type that cannot be decoded: " + into.Type().String())
	}
}

// text reads a string; ok is false if it has a fault.
func (d *decoder) text(at spot, want string) (text string, ok bool, err error) {
	if d.json.PeekKind() != '"' {
		d.fault(at, want)
		return "", false, d.json.SkipValue()
	}
	token, err := d.json.ReadToken()
	if err != nil {
		return "", false, err
	}
	if text = token.String(); hasControl(text) {
		d.fault(at, "must not contain control characters")
		return "", false, nil
	}
	return text, true, nil
}

// integer reads a number. One beyond int64 becomes the nearest: the rules then
// say what the limits are.
func (d *decoder) integer(at spot, into *int64) error {
	if d.json.PeekKind() != '0' {
		d.fault(at, "must be an integer")
		return d.json.SkipValue()
	}
	value, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	if bytes.ContainsAny(value, ".eE") {
		d.fault(at, "must be an integer, without fraction and exponent")
		return nil
	}
	*into, _ = strconv.ParseInt(string(value), 10, 64)
	return nil
}

func (d *decoder) boolean(at spot, into *bool) error {
	switch d.json.PeekKind() {
	case 't', 'f':
	default:
		d.fault(at, "must be true or false")
		return d.json.SkipValue()
	}
	token, err := d.json.ReadToken()
	*into = err == nil && token.Bool()
	return err
}

func (d *decoder) time(at spot, into *time.Time) error {
	const want = "must be a time as in RFC 3339"
	text, ok, err := d.text(at, want)
	if !ok || err != nil {
		return err
	}
	t, ok := parseInstant(text)
	if !ok {
		d.fault(at, want)
		return nil
	}
	*into = t
	return nil
}

// parseInstant reads a time. The zero time means "no time" everywhere else: it cannot be asked for.
func parseInstant(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	return t.UTC(), err == nil && instant.MatchString(text) && !t.UTC().Truncate(time.Microsecond).IsZero()
}

func (d *decoder) entries(at spot, into *map[string]string) error {
	if d.json.PeekKind() != '{' {
		d.fault(at, "must be a flat object of strings")
		return d.json.SkipValue()
	}
	*into = map[string]string{}
	var refused []string
	err := d.object(at, func(name string, at spot) error {
		if _, again := (*into)[name]; again {
			d.fault(at, "must not appear twice")
			return d.json.SkipValue()
		}
		text, ok, err := d.text(at, "must be a string")
		(*into)[name] = text
		if !ok {
			refused = append(refused, name)
		}
		return err
	})
	for _, name := range refused {
		delete(*into, name)
	}
	return err
}

// texts reads an array of strings. Those at fault are empty in it.
func (d *decoder) texts(at spot, into *[]string) error {
	const want = "must be an array of strings"
	if d.json.PeekKind() != '[' {
		d.fault(at, want)
		return d.json.SkipValue()
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	place := at.String()
	for d.json.PeekKind() != ']' {
		at := spot{place: place + "[" + strconv.Itoa(len(*into)) + "]"}
		text, ok, err := d.text(at, want)
		if err != nil {
			return err
		}
		if ok && text == "" {
			d.fault(at, "must not be empty")
		}
		*into = append(*into, text)
	}
	_, err := d.json.ReadToken()
	return err
}

func unknownName(names []string, name string) string {
	for _, known := range names {
		if strings.EqualFold(known, name) {
			return "is not a field; names are exact in case: " + known
		}
	}
	return "is not a field of this request"
}

func (k *bodies) fieldsOf(body reflect.Type) fields {
	if known, ok := k.fields.Load(body); ok {
		return known.(fields)
	}
	var f fields
	for _, field := range reflect.VisibleFields(body) {
		if field.Anonymous { // its own fields follow
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if options == "" {
			f.required |= 1 << len(f.names)
		}
		f.names, f.places = append(f.names, name), append(f.places, field.Index)
	}
	k.fields.Store(body, f)
	return f
}

func hasControl(text string) bool { return strings.IndexFunc(text, unicode.IsControl) >= 0 }
