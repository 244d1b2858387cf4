package ingest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

// The patterns of text, as ECMA 262 and the other dialects read them alike. The
// decoder and the rules enforce them, not the document.
const (
	noControl    = `[^\x00-\x1f\x7f-\x9f]`
	visibleASCII = `^[!-~]([ -~]*[!-~])?$`
	base32       = "[0-7][0-9a-hjkmnp-tv-z]{25}"
	digits       = "^-?[0-9]+$"
	cursorText   = "^[A-Za-z0-9_-]{102,}$"
	keyText      = "^mon_(merchant|client|operator)_key_" + base32 + "_[0-9A-Za-z]{49}$"
	// instantText is a time that the rules take: see instant.
	instantText  = `^(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`
	maxFacts     = 20 // of a change
	maxCompared  = 20 // numbers, or times, of one check
	currencyText = "^[A-Z]{3}$"
)

// ownID is an ID of ours; its prefix says of what.
var ownID = regexp.MustCompile(`^(op|wal|mer|cli|key|chg)_` + base32 + `$`)

// limit says of a field or a parameter of the name what the decoder and the rules
// take, if it is asked for, or else what an answer shows. Answers may grow: they promise no
// pattern of what somebody wrote.
func limit(name string, p *huma.Schema, asked bool) {
	p.Nullable = false // what has no value is left out
	if limitID(p) {
		return
	}
	if p.Type == huma.TypeInteger {
		limitInteger(name, p)
		return
	}
	if p.Type == huma.TypeObject || p.Type == huma.TypeArray {
		limitMany(name, p)
		return
	}
	text := func(most int, pattern string) {
		p.MinLength, p.MaxLength = ptr(1), &most
		if asked {
			p.Pattern = pattern
		}
	}
	switch name {
	case "amount", "charged", "refunded", "net":
		p.Pattern = digits // a sum that may pass what an integer holds
	case "currency":
		p.Pattern = currencyText
		if asked {
			p.Pattern, p.Enum = "", values(ledger.Currencies())
		}
	case "invoice":
		text(ledger.MaxInvoiceLength, labelPattern())
	case "reference":
		text(ledger.MaxReferenceLength, labelPattern())
	case "name", "merchant_name":
		text(ledger.MaxNameLength, labelPattern())
	case "Idempotency-Key", "idempotency_key":
		text(ledger.MaxKeyLength, visibleASCII)
	case "description":
		text(ledger.MaxDescriptionLength, "^"+noControl+"+$")
	case "note":
		text(ledger.MaxNoteLength, "^"+noControl+"+$")
	case "about":
		text(maxAbout, visibleASCII)
	case "action":
		p.Enum = append(values(ledger.Actions()), values(ledger.Kinds())...)
	case "apply_before", "expires_at", "valid_until":
		if asked {
			p.Pattern = instantText
		}
	case "at", "from", "to":
		if p.Format = "date-time"; asked {
			p.Pattern = instantText
		}
	case "cursor", "next_cursor":
		p.Pattern = cursorText
	case "secret":
		p.Pattern = keyText
	case "code":
		p.Enum = values(Codes())
	case "kind":
		p.Enum = values(ledger.Kinds())
	case "reason":
		p.Enum = values(ledger.Reasons())
	case "Prefer": // what is not understood counts as absent (RFC 7240)
	default:
		if p.Type == huma.TypeString && p.Enum == nil && p.Format == "" {
			p.MinLength = ptr(1)
		}
	}
}

// limitMany says how many things of what sort an object or a list has.
func limitMany(name string, p *huma.Schema) {
	switch name {
	case "before", "after":
		p.MaxProperties = ptr(maxFacts)
		p.AdditionalProperties = &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
		p.Extensions = map[string]any{"propertyNames": map[string]any{"pattern": "^[a-z_]+$"}}
	case "numbers", "times":
		p.MaxProperties = ptr(maxCompared)
		if p.AdditionalProperties = (&huma.Schema{Type: huma.TypeInteger, Format: "int64"}); name == "times" {
			p.AdditionalProperties = &huma.Schema{Type: huma.TypeString, Format: "date-time"}
		}
		p.Extensions = map[string]any{"propertyNames": map[string]any{"pattern": "^[a-z_]+$"}}
	case "metadata":
		p.MaxProperties = ptr(ledger.MaxMetadataEntries)
		p.AdditionalProperties = &huma.Schema{Type: huma.TypeString, MaxLength: ptr(ledger.MaxMetadataValueLength), Pattern: "^" + noControl + "*$"}
		p.Extensions = map[string]any{"propertyNames": map[string]any{
			"minLength": 1, "maxLength": ledger.MaxMetadataKeyLength, "pattern": "^" + noControl + "+$",
		}}
	case "ids":
		p.MinItems, p.MaxItems = ptr(1), ptr(maxLookupIDs)
		p.Items.MinLength, p.Items.Pattern = ptr(1), "^"+noControl+"+$" // of one that is no ID the answer says so, and of the others what is to be said
	}
}

