package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// operationColumns is how many columns write_operations.sql names.
const operationColumns = 26

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
// of the columns in write_operations.sql. It is complete before the first byte
// is sent: a fault inside COPY could not be told from trouble of the machinery.
func encodeOperations(partition int, operations []ledger.Operation) ([]byte, error) {
	r := rows{buf: make([]byte, 0, len(operations)*rowBytes)}
	r.buf = append(r.buf, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range operations {
		if err := r.operation(partition, &operations[i]); err != nil {
			return nil, fmt.Errorf("%w: encode operation %s: %w", processor.ErrData, operations[i].ID, err)
		}
	}
	return append(r.buf, 0xff, 0xff), nil
}

type rows struct {
	buf []byte
	err error
}

func (r *rows) operation(partition int, o *ledger.Operation) error {
	if o.ReceivedAt.IsZero() && o.Reason != ledger.ReasonProcessingError {
		return errReceived
	}
	r.buf = binary.BigEndian.AppendUint16(r.buf, operationColumns)
	r.int64(o.Place.Offset, !o.Place.IsZero())
	r.int64(o.Sequence, o.Sequence != 0)
	r.int64(o.Amount, o.Amount != 0)
	r.int64(o.BalanceAfter, o.Sequence != 0)
	r.time(o.ReceivedAt)
	r.time(o.DecidedAt)
	r.time(o.ApplyBefore)
	r.int32(int32(partition), true)
	r.int32(o.Place.Log, !o.Place.IsZero())
	r.id(o.ID)
	r.id(o.Wallet)
	r.id(o.Merchant)
	r.id(o.Client)
	r.id(o.DuplicateOf)
	r.text(string(o.Kind))
	r.text(string(o.Reason))
	r.text(string(o.Currency))
	r.text(string(o.StatusAfter))
	r.bytes(o.Fingerprint[:])
	r.bytes(o.Digest[:])
	r.text(o.IdempotencyKey)
	r.text(o.Invoice)
	if key, has := o.InvoiceKey(); has {
		r.bytes(key[:])
	} else {
		r.null()
	}
	r.text(o.Description)
	r.text(string(o.Metadata))
	r.text(o.Note)
	return r.err
}

func (r *rows) null() { r.buf = append(r.buf, 0xff, 0xff, 0xff, 0xff) }

func (r *rows) int64(v int64, valid bool) {
	if !valid {
		r.null()
		return
	}
	r.buf = append(r.buf, 0, 0, 0, 8)
	r.buf = binary.BigEndian.AppendUint64(r.buf, uint64(v))
}

func (r *rows) int32(v int32, valid bool) {
	if !valid {
		r.null()
		return
	}
	r.buf = append(r.buf, 0, 0, 0, 4)
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(v))
}

// time writes microseconds; the zero time is null.
func (r *rows) time(t time.Time) {
	if !t.IsZero() && !storable(t) {
		r.err = errTime
	}
	r.int64(t.UnixMicro()-epochMicros, !t.IsZero())
}

// id writes a UUID; the zero ID is null.
func (r *rows) id(id [16]byte) {
	if id == [16]byte{} {
		r.null()
		return
	}
	r.bytes(id[:])
}

// text writes a text; the empty text is null.
func (r *rows) text(s string) {
	if s == "" {
		r.null()
		return
	}
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(len(s)))
	r.buf = append(r.buf, s...)
}

func (r *rows) bytes(b []byte) {
	r.buf = binary.BigEndian.AppendUint32(r.buf, uint32(len(b)))
	r.buf = append(r.buf, b...)
}

// storable reports whether the database can hold the time, and JSON show it.
func storable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}
