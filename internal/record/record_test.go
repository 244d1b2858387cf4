package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/record/recordtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is a record as the files keep it: the value stays as it is.
type golden struct {
	Headers map[string]string
	Value   json.RawMessage
}

// topUp is one with all fields that only money from outside has.
func topUp(t *testing.T) ledger.Request {
	t.Helper()
	charge := recordtest.Charge(t)
	r := ledger.Request{
		Kind: ledger.KindTopUp, Asker: ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{15: 4}}, Wallet: charge.Wallet,
		Amount: ledger.MaxAmount, Currency: "JPY", IdempotencyKey: "k", Reference: "E2E-2026 17/ñ", Note: "wire 17, seen", ReceivedAt: charge.ReceivedAt,
	}
	r.ID = recordtest.Minter(t).OperationID(r.Identity())
	return r
}

func TestWireFormatIsPinned(t *testing.T) {
	t.Parallel()
	byInvoice := recordtest.Charge(t)
	byInvoice.IdempotencyKey, byInvoice.Description, byInvoice.Metadata, byInvoice.ApplyBefore = "", "", "", time.Time{}
	byInvoice.ID = recordtest.Minter(t).OperationID(byInvoice.Identity())
	topUp := topUp(t)
	withdrawal := topUp
	withdrawal.Kind = ledger.KindWithdraw
	withdrawal.ID = recordtest.Minter(t).OperationID(withdrawal.Identity())
	refund := recordtest.Charge(t)
	refund.Kind, refund.Invoice, refund.Refers = ledger.KindRefund, "", refund.ID
	refund.ID = recordtest.Minter(t).OperationID(refund.Identity())
	refundOfTheRest := refund
	refundOfTheRest.Amount, refundOfTheRest.Currency = 0, ""
	hold := recordtest.Charge(t)
	hold.Kind, hold.ExpiresIn = ledger.KindHold, ledger.DefaultExpiresIn
	hold.ID = recordtest.Minter(t).OperationID(hold.Identity())
	capture := refund
	capture.Kind, capture.Rest = ledger.KindCapture, ledger.RestKept
	capture.ID = recordtest.Minter(t).OperationID(capture.Identity())
	release := refund
	release.Kind = ledger.KindRelease
	release.ID = recordtest.Minter(t).OperationID(release.Identity())
	expire := ledger.Request{
		Kind: ledger.KindExpire, Asker: ledger.Asker{Party: ledger.AsSystem()}, Wallet: hold.Wallet, Merchant: hold.Merchant, Refers: hold.ID,
		IdempotencyKey: hold.ID.String(), ReceivedAt: hold.ReceivedAt,
	}
	expire.ID = recordtest.Minter(t).OperationID(expire.Identity())
	for name, request := range map[string]ledger.Request{
		"hold": hold, "capture": capture, "release": release, "expire": expire,
		"refund": refund, "refund-of-the-rest": refundOfTheRest,
		"charge": recordtest.Charge(t), "charge-by-invoice": byInvoice, "top-up": topUp, "withdrawal": withdrawal,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if faults := request.Faults(); len(faults) > 0 {
				t.Fatal(faults)
			}
			value, headers, err := record.Encode(request)
			if err != nil {
				t.Fatal(err)
			}
			record := golden{Headers: map[string]string{}, Value: value}
			for _, h := range headers {
				record.Headers[h.Key] = string(h.Value)
			}
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(record); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "wire", name+".json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
			// What was written once must be read for ever.
			var stored golden
			if err := json.Unmarshal(want, &stored); err != nil {
				t.Fatal(err)
			}
			assertDecodes(t, stored.Value, request)
		})
	}
}

func assertDecodes(t interface{ Errorf(string, ...any) }, value []byte, want ledger.Request) {
	d, err := record.Decode(record.Record{Value: value})
	if err != nil || d.Fault != nil {
		t.Errorf("decode: %v, fault: %v", err, d.Fault)
		return
	}
	if diff := cmp.Diff(record.Decoded{Version: record.Version, ID: want.ID, Identity: want.Identity(), Request: want}, d); diff != "" {
		t.Errorf("%s", diff)
	}
}

// version is how a record of ours begins.
var version = fmt.Sprintf(`"version":%d`, record.Version)

// queued are the kinds that travel.
func queued() []ledger.Kind {
	return slices.DeleteFunc(ledger.Kinds(), func(k ledger.Kind) bool { return !k.Queued() })
}

