package ledger

import (
	"crypto/sha256"
	"strconv"
	"time"
)

// SealVersion is the newest version of what [Operation.Seal] covers.
const SealVersion = 7

// Field is one value that an operation on record consists of. The row of the history and
// its seal are made from the list of them; a new one goes to its end, with the next
// [SealVersion].
type Field struct {
	Column string // of the history
	Since  int32  // the first version of the seal that covers it; 0: none does
	// Of points to the value in an operation: an *int32, *int64, *string, *[16]byte,
	// *[32]byte or *time.Time.
	Of func(*Operation) any
	// Absent tells, where zero is a value like any other, when there is none; nil: zero is none.
	Absent func(*Operation) bool
}

// operationFields is the list. Up to the last of version 2 it has the order in which that
// version is encoded.
//
//nolint:gochecknoglobals // read only, and read for every operation
var operationFields = [...]Field{
	{Column: "id", Since: 2, Of: func(o *Operation) any { return (*[16]byte)(&o.ID) }},
	{Column: "kind", Since: 2, Of: func(o *Operation) any { return (*string)(&o.Kind) }},
	{Column: "wallet_id", Since: 2, Of: func(o *Operation) any { return (*[16]byte)(&o.Wallet) }},
	{Column: "merchant_id", Since: 2, Of: func(o *Operation) any { return (*[16]byte)(&o.Merchant) }},
	{Column: "client_id", Since: 2, Of: func(o *Operation) any { return (*[16]byte)(&o.Client) }},
	{Column: "amount", Since: 2, Of: func(o *Operation) any { return &o.Amount }},
	{Column: "currency", Since: 2, Of: func(o *Operation) any { return (*string)(&o.Currency) }},
	{Column: "invoice", Since: 2, Of: func(o *Operation) any { return &o.Invoice }},
	{Column: "description", Since: 2, Of: func(o *Operation) any { return &o.Description }},
	{Column: "metadata", Since: 2, Of: func(o *Operation) any { return (*string)(&o.Metadata) }},
	{Column: "note", Since: 2, Of: func(o *Operation) any { return &o.Note }},
	{Column: "idempotency_key", Since: 2, Of: func(o *Operation) any { return &o.IdempotencyKey }},
	{Column: "apply_before", Since: 2, Of: func(o *Operation) any { return &o.ApplyBefore }},
	{Column: "received_at", Since: 2, Of: func(o *Operation) any { return &o.ReceivedAt }},
	{Column: "log", Since: 2, Of: func(o *Operation) any { return &o.Place.Log }},
	{Column: "log_offset", Since: 2, Of: func(o *Operation) any { return &o.Place.Offset }, Absent: direct},
	{Column: "fingerprint", Since: 2, Of: func(o *Operation) any { return (*[32]byte)(&o.Fingerprint) }, Absent: never},
	{Column: "reason", Since: 2, Of: func(o *Operation) any { return (*string)(&o.Reason) }},
	{Column: "duplicate_of", Since: 2, Of: func(o *Operation) any { return (*[16]byte)(&o.DuplicateOf) }},
	{Column: "sequence", Since: 2, Of: func(o *Operation) any { return &o.Sequence }},
	{Column: "balance_after", Since: 2, Of: func(o *Operation) any { return &o.BalanceAfter }, Absent: walletless},
	{Column: "status_after", Since: 2, Of: func(o *Operation) any { return (*string)(&o.StatusAfter) }},
	{Column: "decided_at", Since: 2, Of: func(o *Operation) any { return &o.DecidedAt }},
	{Column: "limit_after", Since: 3, Of: func(o *Operation) any { return &o.LimitAfter }, Absent: walletless},
	{Column: "merchant_state", Since: 3, Of: func(o *Operation) any { return (*string)(&o.MerchantState) }},
	{Column: "merchant_owner", Since: 3, Of: func(o *Operation) any { return (*[16]byte)(&o.MerchantOwner) }},
	{Column: "asker_role", Since: 3, Of: func(o *Operation) any { return (*string)(&o.Asker.Role) }},
	{Column: "asker_id", Since: 3, Of: func(o *Operation) any { return &o.Asker.Owner }},
	{Column: "asker_key", Since: 3, Of: func(o *Operation) any { return (*[16]byte)(&o.Asker.Key) }},
	{Column: "position", Since: 3, Of: func(o *Operation) any { return &o.Position }},
	{Column: "refers_to", Since: 4, Of: func(o *Operation) any { return (*[16]byte)(&o.Refers) }},
	{Column: "moved", Since: 4, Of: func(o *Operation) any { return &o.Moved }},
	{Column: "left_after", Since: 4, Of: func(o *Operation) any { return &o.LeftAfter }, Absent: unreferring},
	{Column: "expires_in", Since: 5, Of: func(o *Operation) any { return &o.ExpiresIn }},
	{Column: "rest", Since: 5, Of: func(o *Operation) any { return (*string)(&o.Rest) }},
	{Column: "held_after", Since: 5, Of: func(o *Operation) any { return &o.HeldAfter }},
	{Column: "charges", Since: 6, Of: func(o *Operation) any { return (*string)(&o.Charges) }},
	{Column: "max_amount", Since: 6, Of: func(o *Operation) any { return &o.Terms.MaxAmount }},
	{Column: "per_day", Since: 6, Of: func(o *Operation) any { return &o.Terms.PerDay }},
	{Column: "per_month", Since: 6, Of: func(o *Operation) any { return &o.Terms.PerMonth }},
	{Column: "total", Since: 6, Of: func(o *Operation) any { return &o.Terms.Total }},
	{Column: "valid_until", Since: 6, Of: func(o *Operation) any { return &o.Terms.ValidUntil }},
	{Column: "mandate_day", Since: 6, Of: func(o *Operation) any { return &o.MandateDay }},
	{Column: "mandate_limit", Since: 6, Of: func(o *Operation) any { return (*string)(&o.MandateLimit) }},
	{Column: "reference", Since: 7, Of: func(o *Operation) any { return &o.Reference }},
	{Column: "seal", Of: func(o *Operation) any { return &o.SealVersion }},
	{Column: "digest", Of: func(o *Operation) any { return (*[32]byte)(&o.Digest) }, Absent: never},
}

