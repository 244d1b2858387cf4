package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Metadata is a flat map of strings as canonical JSON text: keys sorted by their
// bytes, no white space, escaped only what JSON and JavaScript (U+2028, U+2029)
// ask for. Empty means: none. It is kept as text, so that what was sealed is
// what is read.
type Metadata string

// NewMetadata is the canonical text of the entries. Of entries that are not UTF-8
// it makes text that is not canonical, which [Request.Faults] refuses.
func NewMetadata(entries map[string]string) Metadata {
	if len(entries) == 0 {
		return ""
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(entries); err != nil {
		panic("a map of strings did not encode: " + err.Error()) // cannot happen
	}
	return Metadata(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}

var errMetadata = errors.New("metadata is not canonical")

// Map is the entries. It fails on text that is not canonical.
func (m Metadata) Map() (map[string]string, error) {
	list, err := m.entries()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	entries := make(map[string]string, len(list))
	for _, e := range list {
		entries[e.key] = e.value
	}
	return entries, nil
}

// entry is one pair of strings.
type entry struct{ key, value string }

// entries are in the order of the text. It fails on text that is not canonical.
func (m Metadata) entries() ([]entry, error) {
	if m == "" {
		return nil, nil
	}
	if list, is := m.plain(); is {
		return list, nil
	}
	var decoded map[string]string
	if err := json.Unmarshal([]byte(m), &decoded); err != nil {
		return nil, errMetadata
	}
	if NewMetadata(decoded) != m {
		return nil, errMetadata
	}
	list := make([]entry, 0, len(decoded))
	for _, key := range slices.Sorted(maps.Keys(decoded)) {
		list = append(list, entry{key, decoded[key]})
	}
	return list, nil
}

// plain reads what most metadata is: canonical text in which nothing has to be
// escaped. Of other text it only says that it is not plain.
func (m Metadata) plain() ([]entry, bool) {
	rest, is := strings.CutPrefix(string(m), "{")
	if !is || !utf8.ValidString(rest) || strings.Contains(rest, "\u2028") || strings.Contains(rest, "\u2029") {
		return nil, false
	}
	list := make([]entry, 0, strings.Count(rest, `":"`))
	for {
		var e entry
		if e.key, rest, is = plainString(rest); !is || len(list) > 0 && e.key <= list[len(list)-1].key {
			return nil, false
		}
		if rest, is = strings.CutPrefix(rest, ":"); !is {
			return nil, false
		}
		if e.value, rest, is = plainString(rest); !is {
			return nil, false
		}
		list = append(list, e)
		if rest == "}" {
			return list, true
		}
		if rest, is = strings.CutPrefix(rest, ","); !is {
			return nil, false
		}
	}
}

// plainString takes a JSON string without escapes off the text.
func plainString(text string) (s, rest string, is bool) {
	if text == "" || text[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[1:i], text[i+1:], true
		case c == '\\' || c < ' ':
			return "", "", false
		}
	}
	return "", "", false
}
