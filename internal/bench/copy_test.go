package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rows writes rows of text in COPY's binary format; nil is null.
func rows(header bool, rows ...[]any) []byte {
	var b []byte
	if header {
		b = append(b, copyHeader...)
	}
	for _, row := range rows {
		b = binary.BigEndian.AppendUint16(b, uint16(len(row)))
		for _, field := range row {
			text, has := field.(string)
			if !has {
				b = append(b, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
			b = append(b, text...)
		}
	}
	return append(b, 0xff, 0xff)
}

// TestSplit makes a COPY of each transaction: of the rows of one partition that
// were decided at one time.
func TestSplit(t *testing.T) {
	t.Parallel()
	whole := rows(true,
		[]any{"p0", "t1", "a", "1"}, []any{"p0", "t1", "b", nil}, []any{"p0", "t2", "c", ""},
		[]any{"p1", "t2", "d", "4"}, []any{"p1", "t2", "e", "5"})
	lists, n, err := split(bytes.NewReader(whole))
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	want := [][][]byte{
		{rows(true, []any{"a", "1"}, []any{"b", nil}), rows(true, []any{"c", ""})},
		{rows(true, []any{"d", "4"}, []any{"e", "5"})},
	}
	if diff := cmp.Diff(want, lists); diff != "" {
		t.Error(diff)
	}
	first, second := halves(lists)
	if diff := cmp.Diff([][][]byte{want[0][:1], {}}, first); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][][]byte{want[0][1:], want[1]}, second); diff != "" {
		t.Error(diff)
	}
	if lists, n, err := split(bytes.NewReader(rows(true))); len(lists) != 0 || n != 0 || err != nil {
		t.Errorf("of no rows: %v, %d, %v", lists, n, err)
	}
	for end := range len(whole) - 1 {
		if _, _, err := split(bytes.NewReader(whole[:end])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v", end, err)
		}
	}
	if _, _, err := split(bytes.NewReader(rows(true, []any{"p0"}))); err == nil {
		t.Error("a row without a time was read")
	}
}
