// Package record is what travels through Kafka: a record, its versions, and how a
// request is written as one and read from one. Ingest's side and the processor's share it.
package record

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

// Hash tells one record from another at the same offset.
type Hash [32]byte

// Hash covers key, value and headers: a topic made anew, or a tail written over, is
// found by it. It leaves out the time, which is the broker's to set. Two records of
// ours that agree in the rest are one request, down to the moment it was received.
func (r Record) Hash() Hash {
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
	return sha256.Sum256(b)
}

// Decoded is a record read as one of ours.
type Decoded struct {
	Version  int // of the wire format
	ID       ledger.OperationID
	Identity ledger.Identity
	Request  ledger.Request // only where Fault and Unknown are nil
	Fault    error          // why the record does not say a whole request
	Unknown  error          // what it says that this build does not know; there is no request then
}

// Version is the newest version of the wire format that this build decides. The
// fields of the identity, and the version, keep name and place in every version.
//
// The rule: whatever a build writes that the one before would not decide in the same
// way raises the version: a field, a kind, a source, a currency, a wider limit, another
// meaning. So a processor that is older than an ingest halts, and nothing that a newer
// one decides becomes a final failure. Fields, kinds and sources that are not known
// halt even where somebody forgot to. TestVersionCoversTheFormat keeps the rule.
const Version = 7