func TestDecodeReadsWhatEncodeWrote(t *testing.T) {
	t.Parallel()
	m := recordtest.Minter(t)
	text := func(max int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.Rune(), 0, max, -1)
	}
	label := func(max int) *rapid.Generator[string] {
		return rapid.OneOf(rapid.Just(""), text(max), rapid.StringMatching(`[\p{L}0-9]([\p{L}0-9 .:-]{0,50}[\p{L}0-9])?`))
	}
	times := rapid.Map(rapid.Int64Range(-1<<54, 1<<57), func(us int64) time.Time { return time.UnixMicro(us).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		r := ledger.Request{
			Kind:           rapid.SampledFrom(queued()).Draw(t, "kind"),
			Wallet:         ledger.WalletID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "wallet")),
			Amount:         rapid.Int64Range(1, ledger.MaxAmount).Draw(t, "amount"),
			Currency:       rapid.SampledFrom([]ledger.Currency{"EUR", "USD", "JPY"}).Draw(t, "currency"),
			Description:    text(ledger.MaxDescriptionLength).Draw(t, "description"),
			IdempotencyKey: label(ledger.MaxKeyLength).Draw(t, "key"),
			Metadata: ledger.NewMetadata(rapid.MapOfN(text(ledger.MaxMetadataKeyLength), text(50), 0, 5).
				Draw(t, "metadata")),
			Asker:       ledger.Asker{Key: ledger.KeyID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key ID"))},
			ApplyBefore: times.Draw(t, "apply_before"),
			ReceivedAt:  times.Draw(t, "received_at"),
		}
		if slices.Contains(r.Kind.Askers(), ledger.RoleOperator) {
			r.Asker.Party = ledger.AsOperator()
			r.Note = text(ledger.MaxNoteLength).Draw(t, "note")
			r.Reference = label(ledger.MaxReferenceLength).Draw(t, "reference")
		}
		if slices.Contains(r.Kind.Askers(), ledger.RoleMerchant) {
			r.Merchant = ledger.MerchantID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "merchant"))
			r.Asker.Party = ledger.AsMerchant(r.Merchant)
			r.Invoice = label(ledger.MaxInvoiceLength).Draw(t, "invoice")
		}
		r.ID = m.OperationID(r.Identity())
		value, _, err := record.Encode(r)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		if len(r.Faults()) == 0 && norm.NFC.IsNormalString(r.Invoice) && norm.NFC.IsNormalString(r.Reference) && norm.NFC.IsNormalString(r.IdempotencyKey) {
			assertDecodes(t, value, r)
			return
		}
		// HTTP would have refused it; here it is ours, and at fault.
		if d, err := record.Decode(record.Record{Value: value}); err == nil && d.Fault == nil {
			t.Fatalf("the request has faults %v, and was taken", r.Faults())
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	notQueued := recordtest.Charge(t)
	notQueued.Kind = ledger.KindFreeze
	notText := recordtest.Charge(t)
	notText.Description = "\xff"
	for name, r := range map[string]ledger.Request{"not queued": notQueued, "not UTF-8": notText} {
		if _, _, err := record.Encode(r); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// edit replaces a part of a good record, which must be in it.
func edit(t *testing.T, old, new string) []byte {
	t.Helper()
	value, _, err := record.Encode(recordtest.Charge(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(value, []byte(old)) {
		t.Fatalf("%s is not in %s", old, value)
	}
	return []byte(strings.Replace(string(value), old, new, 1))
}

func TestDecodeFindsFaultsInRecordsOfOurs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"name twice":              {`"amount":1250`, `"amount":1250,"amount":1250`},
		"name that is escaped":    {`"amount":1250`, `"amount":1250,"\u0061mount":7`},
		"amount as text":          {`"amount":1250`, `"amount":"1250"`},
		"amount with fraction":    {`"amount":1250`, `"amount":1250.0`},
		"amount with exponent":    {`"amount":1250`, `"amount":1e3`},
		"amount null":             {`"amount":1250`, `"amount":null`},
		"amount missing":          {`"amount":1250,`, ``},
		"amount zero":             {`"amount":1250`, `"amount":0`},
		"amount negative":         {`"amount":1250`, `"amount":-1`},
		"amount too large":        {`"amount":1250`, `"amount":9007199254740992`},
		"amount beyond int64":     {`"amount":1250`, `"amount":9223372036854775808`},
		"currency unknown":        {`"EUR"`, `"EEE"`},
		"currency small":          {`"EUR"`, `"eur"`},
		"currency a number":       {`"EUR"`, `978`},
		"invoice null":            {`"INV-1001"`, `null`},
		"invoice with control":    {`"INV-1001"`, `"INV\u0000"`},
		"invoice with a blank":    {`INV-1001`, `INV-1001 `},
		"invoice not seen":        {`INV-1001`, `INV-\u200b1001`},
		"invoice not in NFC":      {`INV-1001`, `INV-e\u0301`},
		"reference of a charge":   {`"amount":1250`, `"amount":1250,"reference":"r"`},
		"note of a charge":        {`"amount":1250`, `"amount":1250,"note":"n"`},
		"invoice too long":        {`INV-1001`, strings.Repeat("x", ledger.MaxInvoiceLength+1)},
		"description not UTF-8":   {`Caf`, "Caf\xff"},
		"description surrogate":   {`Caf`, `Caf\ud800`},
		"metadata a list":         {`"metadata":{`, `"metadata":[],"metadata":{`},
		"metadata not canonical":  {`"metadata":{`, `"metadata":{ `},
		"metadata empty":          {`"table":"7","waiter":"Zoë \u2028"`, ``},
		"metadata nested":         {`"table":"7"`, `"table":{"a":"b"}`},
		"metadata name twice":     {`"table":"7"`, `"table":"7","table":"7"`},
		"metadata null":           {`"table":"7"`, `"table":null`},
		"metadata null byte":      {`"table":"7"`, `"table":"\u0000"`},
		"apply_before a number":   {`"apply_before":"2026-03-14T16:09:26.535897Z"`, `"apply_before":1`},
		"apply_before with zone":  {`T16:09:26.535897Z`, `T16:09:26.535897+00:00`},
		"apply_before no time":    {`2026-03-14T16:09:26.535897Z`, `0001-01-01T00:00:00Z`},
		"apply_before not a date": {`2026-03-14T16`, `2026-02-30T16`},
		"received_at with comma":  {`T15:09:26.535897Z`, `T15:09:26,535897Z`},
		"key null":                {`"key_01j00000000000000000000003"`, `null`},
		"key not ours":            {`"key_01j`, `"mer_01j`},
		"asker may not":           {`"asker_role":"merchant","asker_id":"mer_`, `"asker_role":"client","asker_id":"cli_`},
		"asker another merchant":  {`"asker_id":"mer_01j00000000000000000000002"`, `"asker_id":"mer_01j00000000000000000000009"`},
		"kind not queued":         {`"charge"`, `"freeze"`},
		"kind without merchant":   {`"charge"`, `"top_up"`},
		"merchant missing":        {`"merchant_id":"mer_01j00000000000000000000002",`, ``},
		"source not its value":    {`"source":"key"`, `"source":"invoice"`},
		"value with control":      {`"key 1"`, `"key\u0001"`},
		"value too long":          {`"key 1"`, `"` + strings.Repeat("x", ledger.MaxKeyLength+1) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := record.Decode(record.Record{Value: edit(t, change[0], change[1])})
			if err != nil {
				t.Fatalf("not taken for ours: %v", err)
			}
			if d.Fault == nil {
				t.Error("no fault was found")
			}
			if d.ID != recordtest.Charge(t).ID || d.Identity.Wallet != recordtest.Charge(t).Wallet || d.Version != record.Version {
				t.Errorf("decoded = %+v", d)
			}
			if diff := cmp.Diff(ledger.Request{}, d.Request); diff != "" {
				t.Errorf("a request at fault: %s", diff)
			}
		})
	}
}

// TestDecodeLeavesWhatIsNewToOthers: what this build does not know is no fault of the
// record, which says whose it is all the same.
func TestDecodeLeavesWhatIsNewToOthers(t *testing.T) {
	t.Parallel()
	for want, change := range map[string][2]string{
		`the field "tip"`:    {`"amount":1250`, `"amount":"odd","tip":5`},
		`the field "AMOUNT"`: {`"amount":1250`, `"amount":1250,"AMOUNT":-700`},
		`the field "Value"`:  {`"amount":1250`, `"amount":1250,"Value":"x"`},
		`the kind "gift"`:    {`"charge"`, `"gift"`},
		`the role "robot"`:   {`"asker_role":"merchant","asker_id":"mer_01j00000000000000000000002"`, `"asker_role":"robot"`},
		`the source "guess"`: {`"source":"key"`, `"source":"guess"`},
	} {
		d, err := record.Decode(record.Record{Value: edit(t, change[0], change[1])})
		if err != nil || d.Unknown == nil || d.Unknown.Error() != want || d.Fault != nil {
			t.Errorf("%s: %+v, %v", want, d, err)
		}
		if d.ID != recordtest.Charge(t).ID || d.Identity.Wallet != recordtest.Charge(t).Wallet || d.Version != record.Version {
			t.Errorf("decoded = %+v", d)
		}
	}
}

// TestVersionCoversTheFormat breaks when what records say changes. Then raise
// [record.Version], as the rule beside it says, and write the new format down here.
func TestVersionCoversTheFormat(t *testing.T) {
	t.Parallel()
	everything := recordtest.Charge(t)
	everything.Note, everything.Refers, everything.ExpiresIn, everything.Rest = "only of a top-up", everything.ID, 60, ledger.RestKept
	everything.Reference = "of a top-up too"
	value, _, err := record.Encode(everything)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`[{,]"([a-z_]+)":`).FindAllSubmatch(regexp.MustCompile(`"metadata":{[^}]*}`).ReplaceAll(value, []byte(`"metadata":{}`)), -1) {
		names = append(names, string(m[1]))
	}
	var currencies []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				if code := string([]rune{a, b, c}); ledger.Currency(code).Known() {
					currencies = append(currencies, code)
				}
			}
		}
	}
	got := fmt.Sprintf("version %d\nfields written %s\nfields known %d\nkinds %s\nsources %s %s\nroles %s %s %s %s\ncurrencies %x\nlimits %d %d %d %d %d %d %d %d %d", record.Version,
		strings.Join(names, " "), record.Fields(), fmt.Sprint(queued()), ledger.SourceKey, ledger.SourceInvoice,
		ledger.RoleMerchant, ledger.RoleClient, ledger.RoleOperator, ledger.RoleSystem, sha256.Sum256([]byte(strings.Join(currencies, " "))), ledger.MaxAmount, ledger.MaxKeyLength, ledger.MaxInvoiceLength,
		ledger.MaxReferenceLength, ledger.MaxDescriptionLength, ledger.MaxMetadataEntries, ledger.MaxMetadataKeyLength, ledger.MaxMetadataValueLength, ledger.MaxNoteLength)
	const want = `version 7
fields written version id kind asker_role asker_id merchant_id wallet_id source value asker_key refers_to expires_in rest amount currency invoice reference description metadata note apply_before received_at
fields known 22
kinds [top_up charge withdraw refund hold capture release expire]
sources key invoice
roles merchant client operator system
currencies 0b9d5f081d87f7714b2e30857b4cba0b350b5ffa26ffc0696f1d4abf8c33a8d3
limits 9007199254740991 255 128 140 500 20 40 500 500`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("raise the version: %s", diff)
	}
}

