package ledger_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func TestMetadataText(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		entries map[string]string
		want    ledger.Metadata
	}{
		{"none", nil, ""},
		{"empty", map[string]string{}, ""},
		{"sorted by bytes", map[string]string{"b": "2", "a": "1", "B": "3", "é": "4"}, `{"B":"3","a":"1","b":"2","é":"4"}`},
		{"empty value", map[string]string{"a": ""}, `{"a":""}`},
		{"quotes", map[string]string{`a"b`: `c\d`}, `{"a\"b":"c\\d"}`},
		{"no escapes for HTML", map[string]string{"a": "<b>&</b>/"}, `{"a":"<b>&</b>/"}`},
		{"line separators", map[string]string{"a": "\u2028\u2029"}, `{"a":"\u2028\u2029"}`},
		{"beyond the basic plane", map[string]string{"a": "\U0001F4B6"}, "{\"a\":\"\U0001F4B6\"}"},
		{"the replacement character", map[string]string{"a": "\ufffd"}, "{\"a\":\"\ufffd\"}"},
		{"DEL", map[string]string{"a": "\x7f"}, "{\"a\":\"\x7f\"}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := ledger.NewMetadata(row.entries)
			if got != row.want {
				t.Fatalf("text %s, want %s", got, row.want)
			}
			back, err := got.Map()
			if err != nil {
				t.Fatalf("read again: %v", err)
			}
			if len(row.entries) > 0 {
				if diff := cmp.Diff(row.entries, back); diff != "" {
					t.Errorf("read again (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestMetadataRefusesWhatIsNotCanonical(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]ledger.Metadata{
		"null":                      `null`,
		"empty object":              `{}`,
		"null value":                `{"a":null}`,
		"number":                    `{"a":1}`,
		"boolean":                   `{"a":true}`,
		"nesting":                   `{"a":{"b":"c"}}`,
		"list":                      `["a"]`,
		"list as value":             `{"a":["b"]}`,
		"string":                    `"a"`,
		"not JSON":                  `a`,
		"blank":                     ` `,
		"blank within":              `{"a": "b"}`,
		"blank before":              ` {"a":"b"}`,
		"newline after":             "{\"a\":\"b\"}\n",
		"a second value":            `{"a":"b"}{"a":"b"}`,
		"out of order":              `{"b":"1","a":"2"}`,
		"a name twice":              `{"a":"1","a":"2"}`,
		"a name twice, same value":  `{"a":"1","a":"1"}`,
		"a name twice, escaped":     `{"a":"1","\u0061":"1"}`,
		"a needless escape":         `{"a":"\u0062"}`,
		"an escaped slash":          `{"a":"\/"}`,
		"escapes for HTML":          `{"a":"\u003c"}`,
		"escape in capitals":        `{"a":"\U2028"}`,
		"raw line separator":        "{\"a\":\"\u2028\"}",
		"escaped replacement":       `{"a":"\ufffd"}`,
		"lone surrogate":            `{"a":"\ud800"}`,
		"escaped surrogates":        `{"a":"\ud83d\udcb6"}`,
		"raw invalid UTF-8":         "{\"a\":\"\xff\"}",
		"raw invalid UTF-8 as name": "{\"\xff\":\"a\"}",
		"raw control character":     "{\"a\":\"\x01\"}",
		"byte order mark":           "\ufeff{\"a\":\"b\"}",
		"cut short":                 `{"a":"b"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m, err := text.Map(); err == nil {
				t.Errorf("%q was read as %v", text, m)
			}
		})
	}
}

// Bytes that are no UTF-8 must never become metadata that is: two different
// inputs would have one text.
func TestMetadataOfInvalidUTF8IsRefused(t *testing.T) {
	t.Parallel()
	for _, m := range []map[string]string{
		{"a": "\xff"}, {"\xff": "a"}, {"a": "b\xc3"}, {"\xfe": "1", "\xff": "2"}, {"a": "\xed\xa0\x80"},
	} {
		r := validCharge()
		r.Metadata = ledger.NewMetadata(m)
		if f := r.Faults(); len(f) == 0 {
			t.Errorf("%q became %q, without a fault", m, r.Metadata)
		}
	}
}

// Two maps have one text only if they are equal, and the text says the map.
func TestMetadataIsOneToOne(t *testing.T) {
	t.Parallel()
	texts := rapid.MapOf(rapid.StringN(0, 6, -1), rapid.StringN(0, 6, -1))
	rapid.Check(t, func(t *rapid.T) {
		a, b := texts.Draw(t, "a"), texts.Draw(t, "b")
		if same := cmp.Equal(a, b); same != (ledger.NewMetadata(a) == ledger.NewMetadata(b)) {
			t.Fatalf("equal maps: %t, but texts %s and %s", same, ledger.NewMetadata(a), ledger.NewMetadata(b))
		}
		back, err := ledger.NewMetadata(a).Map()
		if err != nil {
			t.Fatalf("read again: %v", err)
		}
		if len(a) > 0 && !cmp.Equal(a, back) {
			t.Fatal(cmp.Diff(a, back))
		}
	})
}

// FuzzMetadata: what is read is canonical and says the same to any JSON reader.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"", `{}`, `null`, `{"a":"b"}`, `{"a":"b","a":"c"}`, `{"a":"\u2028"}`, `{"a":"\ufffd"}`, "{\"a\":\"\xff\"}", `{"a":{}}`, `{"b":"","a":""}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ledger.Metadata(text).Map()
		if err != nil {
			return
		}
		if got := ledger.NewMetadata(m); string(got) != text {
			t.Fatalf("%q was read, but its canonical text is %q", text, got)
		}
		if text == "" {
			return
		}
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\t\x00") {
			t.Fatalf("%q was read", text)
		}
		var generic map[string]any
		if err := json.Unmarshal([]byte(text), &generic); err != nil {
			t.Fatalf("%q was read, but is no JSON: %v", text, err)
		}
		if len(generic) == 0 || len(generic) != len(m) {
			t.Fatalf("%q has %d members, %d were read", text, len(generic), len(m))
		}
		for k, v := range generic {
			if v != m[k] {
				t.Fatalf("%q: member %q is %v, %q was read", text, k, v, m[k])
			}
		}
	})
}

// TestMetadataIsReadAsJSONReadsIt holds every reading, of text that is nearly
// canonical, against the standard library's.
func TestMetadataIsReadAsJSONReadsIt(t *testing.T) {
	t.Parallel()
	parts := rapid.SampledFrom([]string{
		`{`, `}`, `"`, `:`, `,`, `{"`, `":"`, `","`, `"}`, `\`, `\"`, `\u0061`, `\u2028`, "a", "b", "é", "<", " ", "\u2028", "\u2029", "\x7f", "\x1f", "\xff", "null", "1",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(parts, 0, 12).Draw(t, "parts"), "")
		if rapid.Bool().Draw(t, "wrapped") {
			text = `{"` + text + `"}`
		}
		var want map[string]string
		canonical := text == "" || json.Unmarshal([]byte(text), &want) == nil && len(want) > 0 && string(ledger.NewMetadata(want)) == text
		got, err := ledger.Metadata(text).Map()
		if (err == nil) != canonical {
			t.Fatalf("%q: %v, canonical: %t", text, err, canonical)
		}
		if err == nil && !maps.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}
