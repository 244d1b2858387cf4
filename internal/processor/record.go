package processor

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// Record is one record of the topic, as fetched.
type Record struct {
	Offset  int64
	Key     []byte
	Value   []byte
	Headers []Header
	Time    time.Time
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// RecordHash tells one record from another at the same offset.
type RecordHash [32]byte

// Hash covers key, value, headers and timestamp (in milliseconds, as Kafka keeps
// it): a topic made anew, or a tail written over, is found by it.
func (r Record) Hash() RecordHash {
	var b []byte
	field := func(v []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	field(r.Key)
	field(r.Value)
	for _, h := range r.Headers {
		field([]byte(h.Key))
		field(h.Value)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMilli()))
	return sha256.Sum256(b)
}

// Decoded is a record read as one of ours.
type Decoded struct {
	Version  int // of the wire format
	ID       ledger.OperationID
	Identity ledger.Identity
	Request  ledger.Request // only where Fault is nil
	Fault    error          // why the record does not say a whole request
}

// Version is the newest version of the wire format that this build decides. The
// fields of the identity, and the version, keep name and place in every version.
const Version = 1

// Decode reads a record as one of ours. It fails when the record is not ours:
// when it does not even say its version, its ID and its identity. It trusts
// nothing else: not the ID, not the partition, not the values.
type Decode func(Record) (Decoded, error)
