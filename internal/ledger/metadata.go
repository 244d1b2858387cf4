package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
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
	if m == "" {
		return nil, nil
	}
	var entries map[string]string
	if err := json.Unmarshal([]byte(m), &entries); err != nil {
		return nil, errMetadata
	}
	if NewMetadata(entries) != m {
		return nil, errMetadata
	}
	return entries, nil
}

func sortedKeys(entries map[string]string) []string {
	return slices.Sorted(maps.Keys(entries))
}
