package ledger_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// A golden file that changes means that the history on record no longer follows
// from our code, or that a retry gets another ID: it needs a new version of the
// encoding, never a new file.
var update = flag.Bool("update", false, "write the golden files anew")

// checkGolden compares the lines with testdata/name.
func checkGolden(t *testing.T, name string, lines []string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// canonical is the encoding of an operation that Seal hashes, written down a
// second time: what another reader of the history would have to build.
func canonical(o ledger.Operation, previous ledger.Digest) []byte {
	var b []byte
	text := func(s string) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	moment := func(at time.Time) {
		if at.IsZero() {
			b = append(b, 0x80, 0, 0, 0, 0, 0, 0, 0)
			return
		}
		number(at.Unix()*1_000_000 + int64(at.Nanosecond()/1000))
	}
	text(fmt.Sprintf("monedero operation %d", o.SealVersion))
	text(string(previous[:]))
	text(string(o.ID[:]))
	text(string(o.Kind))
	text(string(o.Wallet[:]))
	text(string(o.Merchant[:]))
	text(string(o.Client[:]))
	number(o.Amount)
	text(string(o.Currency))
	text(o.Invoice)
	text(o.Description)
	text(string(o.Metadata))
	text(o.Note)
	text(o.IdempotencyKey)
	moment(o.ApplyBefore)
	moment(o.ReceivedAt)
	number(int64(o.Place.Log))
	number(o.Place.Offset)
	text(string(o.Fingerprint[:]))
	text(string(o.Reason))
	text(string(o.DuplicateOf[:]))
	number(o.Sequence)
	number(o.BalanceAfter)
	text(string(o.StatusAfter))
	moment(o.DecidedAt)
	if o.SealVersion < 3 {
		return b
	}
	number(o.LimitAfter)
	text(string(o.MerchantState))
	text(string(o.MerchantOwner[:]))
	text(string(o.Asker.Role))
	text(string(o.Asker.Owner[:]))
	text(string(o.Asker.Key[:]))
	number(o.Position)
	if o.SealVersion < 4 {
		return b
	}
	text(string(o.Refers[:]))
	number(o.Moved)
	number(o.LeftAfter)
	if o.SealVersion < 5 {
		return b
	}
	number(o.ExpiresIn)
	text(string(o.Rest))
	number(o.HeldAfter)
	if o.SealVersion < 6 {
		return b
	}
	text(string(o.Charges))
	number(o.Terms.MaxAmount)
	number(o.Terms.PerDay)
	number(o.Terms.PerMonth)
	number(o.Terms.Total)
	moment(o.Terms.ValidUntil)
	number(int64(o.MandateDay))
	text(string(o.MandateLimit))
	if o.SealVersion < 7 {
		return b
	}
	text(o.Reference)
	return b
}

// Every operation with a field unset, beside the full and the empty one.
func TestGoldenDigests(t *testing.T) {
	t.Parallel()
	previous := ledger.Digest(sha256.Sum256([]byte("the operation before")))
	full := fullOperation()
	bare := ledger.Operation{
		Request: ledger.Request{ID: full.ID, Wallet: full.Wallet}, Place: full.Place, Fingerprint: full.Fingerprint,
		Reason: ledger.ReasonProcessingError, DecidedAt: full.DecidedAt, SealVersion: full.SealVersion,
	}
	ancient := full
	ancient.ReceivedAt = time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	var lines []string
	vector := func(name string, o ledger.Operation, previous ledger.Digest) {
		encoded, digest := canonical(o, previous), o.Seal(previous)
		if sha256.Sum256(encoded) != digest {
			t.Errorf("%s: the digest is not of the canonical encoding", name)
		}
		lines = append(lines, fmt.Sprintf("%s\n  encoding %x\n  digest   %x", name, encoded, digest))
	}
	vector("empty", ledger.Operation{SealVersion: ledger.SealVersion}, ledger.Digest{})
	vector("bare", bare, ledger.Digest{})
	vector("full", full, previous)
	vector("full, the first", full, ledger.Digest{})
	vector("full, a time before 1970", ancient, previous)
	for version := int32(2); version < ledger.SealVersion; version++ {
		old := full
		old.SealVersion = version
		vector(fmt.Sprintf("full, version %d", version), old, previous)
	}
	op := full
	fields := leaves(t, reflect.ValueOf(&op).Elem(), "")
	delete(fields, "SealVersion") // without it there is no encoding
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		fields[path].SetZero()
		vector("full without "+path, op, previous)
		op = full
	}
	checkGolden(t, "digests.golden", lines)
}