// limitInteger says between what a number lies.
func limitInteger(name string, p *huma.Schema) {
	switch name {
	case "amount", "max_amount", "per_day", "per_month", "total":
		p.Minimum, p.Maximum = ptr(1.0), ptr(float64(ledger.MaxAmount))
	case "held", "held_after", "available": // beside the balance, a credit limit may be held
		p.Minimum, p.Maximum = ptr(0.0), ptr(2*float64(ledger.MaxAmount))
	case "expires_in":
		p.Minimum, p.Maximum = ptr(float64(ledger.MinExpiresIn)), ptr(float64(ledger.MaxExpiresIn))
	case "balance", "balance_after", "opening_balance", "closing_balance", "page_opening_balance", "page_closing_balance", "movement": // how far below zero a wallet may be is its own
		p.Maximum = ptr(float64(ledger.MaxAmount))
	case "credit_limit", "credit_limit_after", "amount_refunded", "refundable_after", "captured", "released",
		"expired", "remaining", "remaining_after", "limit_left", "used_today", "used_this_month", "used_total":
		p.Minimum, p.Maximum = ptr(0.0), ptr(float64(ledger.MaxAmount))
	case "overlap_seconds":
		p.Minimum, p.Maximum = ptr(0.0), ptr(access.MaxOverlap.Seconds())
	case "rate":
		p.Minimum, p.Maximum = ptr(0.0), ptr(float64(ledger.MaxKeyRate))
	case "charges", "refunds", "offset", "partition", "records_ahead", "decided_in_seconds", "conflicting_requests":
		p.Minimum = ptr(0.0)
	case "sequence", "line", "log":
		p.Minimum = ptr(1.0)
	case "status": // of a problem, where the field does not say otherwise
		if p.Minimum != nil {
			return
		}
		p.Minimum, p.Maximum = ptr(400.0), ptr(599.0)
	}
}

// limitID says what an ID of ours is, and reports whether the example is one.
func limitID(p *huma.Schema) bool {
	if len(p.Examples) == 0 {
		return false
	}
	kind := ownID.FindStringSubmatch(fmt.Sprint(p.Examples[0]))
	if kind == nil {
		return false
	}
	p.Pattern = "^" + kind[1] + "_" + base32 + "$"
	p.Not = &huma.Schema{Enum: []any{kind[1] + "_" + strings.Repeat("0", 26)}}
	return true
}

// keyOwners says what a key of each role names: what no list of required fields can.
func keyOwners() map[string]any {
	type object = map[string]any
	role := func(r ledger.Role) object {
		return object{"properties": object{"role": object{"const": r}}, "required": []string{"role"}}
	}
	names := func(required []string, absent ...string) object {
		never := object{}
		for _, field := range absent {
			never[field] = object{"not": object{}} // "false" would do, but not all tools read it
		}
		return object{"properties": never, "required": required}
	}
	return object{
		"if": role(ledger.RoleMerchant), "then": names([]string{"merchant_id"}, "client_id"),
		"else": object{
			"if": role(ledger.RoleClient), "then": names([]string{"client_id"}, "merchant_id"),
			"else": names([]string{}, "merchant_id", "client_id"),
		},
	}
}

// labelPattern is what an invoice, a reference or a name may be.
func labelPattern() string {
	var unseen strings.Builder
	unseen.WriteString(`\x00-\x1f\x7f-\xa0`) // the control characters, and U+00A0 behind them
	var runes []rune
	for _, table := range ledger.Invisible() {
		for _, r := range table.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				runes = append(runes, c)
			}
		}
		for _, r := range table.R32 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				runes = append(runes, c)
			}
		}
	}
	slices.Sort(runes)
	// The tables overlap and touch: a range for each run of what any of them has.
	for i := 0; i < len(runes); {
		first, last := runes[i], runes[i]
		for ; i < len(runes) && runes[i] <= last+1; i++ {
			last = runes[i]
		}
		if first <= '\u00a0' {
			continue
		}
		unseen.WriteString(inClass(first))
		if last > first {
			unseen.WriteString("-" + inClass(last))
		}
	}
	inside := "[^" + unseen.String() + "]"
	end := "[^ " + unseen.String() + "]"
	return "^" + end + "(" + inside + "*" + end + ")?$"
}

// inClass is the character within a class of a pattern: escaped, as far as all
// dialects know one escape.
func inClass(r rune) string {
	if r <= unicode.MaxLatin1 {
		return fmt.Sprintf(`\x%02x`, r)
	}
	if r <= 0xffff {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}

func values[T ~string](list []T) (all []any) {
	for _, v := range list {
		all = append(all, string(v))
	}
	return all
}

func ptr[T any](v T) *T { return &v }