func direct(o *Operation) bool      { return o.Place.IsZero() }
func walletless(o *Operation) bool  { return o.Sequence == 0 }
func unreferring(o *Operation) bool { return o.Refers.IsZero() && o.MandateLimit == "" }
func never(*Operation) bool         { return false }

// OperationFields lists every value of an operation on record. Nobody may change the list.
func OperationFields() []Field { return operationFields[:] }

// Seal computes the operation's digest in its SealVersion, over the digest of the wallet's
// previous operation and every field that this version covers. Previous is zero for the
// first operation, and for one without a sequence. Times count in microseconds.
func (o *Operation) Seal(previous Digest) Digest {
	e := make(encoder, 0, sealBytes).text(sealTitle(o.SealVersion)).bytes(previous[:])
	for i := range operationFields {
		if f := &operationFields[i]; f.Since != 0 && f.Since <= o.SealVersion {
			e = e.value(f.Of(o))
		}
	}
	return sha256.Sum256(e)
}

func sealTitle(version int32) string {
	if version == SealVersion {
		return "monedero operation 7"
	}
	return "monedero operation " + strconv.Itoa(int(version))
}

// value writes what a field points to.
func (e encoder) value(v any) encoder {
	switch v := v.(type) {
	case *string:
		return e.text(*v)
	case *[16]byte:
		return e.bytes(v[:])
	case *[32]byte:
		return e.bytes(v[:])
	case *int64:
		return e.int(*v)
	case *int32:
		return e.int(int64(*v))
	case *time.Time:
		return e.time(*v)
	}
	panic("a field of an operation has a type that the seal does not know")
}
