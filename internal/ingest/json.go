package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxFaults bounds the faults that one answer lists.
const maxFaults = 100

// integer is a JSON number without sign of being anything but an integer.
var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// instant is the form of a time in RFC 3339: package time takes more than that.
var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// decode reads a body strictly into T: names exact in case and unique, none
// that T does not have, no null, no control characters in any string. It fails
// where the text is not JSON, or not UTF-8; everything else that is wrong is a
// fault with its place, all of them at once. Fields at fault stay zero. An empty
// body is an empty object.
//
// The fields of T are string, int64, time.Time and map[string]string, named by
// their json tags.
func decode[T any](body []byte) (T, []Fault, error) {
	var into T
	if len(body) == 0 {
		return into, nil, nil
	}
	if !utf8.Valid(body) {
		return into, nil, refuse(CodeMalformedJSON, "the body is not UTF-8")
	}
	d := decoder{json: jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))}
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
	faults []Fault
}

func (d *decoder) fault(place, message string) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, Fault{Location: place, Message: message})
	}
}

func (d *decoder) body(into reflect.Value) error {
	if d.json.PeekKind() != '{' {
		d.fault("body", "must be an object")
		return d.json.SkipValue()
	}
	return d.object("body", func(name, place string, again bool) error {
		field, ok := fieldNamed(into, name)
		switch {
		case !ok:
			d.fault(place, unknownName(into.Type(), name))
		case again:
			d.fault(place, "must not appear twice")
		default:
			return d.value(place, field)
		}
		return d.json.SkipValue()
	})
}

// object reads an object and hands each member over, with its place and whether
// its name was there before.
func (d *decoder) object(place string, member func(name, place string, again bool) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.json.PeekKind() != '}' {
		token, err := d.json.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		at := place
		if hasControl(name) {
			d.fault(place, "must not have control characters in a name")
		} else {
			at = safePlace(place + "." + name)
		}
		if err := member(name, at, seen[name]); err != nil {
			return err
		}
		seen[name] = true
	}
	_, err := d.json.ReadToken()
	return err
}

func (d *decoder) value(place string, into reflect.Value) error {
	switch v := into.Addr().Interface().(type) {
	case *string:
		text, _, err := d.text(place, "must be a string")
		*v = text
		return err
	case *int64:
		return d.integer(place, v)
	case *time.Time:
		return d.time(place, v)
	case *map[string]string:
		return d.entries(place, v)
	default:
		panic("a body has a field of a type that cannot be decoded: " + into.Type().String())
	}
}

// text reads a string; ok is false if it has a fault.
func (d *decoder) text(place, want string) (text string, ok bool, err error) {
	if d.json.PeekKind() != '"' {
		d.fault(place, want)
		return "", false, d.json.SkipValue()
	}
	token, err := d.json.ReadToken()
	if err != nil {
		return "", false, err
	}
	if text = token.String(); hasControl(text) {
		d.fault(place, "must not contain control characters")
		return "", false, nil
	}
	return text, true, nil
}

// integer reads a number. One beyond int64 becomes the nearest: the rules then
// say what the limits are.
func (d *decoder) integer(place string, into *int64) error {
	if d.json.PeekKind() != '0' {
		d.fault(place, "must be an integer")
		return d.json.SkipValue()
	}
	value, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	if !integer.Match(value) {
		d.fault(place, "must be an integer, without fraction and exponent")
		return nil
	}
	*into, _ = strconv.ParseInt(string(value), 10, 64)
	return nil
}

func (d *decoder) time(place string, into *time.Time) error {
	const want = "must be a time as in RFC 3339"
	text, ok, err := d.text(place, want)
	if !ok || err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	// The zero time means "no time" everywhere else: it cannot be asked for.
	if err != nil || !instant.MatchString(text) || t.UTC().Truncate(time.Microsecond).IsZero() {
		d.fault(place, want)
		return nil
	}
	*into = t.UTC()
	return nil
}

func (d *decoder) entries(place string, into *map[string]string) error {
	if d.json.PeekKind() != '{' {
		d.fault(place, "must be a flat object of strings")
		return d.json.SkipValue()
	}
	*into = map[string]string{}
	return d.object(place, func(name, at string, again bool) error {
		if again {
			d.fault(at, "must not appear twice")
			return d.json.SkipValue()
		}
		text, ok, err := d.text(at, "must be a string")
		if ok {
			(*into)[name] = text
		}
		return err
	})
}

func fieldNamed(body reflect.Value, name string) (reflect.Value, bool) {
	for i := range body.NumField() {
		if wireName(body.Type().Field(i)) == name {
			return body.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func unknownName(body reflect.Type, name string) string {
	for i := range body.NumField() {
		if field := wireName(body.Field(i)); strings.EqualFold(field, name) {
			return "is not a field; names are exact in case: " + field
		}
	}
	return "is not a field of this request"
}

func wireName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func hasControl(text string) bool { return strings.IndexFunc(text, unicode.IsControl) >= 0 }
