package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/monedero/monedero/internal/record"
)

// Where things are in a batch of message format 2, the only one since Kafka 0.11.
const (
	batchLengthAt     = 8
	batchMagicAt      = 16
	batchCRCAt        = 17
	batchAttributesAt = 21
	batchLastDeltaAt  = 23
	batchFirstTimeAt  = 27
	batchMaxTimeAt    = 35
	batchCountAt      = 57
	batchRecordsAt    = 61

	batchAfterLength = 12 // what the length does not count
	batchFormat      = 2

	leastHeader = 2 // bytes: two lengths of nothing

	attributeCompression = 7
	attributeAppendTime  = 1 << 3
	attributeControl     = 1 << 5
)

// maxBatchUnpacked is how much a compressed batch may hold.
const maxBatchUnpacked = maxFetchBytes

// hole is a range of offsets at which the log holds no record that can be read, and
// no marker of a transaction either. What was answered 202 may have been there.
type hole struct {
	from, to int64 // to is the first offset behind it
	cause    error
}

func (h *hole) Error() string {
	return fmt.Sprintf("the log holds no record that can be read at offset %d, and no marker: %v", h.from, h.cause)
}

func (h *hole) Unwrap() error { return h.cause }

// errNothing is the cause of a hole in a log from which something was taken.
var errNothing = errors.New("the offset is missing, as after compaction")

// scan goes through what a fetch brought. Each offset from the first one on is that
// of a record, that of a marker, or a hole.
type scan struct {
	from, next int64 // what was asked for; the offset behind all that was seen
	records    []record.Record
	holes      []*hole
	salvage    bool // go on behind a hole, and take what is left of a broken batch
}

// read goes through batches. It ends at the first hole, unless it salvages, and
// before a batch that the broker cut off where the answer became too large.
func (s *scan) read(set []byte) {
	for len(set) > batchMagicAt {
		length := int64(int32(binary.BigEndian.Uint32(set[batchLengthAt:])))
		if length <= batchMagicAt-batchAfterLength {
			s.miss(s.next+1, errors.New("a batch says that it has no length"))
			return
		}
		if length > int64(len(set)-batchAfterLength) {
			return
		}
		end := batchAfterLength + int(length)
		if !s.batch(set[:end:end]) {
			return
		}
		set = set[end:]
	}
}

// miss makes a hole of all up to an offset, and reports whether to go on behind it.
func (s *scan) miss(to int64, cause error) bool {
	if to <= s.next {
		return true
	}
	s.holes = append(s.holes, &hole{from: s.next, to: to, cause: cause})
	if s.salvage {
		s.next = to
	}
	return s.salvage
}