// A reference is one label among others: in another form of Unicode it would be another request.
func TestDecodeRefusesAReferenceThatIsNotInNFC(t *testing.T) {
	t.Parallel()
	for reference, refused := range map[string]bool{"E2E-\u00f1": false, "E2E-n\u0303": true} {
		r := topUp(t)
		r.Reference = reference
		value, _, err := record.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := record.Decode(record.Record{Value: value}); err != nil || (d.Fault != nil) != refused {
			t.Errorf("%+q: %v, fault: %v", reference, err, d.Fault)
		}
	}
}

// TestDecodeReadsWhatVersionSixWrote: a record that is queued while the builds change is decided as it was asked. Those of other
// kinds than top-ups and withdrawals say the same in both versions.
func TestDecodeReadsWhatVersionSixWrote(t *testing.T) {
	t.Parallel()
	topUp := topUp(t)
	topUp.Reference = ""
	const value = `{"version":6,"id":"op_1faaz7ak53gkvay6zvwhbb051x","kind":"top_up","asker_role":"operator","wallet_id":"wal_01j00000000000000000000001",` +
		`"source":"key","value":"k","asker_key":"key_00000000000000000000000004","amount":9007199254740991,"currency":"JPY","note":"wire 17, seen",` +
		`"received_at":"2026-03-14T15:09:26.535897Z"}`
	d, err := record.Decode(record.Record{Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	want := record.Decoded{Version: 6, ID: topUp.ID, Identity: topUp.Identity(), Request: topUp}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, value := range map[string][]byte{
		"nothing":            nil,
		"text":               []byte("hello"),
		"null":               []byte("null"),
		"list":               []byte("[]"),
		"empty":              []byte("{}"),
		"cut":                edit(t, `"}`, `"`),
		"followed":           edit(t, `"}`, `"}{}`),
		"no comma":           edit(t, `,"id"`, `"id"`),
		"no version":         edit(t, version+`,`, ``),
		"version as text":    edit(t, version, `"version":"1"`),
		"version zero":       edit(t, version, `"version":0`),
		"version twice":      edit(t, version, version+`,`+version),
		"version in capital": edit(t, `"version"`, `"Version"`),
		"id not canonical":   edit(t, `"op_`, `"OP_`),
		"id null":            edit(t, `"id":"`, `"id":null,"x":"`),
		"wallet not ours":    edit(t, `"wal_`, `"mer_`),
		"wallet twice":       edit(t, `"wallet_id":`, `"wallet_id":"wal_00000000000000000000000001","wallet_id":`),
		"merchant not ours":  edit(t, `"mer_`, `"`),
		"merchant null":      edit(t, `"mer_01j00000000000000000000002"`, `null`),
		"asker missing":      edit(t, `"asker_role":"merchant",`, ``),
		"asker a number":     edit(t, `"asker_role":"merchant"`, `"asker_role":1`),
		"asker without ID":   edit(t, `"asker_id":"mer_01j00000000000000000000002",`, ``),
		"asker not ours":     edit(t, `"asker_id":"mer_`, `"asker_id":"cli_`),
		"operator with ID":   edit(t, `"asker_role":"merchant"`, `"asker_role":"operator"`),
		"kind missing":       edit(t, `"kind":"charge",`, ``),
		"source a number":    edit(t, `"source":"key"`, `"source":1`),
		"value empty":        edit(t, `"key 1"`, `""`),
		"value not UTF-8":    edit(t, `"key 1"`, "\"key\xff\""),
		"value surrogate":    edit(t, `"key 1"`, `"\ud800"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := record.Decode(record.Record{Value: value})
			if err == nil {
				t.Errorf("was taken as %+v", d)
			}
		})
	}
}

func TestDecodeDoesNotJudgeANewerVersion(t *testing.T) {
	t.Parallel()
	value := edit(t, version, fmt.Sprintf(`"version":%d,"tip":true,"kind_of":[1,{"a":1}]`, record.Version+1))
	value = bytes.Replace(value, []byte(`"charge"`), []byte(`"gift"`), 1)
	value = bytes.Replace(value, []byte(`1250`), []byte(`"a lot"`), 1)
	d, err := record.Decode(record.Record{Value: value})
	if err != nil {
		t.Fatal(err)
	}
	want := record.Decoded{Version: record.Version + 1, ID: recordtest.Charge(t).ID, Identity: recordtest.Charge(t).Identity()}
	want.Identity.Kind = "gift"
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "wire", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var record golden
		if err := json.Unmarshal(text, &record); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(record.Value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := record.Decode(record.Record{Value: value})
		if err != nil || d.Fault != nil || d.Version != record.Version {
			return
		}
		if faults := d.Request.Faults(); len(faults) > 0 {
			t.Fatalf("a request with faults: %v", faults)
		}
		again, _, err := record.Encode(d.Request)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		assertDecodes(t, again, d.Request)
	})
}

func BenchmarkEncode(b *testing.B) {
	r := recordtest.Charge(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := record.Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode reads a charge as most are, and one with all that has to be
// escaped.
func BenchmarkDecode(b *testing.B) {
	escaped := recordtest.Charge(b)
	plain := escaped
	plain.Description, plain.Metadata = "Coffee", ledger.NewMetadata(map[string]string{"table": "7", "waiter": "Zoë"})
	for name, r := range map[string]ledger.Request{"plain": plain, "escaped": escaped} {
		b.Run(name, func(b *testing.B) {
			value, _, err := record.Encode(r)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if d, err := record.Decode(record.Record{Value: value}); err != nil || d.Fault != nil {
					b.Fatal(err, d.Fault)
				}
			}
		})
	}
}
