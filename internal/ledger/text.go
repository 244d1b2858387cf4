package ledger

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength bounds the name of a client, a merchant or an API key, in characters.
const MaxNameLength = 200

// NameFaults says what is wrong with the name of a client, a merchant or an API
// key; nil if nothing is. The messages never echo the name.
func NameFaults(name string) []string {
	if name == "" {
		return []string{"must not be empty"}
	}
	var f faults
	f.label("", name, MaxNameLength)
	var messages []string
	for _, fault := range f {
		messages = append(messages, fault.Message)
	}
	return messages
}

// text is for people or machines to read: nothing is told apart by it.
func (f *faults) text(field, value string, limit int) {
	if !utf8.ValidString(value) {
		f.add(field, "must be UTF-8")
	}
	if utf8.RuneCountInString(value) > limit {
		f.add(field, fmt.Sprintf("must not be longer than %d characters", limit))
	}
	if hasControl(value) {
		f.add(field, "must not contain control characters")
	}
}

// label is text by which one thing is told from another: an invoice, a reference, an
// idempotency key, a name. Two of them that look alike to people must be the same, so
// it holds nothing that cannot be seen. That it is in Unicode's form NFC is for its
// readers to see to: the standard library does not know the form.
func (f *faults) label(field, value string, limit int) {
	f.text(field, value, limit)
	if value == "" {
		return
	}
	if value[0] == ' ' || value[len(value)-1] == ' ' {
		f.add(field, "must not begin or end with a blank")
	}
	if hasInvisible(value) {
		f.add(field, "must not contain invisible characters, nor blanks other than U+0020")
	}
}

func hasControl(text string) bool {
	for _, r := range text {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}

// hasInvisible reports whether the text holds a character that is not a control
// character and yet shows nothing.
func hasInvisible(text string) bool {
	for _, r := range text {
		if r > unicode.MaxASCII && unicode.In(r, Invisible()...) {
			return true
		}
	}
	return false
}

// Invisible are the characters beyond ASCII that show nothing and are no control
// characters: formats, separators besides U+0020, fillers, selectors of variants, and
// code points that are no characters.
func Invisible() []*unicode.RangeTable {
	return []*unicode.RangeTable{
		unicode.Cf, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
		unicode.Noncharacter_Code_Point,
	}
}
