package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// rowBytes is about what an operation takes; only a guess to start with.
const rowBytes = 512

// epochMicros is 2000-01-01 in microseconds since 1970: where PostgreSQL counts
// from.
const epochMicros = 946_684_800_000_000

var (
	errTime     = errors.New("a time is outside of the years 1 to 9999")
	errReceived = errors.New("the time of receipt is missing")
)

// encodeOperations writes the operations in COPY's binary format, in the order
// of the columns in write_operations.sql; nil where there are none. It is complete before the
// first byte is sent: a fault inside COPY could not be told from trouble of the machinery.
func encodeOperations(sets []writeSet) ([]byte, error) {
	n := 0
	for i := range sets {
		n += len(sets[i].book.Operations())
	}
	if n == 0 {
		return nil, nil
	}
	r := copyBuffer{buf: make([]byte, 0, n*rowBytes)}
	r.buf = append(r.buf, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range sets {
		operations := sets[i].book.Operations()
		for j := range operations {
			if err := r.operation(sets[i].partition, &operations[j]); err != nil {
				err = fmt.Errorf("%w: encode operation %s: %w", processor.ErrData, operations[j].ID, err)
				return nil, &portionError{sets[i].partition, err}
			}
		}
	}
	return append(r.buf, 0xff, 0xff), nil
}

// copyBuffer grows by fields in COPY's binary format. Its err is that of a value that cannot be stored.
type copyBuffer struct {
	buf []byte
	err error
}

func (r *copyBuffer) operation(partition int, o *ledger.Operation) error {
	if o.ReceivedAt.IsZero() && o.Reason != ledger.ReasonProcessingError {
		return errReceived
	}
	fields := ledger.OperationFields()
	r.buf = binary.BigEndian.AppendUint16(r.buf, uint16(2+len(fields))) //nolint:gosec // some thirty
	r.int32(int32(partition))                                           //nolint:gosec // 65536 at most
	if key, has := o.InvoiceKey(); has {
		r.bytes(key[:])
	} else {
		r.null()
	}
	for i := range fields {
		r.field(&fields[i], o)
	}
	return r.err
}

// field writes a value; zero is null, unless the field says when it is none.
func (r *copyBuffer) field(f *ledger.Field, o *ledger.Operation) {
	if f.Absent != nil && f.Absent(o) {
		r.null()
		return
	}
	kept := f.Absent != nil // zero is a value
	switch v := f.Of(o).(type) {
	case *string:
		if kept || *v != "" {
			r.text(*v)
			return
		}
	case *[16]byte:
		if kept || *v != [16]byte{} {
			r.bytes(v[:])
			return
		}
	case *[32]byte:
		if kept || *v != [32]byte{} {
			r.bytes(v[:])
			return
		}
	case *int64:
		if kept || *v != 0 {
			r.int64(*v)
			return
		}
	case *int32:
		if kept || *v != 0 {
			r.int32(*v)
			return
		}
	case *time.Time:
		if kept || !v.IsZero() {
			r.time(*v)
			return
		}
	}
	r.null()
}

func (r *copyBuffer) null() { r.buf = append(r.buf, 0xff, 0xff, 0xff, 0xff) }

func (r *copyBuffer) int64(v int64) {
	r.buf = append(r.buf, 0, 0, 0, 8)
	r.buf = binary.BigEndian.AppendUint64(r.buf, uint64(v)) //nolint:gosec // the same bits
}

func (r *copyBuffer) int32(v int32) {
	r.buf = append(r.buf, 0, 0, 0, 4)
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(v)) //nolint:gosec // the same bits
}

// time writes microseconds.
func (r *copyBuffer) time(t time.Time) {
	if !storable(t) {
		r.err = errTime
	}
	r.int64(t.UnixMicro() - epochMicros)
}

func (r *copyBuffer) text(s string) {
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(len(s))) //nolint:gosec // a record is smaller
	r.buf = append(r.buf, s...)
}

func (r *copyBuffer) bytes(b []byte) {
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(len(b)))
	r.buf = append(r.buf, b...)
}

// storable reports whether the database can hold the time, and JSON show it.
func storable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}
