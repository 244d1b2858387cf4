package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Status is how far an operation has come.
type Status string

// The statuses of an operation. Pending is never stored: it is what an operation
// is that has no outcome yet.
const (
	StatusPending  Status = "pending"
	StatusAccepted Status = "accepted"
	StatusFailed   Status = "failed"
)

// Place is where a record lies in its partition: the number of the log (1, 2,
// ...) and the offset. The zero value means that the operation was direct.
type Place struct {
	Log    int32
	Offset int64
}

// IsZero reports whether the operation came without a record.
func (p Place) IsZero() bool { return p.Log == 0 }

// Operation is what was asked of a wallet and what came of it: one row of the
// history, never changed.
type Operation struct {
	Request
	Place         Place
	Fingerprint   Fingerprint
	Position      int64         // 1, 2, 3 ... in its partition, in the order of commits
	Reason        Reason        // empty: accepted
	Moved         int64         // minor units: of what refers to an operation, what it moved; 0: nothing
	LeftAfter     int64         // minor units: of what refers to an operation, how much of that could still be moved after it; of a mandate_limit_exceeded, how much the limit would have let through
	MandateDay    int32         // of what used a mandate: the day that it counts for, since 1970-01-01 in UTC; 0: it used none
	MandateLimit  Limit         // of a mandate_limit_exceeded: which
	DuplicateOf   OperationID   // of a duplicate_invoice: the accepted charge
	MerchantState MerchantState // as it was found; empty: no merchant, or none of this ID
	MerchantOwner ClientID      // as it was found; zero: no client of ours
	Sequence      int64         // 1, 2, 3 ... in its wallet; 0: the wallet does not know of it
	BalanceAfter  int64         // minor units; only where Sequence is not 0
	HeldAfter     int64         // minor units; only where Sequence is not 0
	LimitAfter    int64         // the credit limit, minor units; only where Sequence is not 0
	StatusAfter   WalletStatus  // only where Sequence is not 0
	DecidedAt     time.Time
	SealVersion   int32 // what Digest covers
	Digest        Digest
}

// MerchantState is what a decision found of the merchant that asked to be paid.
type MerchantState string

// The states of a merchant.
const (
	MerchantActive    MerchantState = "active"
	MerchantSuspended MerchantState = "suspended"
)

// ExpiresAt is until when a hold is open at most; zero for everything else.
func (o Operation) ExpiresAt() time.Time {
	if o.Kind != KindHold || o.Reason != "" {
		return time.Time{}
	}
	return o.DecidedAt.Add(time.Duration(o.ExpiresIn) * time.Second)
}

// Status is accepted or failed: an Operation always has an outcome.
func (o Operation) Status() Status {
	if o.Reason == "" {
		return StatusAccepted
	}
	return StatusFailed
}

// Movement is what an accepted operation does to an account besides the wallet.
// It is zero where no money moves.
func (o Operation) Movement() Movement {
	kind := o.Kind.row()
	if o.Reason != "" || kind.moves == 0 {
		return Movement{}
	}
	return Movement{Account: kind.other(o.Request), Currency: o.Currency, Amount: -kind.moves * o.moved()}
}

// moved is what an accepted operation that moves money moved.
func (o Operation) moved() int64 {
	if o.Kind.row().refers != nil {
		return o.Moved
	}
	return o.Amount
}

// Fingerprint is a hash of what a request says apart from its identity and the time
// of its receipt. One ID with two fingerprints is a conflict.
type Fingerprint [32]byte

// Fingerprint hashes the request. The time of receipt is left out: a retry has
// another one. The time by which to decide is not: a retry that names a later one
// asks for something else.
//
// What refers to another operation has things from there that nobody asked for: the currency where it names no
// amount, and the invoice.
func (r Request) Fingerprint() Fingerprint {
	currency, invoice := r.Currency, r.Invoice
	if !r.Refers.IsZero() {
		invoice = ""
		if r.Amount == 0 {
			currency = ""
		}
	}
	e := make(encoder, 0, sealBytes).
		text("monedero fingerprint 2").
		text(string(r.Kind)).
		bytes(r.Wallet[:]).
		bytes(r.Merchant[:]).
		bytes(r.Client[:]).
		int(r.Amount).
		text(string(currency)).
		text(invoice).
		text(r.Description).
		text(string(r.Metadata)).
		text(r.Note).
		time(r.ApplyBefore)
	if !r.Refers.IsZero() {
		e = e.bytes(r.Refers[:])
	}
	if r.Rest != "" {
		e = e.text(string(r.Rest))
	}
	if r.ExpiresIn != 0 {
		e = e.int(r.ExpiresIn)
	}
	if r.Charges != "" {
		e = e.text(string(r.Charges))
	}
	if r.Terms != (Terms{}) {
		e = e.int(r.Terms.MaxAmount).int(r.Terms.PerDay).int(r.Terms.PerMonth).int(r.Terms.Total).time(r.Terms.ValidUntil)
	}
	if r.Reference != "" {
		e = e.text(r.Reference)
	}
	return sha256.Sum256(e)
}

// RefusedFingerprint is the fingerprint of a record that could not be read as a
// request: a hash of its bytes.
func RefusedFingerprint(value []byte) Fingerprint {
	return sha256.Sum256(encoder{}.text("monedero refused 1").bytes(value))
}

// Digest seals an operation and, through the one before it, the whole history
// of its wallet.
type Digest [32]byte

// sealBytes is room for what most operations say; whatever says more is given
// more. An encoder of a constant size that its function does not hand out costs
// no allocation.
const sealBytes = 1024

// encoder writes fields so that no two lists of fields have the same bytes:
// text with its length before it, numbers in eight bytes.
type encoder []byte

func (e encoder) text(s string) encoder {
	return append(binary.BigEndian.AppendUint32(e, uint32(len(s))), s...)
}

func (e encoder) bytes(b []byte) encoder {
	return append(binary.BigEndian.AppendUint32(e, uint32(len(b))), b...)
}

func (e encoder) int(v int64) encoder {
	return binary.BigEndian.AppendUint64(e, uint64(v))
}

// time writes microseconds since 1970, and the smallest number for no time.
func (e encoder) time(t time.Time) encoder {
	if t.IsZero() {
		return e.int(-1 << 63)
	}
	return e.int(t.UnixMicro())
}
