package kafka_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/record"
)

// The attributes of a batch.
const (
	appendTime = 1 << 3
	control    = 1 << 5
)

func five(base int64) [][]byte { return kafkatest.Encoded(kafkatest.Records(fmt.Sprint(base), 5)...) }

// spoiled is five records of which the fourth is spoiled.
func spoiled(base int64, spoil func([]byte) []byte) []byte {
	records := five(base)
	records[3] = spoil(records[3])
	return kafkatest.Batch(kmsg.RecordBatch{FirstOffset: base}, records...)
}

// reseal writes length and checksum of a batch that was changed.
func reseal(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-12))
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

func bytesAt(batch []byte, at int, b ...byte) []byte {
	copy(batch[at:], b)
	return reseal(batch)
}

func packed(t *testing.T, kind compress.Compression, records [][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := kind.Codec().NewWriter(&b)
	if _, err := w.Write(bytes.Join(records, nil)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestScan: each offset is that of a record, of a marker, or a hole. A processor ends
// before the first hole; set-progress goes on behind it.
func TestScan(t *testing.T) {
	t.Parallel()
	plain := func(base int64) []byte { return kafkatest.Batch(kmsg.RecordBatch{FirstOffset: base}, five(base)...) }
	marker := func(base int64) []byte {
		return kafkatest.Batch(kmsg.RecordBatch{FirstOffset: base, Attributes: control},
			kafkatest.EncodedAt(0, record.Record{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}}))
	}
	compacted := func(base int64, last int32, left ...int) []byte {
		var records [][]byte
		for _, i := range left {
			records = append(records, kafkatest.EncodedAt(i, record.Record{Value: fmt.Appendf(nil, "%d %d", base, i)}))
		}
		if records == nil {
			return bytesAt(kafkatest.Batch(kmsg.RecordBatch{FirstOffset: base, LastOffsetDelta: last}), 57, 0, 0, 0, 0)
		}
		return kafkatest.Batch(kmsg.RecordBatch{FirstOffset: base, LastOffsetDelta: last}, records...)
	}
	// The spoiled record ends within its value, or has too many or too few headers.
	short := func(r []byte) []byte { return append([]byte{byte(2 * (len(r) - 3))}, r[1:len(r)-2]...) }
	headers := func(r []byte) []byte { r[len(r)-1] = 8; return r }
	noHeaders := func(r []byte) []byte { r[len(r)-1] = 1; return r }
	noLength := func(r []byte) []byte { r[0] = 1; return r }
	tooLong := func(r []byte) []byte { r[0] = 0x7e; return r }
	flip := func(b []byte, at int) []byte { b[at] ^= 1; return b } // not sealed again

	for name, c := range map[string]struct {
		set     []byte
		from    int64
		strict  []int64 // the offsets of the records
		next    int64
		cause   string
		salvage []int64
		behind  int64
		missing int64
	}{
		"whole batches":                    {set: slices.Concat(plain(0), plain(5)), strict: []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, next: 10},
		"from within a batch":              {set: slices.Concat(plain(0), plain(5)), from: 3, strict: []int64{3, 4, 5, 6, 7, 8, 9}, next: 10},
		"a batch cut off by the broker":    {set: slices.Concat(plain(0), plain(5)[:70]), strict: []int64{0, 1, 2, 3, 4}, next: 5},
		"one cut off within its head":      {set: slices.Concat(plain(0), plain(5)[:11]), strict: []int64{0, 1, 2, 3, 4}, next: 5},
		"markers between, and at the end":  {set: slices.Concat(plain(0), marker(5), plain(6), marker(11), marker(12)), strict: []int64{0, 1, 2, 3, 4, 6, 7, 8, 9, 10}, next: 13},
		"a marker where the fetch begins":  {set: slices.Concat(marker(3), plain(4)), from: 3, strict: []int64{4, 5, 6, 7, 8}, next: 9},
		"nothing":                          {},
		"a batch is gone":                  {set: slices.Concat(plain(0), plain(8)), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "missing", salvage: []int64{0, 1, 2, 3, 4, 8, 9, 10, 11, 12}, behind: 13, missing: 3},
		"a batch is gone before the first": {set: plain(8), from: 6, next: 6, cause: "missing", salvage: []int64{8, 9, 10, 11, 12}, behind: 13, missing: 2},
		"records within a batch are gone":  {set: slices.Concat(compacted(0, 4, 0, 3), plain(5)), strict: []int64{0}, next: 1, cause: "missing", salvage: []int64{0, 3, 5, 6, 7, 8, 9}, behind: 10, missing: 3},
		"an emptied batch":                 {set: slices.Concat(plain(0), compacted(5, 2)), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "missing", salvage: []int64{0, 1, 2, 3, 4}, behind: 8, missing: 3},
		"from behind what is gone":         {set: slices.Concat(compacted(0, 4, 0, 3, 4), plain(5)), from: 3, strict: []int64{3, 4, 5, 6, 7, 8, 9}, next: 10},
		"fewer records than are counted":   {set: bytesAt(plain(0), 57, 0, 0, 0, 7), strict: []int64{0, 1, 2, 3, 4}, next: 5},
		"more are counted, and more said":  {set: bytesAt(bytesAt(plain(0), 57, 0, 0, 0, 7), 23, 0, 0, 0, 6), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "no length", salvage: []int64{0, 1, 2, 3, 4}, behind: 7, missing: 2},
		"a negative number of records":     {set: bytesAt(plain(0), 57, 0xff, 0xff, 0xff, 0xff), next: 0, cause: "missing", behind: 5, missing: 5},
		"a record ends within its headers": {set: slices.Concat(spoiled(0, short), plain(5)), strict: []int64{0, 1, 2}, next: 3, cause: "does not decode", salvage: []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, behind: 10},
		"a record with too many headers":   {set: spoiled(0, headers), strict: []int64{0, 1, 2}, next: 3, cause: "does not decode", salvage: []int64{0, 1, 2, 3, 4}, behind: 5},
		"a negative number of headers":     {set: spoiled(0, noHeaders), strict: []int64{0, 1, 2}, next: 3, cause: "does not decode", salvage: []int64{0, 1, 2, 3, 4}, behind: 5},
		"from behind a broken record":      {set: spoiled(0, headers), from: 4, strict: []int64{4}, next: 5},
		"a record without a length":        {set: slices.Concat(spoiled(0, noLength), plain(5)), strict: []int64{0, 1, 2}, next: 3, cause: "no length", salvage: []int64{0, 1, 2, 5, 6, 7, 8, 9}, behind: 10, missing: 2},
		"a record longer than its batch":   {set: slices.Concat(spoiled(0, tooLong), plain(5)), strict: []int64{0, 1, 2}, next: 3, cause: "no length", salvage: []int64{0, 1, 2, 5, 6, 7, 8, 9}, behind: 10, missing: 2},
		"a checksum that fails":            {set: slices.Concat(plain(0), flip(plain(5), 75), plain(10)), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "checksum", salvage: []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, behind: 15},
		"an end that is not to be trusted": {set: flip(plain(0), 24), next: 0, cause: "checksum", salvage: []int64{0, 1, 2, 3, 4}, behind: 5},
		"an offset twice":                  {set: slices.Concat(plain(0), compacted(4, 1, 0, 1)), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "out of order", salvage: []int64{0, 1, 2, 3, 4, 5}, behind: 6},
		"an older format":                  {set: slices.Concat(plain(0), bytesAt(plain(5), 16, 1), plain(6)), strict: []int64{0, 1, 2, 3, 4}, next: 5, cause: "format 1", salvage: []int64{0, 1, 2, 3, 4, 6, 7, 8, 9, 10}, behind: 11, missing: 1},
		"no length":                        {set: append(make([]byte, 8), make([]byte, 60)...), next: 0, cause: "no length", behind: 1, missing: 1},
		"an unknown compression":           {set: bytesAt(plain(0), 22, 6), next: 0, cause: "compression 6", behind: 5, missing: 5},
		"it does not unpack":               {set: bytesAt(plain(0), 22, 1), next: 0, cause: "unpack", behind: 5, missing: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			offsets := func(salvage bool) (all []int64, next, missing int64, said string) {
				set := slices.Clone(c.set)
				records, next, holes := kafka.Scan(set, c.from, salvage)
				for _, r := range records {
					all = append(all, r.Offset)
				}
				said = strings.Join(holes, "; ")
				return all, next, next - c.from - int64(len(all)), said
			}
			got, next, _, said := offsets(false)
			if diff := cmp.Diff(c.strict, got); diff != "" || next != c.next {
				t.Errorf("up to %d, with %v: %s", next, got, diff)
			}
			if c.cause == "" {
				if said != "" {
					t.Errorf("a hole: %s", said)
				}
				return
			}
			if !strings.Contains(said, c.cause) ||
				!strings.HasPrefix(said, fmt.Sprintf("the log holds no record that can be read at offset %d, and no marker: ", c.next)) {
				t.Errorf("it says %q", said)
			}
			got, next, missing, _ := offsets(true)
			if diff := cmp.Diff(c.salvage, got); diff != "" || next != c.behind || missing != c.missing {
				t.Errorf("salvaged up to %d, with %v, %d missing: %s", next, got, missing, diff)
			}
		})
	}
}

// TestScanReads everything of a record, in each compression and with either time.
func TestScanReads(t *testing.T) {
	t.Parallel()
	records := []record.Record{
		{Key: []byte("k"), Value: []byte("v"), Headers: []record.Header{{Key: record.HeaderID, Value: []byte("op")}, {Key: "x"}}},
		{Offset: 1},
		{Offset: 2, Key: []byte{}, Value: bytes.Repeat([]byte("long "), 1000)},
	}
	for kind := compress.None; kind <= compress.Zstd; kind++ {
		for _, attributes := range []int16{0, appendTime} {
			shape := kmsg.RecordBatch{
				FirstOffset: 7, Attributes: int16(kind) | attributes, FirstTimestamp: 1000, MaxTimestamp: 2000, NumRecords: 3, LastOffsetDelta: 2,
			}
			encoded := kafkatest.Encoded(records...)
			if kind != compress.None {
				shape.Records = packed(t, kind, encoded)
			}
			want := slices.Clone(records)
			for i := range want {
				want[i].Offset += 7
				if want[i].Time = time.UnixMilli(1000); attributes != 0 {
					want[i].Time = time.UnixMilli(2000)
				}
			}
			got, next, holes := kafka.Scan(kafkatest.Batch(shape, encoded...), 7, false)
			if diff := cmp.Diff(want, got); diff != "" || next != 10 || len(holes) > 0 {
				t.Errorf("%s: up to %d, holes %v: %s", kind, next, holes, diff)
			}
		}
	}
}

// FuzzScan: whatever comes, nothing panics, no offset comes twice, and what is passed
// over without a hole or a marker is a record.
func FuzzScan(f *testing.F) {
	whole := kafkatest.Batch(kmsg.RecordBatch{}, five(0)...)
	f.Add(whole, int64(0))
	f.Add(slices.Concat(whole, kafkatest.Batch(kmsg.RecordBatch{FirstOffset: 5, Attributes: 1}, five(5)...)), int64(3))
	f.Fuzz(func(t *testing.T, set []byte, from int64) {
		if from < 0 || from > 1<<40 {
			return
		}
		for _, sealed := range [][]byte{slices.Clone(set), set} {
			if len(sealed) > 61 && len(sealed) == len(set) {
				sealed = reseal(sealed)
			}
			for _, salvage := range []bool{false, true} {
				records, next, holes := kafka.Scan(sealed, from, salvage)
				at := from
				for _, r := range records {
					if r.Offset < at || r.Offset >= next {
						t.Fatalf("offset %d after %d, up to %d", r.Offset, at, next)
					}
					at = r.Offset + 1
				}
				if next < from || !salvage && len(holes) > 1 {
					t.Fatalf("from %d up to %d, holes %v", from, next, holes)
				}
			}
		}
	})
}