func TestGoldenFingerprints(t *testing.T) {
	t.Parallel()
	valid := validRequests()
	var lines []string
	for _, kind := range ledger.Kinds() {
		f := valid[kind].Fingerprint()
		lines = append(lines, fmt.Sprintf("%s %x", kind, f))
	}
	empty := ledger.Request{}.Fingerprint()
	full := fullOperation().Request.Fingerprint()
	unreferenced := fullOperation().Request
	unreferenced.Reference = ""
	before := unreferenced
	before.Charges, before.Terms = "", ledger.Terms{}
	opened, granted := valid[ledger.KindOpen], valid[ledger.KindGrant]
	opened.Charges, granted.Terms = ledger.ChargesMandated, ledger.Terms{}
	lines = append(lines, fmt.Sprintf("empty %x", empty), fmt.Sprintf("full %x", before.Fingerprint()), fmt.Sprintf("full, with mandates %x", unreferenced.Fingerprint()),
		fmt.Sprintf("full, with a reference %x", full),
		fmt.Sprintf("open, mandated %x", opened.Fingerprint()), fmt.Sprintf("grant without limits %x", granted.Fingerprint()))
	for _, value := range []string{"", "{}", "\x00\xff"} {
		lines = append(lines, fmt.Sprintf("refused %q %x", value, ledger.RefusedFingerprint([]byte(value))))
	}
	for _, invoice := range []string{"INV-1001", "inv-1001", "ñ", ""} {
		for _, m := range []ledger.MerchantID{{}, {0x03, 15: 0xf3}} {
			lines = append(lines, fmt.Sprintf("invoice %s %q %x", m, invoice, ledger.NewInvoiceKey(m, invoice)))
		}
	}
	checkGolden(t, "fingerprints.golden", lines)
}

func TestGoldenIDs(t *testing.T) {
	t.Parallel()
	m := newMinter(t, "0123456789abcdef0123456789abcdef")
	wallet, merchant := ledger.WalletID{0x02, 15: 0xf2}, ledger.MerchantID{0x03, 15: 0xf3}
	lines := []string{"check value " + hex.EncodeToString(m.CheckValue())}
	operation := func(name string, id ledger.OperationID) {
		lines = append(lines, fmt.Sprintf("%s %s %x bucket %d", name, id, [16]byte(id), id.Bucket()))
	}
	for _, kind := range ledger.Kinds() {
		i := ledger.Identity{Kind: kind, Asker: ledger.AsOperator(), Wallet: wallet, Source: ledger.SourceKey, Value: "key-1"}
		operation(string(kind)+" by the operator under a key", m.OperationID(i))
	}
	for _, source := range []ledger.Source{ledger.SourceKey, ledger.SourceInvoice} {
		for _, value := range []string{"INV-1001", "ñ", ""} {
			i := ledger.Identity{
				Kind: ledger.KindCharge, Asker: ledger.AsMerchant(merchant), Merchant: merchant, Wallet: wallet, Source: source, Value: value,
			}
			operation(fmt.Sprintf("charge under %s %q", source, value), m.OperationID(i))
		}
	}
	operation("expire of a hold by the system", m.OperationID(ledger.Identity{
		Kind: ledger.KindExpire, Asker: ledger.AsSystem(), Merchant: merchant, Wallet: wallet, Source: ledger.SourceKey, Value: operationOf(wallet, 9).String(),
	}))
	operation("random, all zeros", m.RandomOperationID(wallet, [10]byte{}))
	operation("random", m.RandomOperationID(wallet, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}))
	for _, resource := range []string{"client", "merchant", "wallet", "key"} {
		lines = append(lines, fmt.Sprintf("resource %s %x", resource, m.ResourceID(resource, "operator", "key-1")))
	}
	for _, w := range []ledger.WalletID{{}, {15: 1}, {1}, wallet, {0: 0xff, 7: 0xff, 8: 0xff, 15: 0xff}} {
		lines = append(lines, fmt.Sprintf("wallet %x %s bucket %d partition of 16 %d", [16]byte(w), w, w.Bucket(), w.Partition(16)))
	}
	b := [16]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}
	for _, sort := range idTexts() {
		lines = append(lines, fmt.Sprintf("text %x %s", b, sort.format(b)))
	}
	checkGolden(t, "ids.golden", lines)
}

func TestGoldenMetadata(t *testing.T) {
	t.Parallel()
	var ascii strings.Builder
	for c := range 128 {
		ascii.WriteByte(byte(c))
	}
	m := ledger.NewMetadata(map[string]string{
		"every ASCII character": ascii.String(), "quote\"back\\slash/": "<&>", "ñ": "\u0080\u2027\u2028\u2029\u202a\ufffd\ufeff\U0001F4B6", "": "",
	})
	checkGolden(t, "metadata.golden", []string{string(m)})
}