// batch goes through one batch, and reports whether to go on behind it.
func (s *scan) batch(b []byte) bool {
	base := int64(binary.BigEndian.Uint64(b))
	if !s.miss(base, errNothing) {
		return false
	}
	if format := b[batchMagicAt]; format != batchFormat || len(b) < batchRecordsAt {
		return s.miss(base+1, fmt.Errorf("message format %d is not read", format))
	}
	behind := base + int64(int32(binary.BigEndian.Uint32(b[batchLastDeltaAt:]))) + 1
	attributes := binary.BigEndian.Uint16(b[batchAttributesAt:])
	var broken error
	if crc32.Checksum(b[batchAttributesAt:], castagnoli()) != binary.BigEndian.Uint32(b[batchCRCAt:]) {
		broken = fmt.Errorf("the batch at offset %d fails its checksum", base)
		if count := int64(int32(binary.BigEndian.Uint32(b[batchCountAt:]))); base+count != behind {
			behind = base + 1 // its end is not to be trusted either
		}
	}
	switch {
	case attributes&attributeControl != 0 && broken == nil:
		s.next = max(s.next, behind)
		return true
	case attributes&attributeControl == 0 && (broken == nil || s.salvage):
		records, err := unpack(attributes, b[batchRecordsAt:])
		if err == nil {
			err = s.all(b, records, base, behind)
		}
		if broken == nil {
			broken = err
		}
	}
	if broken == nil {
		broken = errNothing
	}
	return s.miss(behind, broken)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, by the library

func unpack(attributes uint16, packed []byte) ([]byte, error) {
	kind := compress.Compression(attributes & attributeCompression)
	if kind == compress.None {
		return packed, nil
	}
	codec := kind.Codec()
	if codec == nil {
		return nil, fmt.Errorf("compression %d is not known", kind)
	}
	r := codec.NewReader(bytes.NewReader(packed))
	defer r.Close()
	all, err := io.ReadAll(io.LimitReader(r, maxBatchUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("the batch does not unpack: %w", err)
	}
	if len(all) > maxBatchUnpacked {
		return nil, fmt.Errorf("the batch holds more than %d bytes", maxBatchUnpacked)
	}
	return all, nil
}

// all goes through the records of a batch. It ends with an error at the first one
// that does not decode, unless it salvages.
func (s *scan) all(b, records []byte, base, behind int64) error {
	first := int64(binary.BigEndian.Uint64(b[batchFirstTimeAt:]))
	appended := binary.BigEndian.Uint16(b[batchAttributesAt:])&attributeAppendTime != 0
	at := cursor{b: records}
	for i := range int64(int32(binary.BigEndian.Uint32(b[batchCountAt:]))) {
		body := at.bytes()
		if body == nil {
			return errors.New("a record has no length, or ends behind its batch")
		}
		r, timeDelta, offsetDelta, err := readRecord(body)
		if offsetDelta < 0 {
			offsetDelta = i
		}
		if r.Offset = base + offsetDelta; r.Offset < s.from {
			continue
		}
		switch {
		case err != nil:
		case r.Offset > s.next && r.Offset < behind:
			if !s.salvage {
				return errNothing
			}
			s.miss(r.Offset, errNothing)
		case r.Offset != s.next:
			err = errors.New("its offset is out of order")
		}
		if err != nil {
			if !s.salvage {
				return fmt.Errorf("the record does not decode: %w", err)
			}
			if r.Offset = s.next; r.Offset >= behind {
				continue
			}
		}
		if r.Time = time.UnixMilli(first + timeDelta); appended {
			r.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(b[batchMaxTimeAt:])))
		}
		s.records = append(s.records, r)
		s.next++
	}
	return nil
}

// readRecord reads one record. With an error it returns what can be read: key and
// value, else all bytes as the value; and -1 as the offset where that cannot.
// Nothing is copied.
func readRecord(body []byte) (r record.Record, timeDelta, offsetDelta int64, err error) {
	at := cursor{b: body}
	at.skip(1) // attributes: none are defined
	timeDelta, offsetDelta = at.varint(), at.varint()
	if at.bad {
		offsetDelta = -1
	}
	r.Key, r.Value = at.nullable(), at.nullable()
	if at.bad {
		r.Key, r.Value = nil, body
		return r, timeDelta, offsetDelta, errors.New("it ends within its key or value")
	}
	headers := at.varint()
	if headers < 0 || headers > int64(len(at.b)/leastHeader) {
		return r, timeDelta, offsetDelta, errors.New("it has an impossible number of headers")
	}
	if headers > 0 {
		r.Headers = make([]record.Header, headers)
	}
	for i := range r.Headers {
		r.Headers[i] = record.Header{Key: headerName(at.bytes()), Value: at.nullable()}
	}
	if at.bad || len(at.b) > 0 {
		r.Headers = nil
		return r, timeDelta, offsetDelta, errors.New("it ends within its headers, or behind them")
	}
	return r, timeDelta, offsetDelta, nil
}

// headerName is the text, without an allocation for those that we write.
func headerName(b []byte) string {
	switch string(b) {
	case record.HeaderSpecVersion:
		return record.HeaderSpecVersion
	case record.HeaderID:
		return record.HeaderID
	case record.HeaderType:
		return record.HeaderType
	case record.HeaderSource:
		return record.HeaderSource
	case record.HeaderTime:
		return record.HeaderTime
	case record.HeaderContentType:
		return record.HeaderContentType
	case record.HeaderTraceparent:
		return record.HeaderTraceparent
	}
	return string(b)
}

// cursor reads bytes onwards. Once something does not fit, all is zero and bad.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) fail() { c.b, c.bad = nil, true }

// skip returns the bytes that it skips.
func (c *cursor) skip(n int64) []byte {
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// nullable is a length and as many bytes; nil where the length is negative.
func (c *cursor) nullable() []byte {
	n := c.varint()
	if n < 0 {
		return nil
	}
	return c.skip(n)
}

// bytes is nullable where there must be something; nil where there is not.
func (c *cursor) bytes() []byte {
	b := c.nullable()
	if b == nil {
		c.fail()
	}
	return b
}

func (c *cursor) int16() int16 {
	if b := c.skip(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.skip(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.skip(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}
