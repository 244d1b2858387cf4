package ledger

import (
	"fmt"
	"slices"
	"time"
)

// MaxAmount is the largest amount and the largest balance: what a JSON number
// carries exactly.
const MaxAmount int64 = 1<<53 - 1

// The limits of text, in characters, and of metadata, in entries.
const (
	MaxKeyLength           = 255
	MaxInvoiceLength       = 128
	MaxReferenceLength     = 140 // as long as what a bank transfer says (ISO 20022, unstructured remittance information)
	MaxDescriptionLength   = 500
	MaxNoteLength          = 500
	MaxMetadataEntries     = 20
	MaxMetadataKeyLength   = 40
	MaxMetadataValueLength = 500
)

// Request is what somebody asks of a wallet.
type Request struct {
	ID             OperationID
	Kind           Kind
	Wallet         WalletID
	Asker          Asker
	Merchant       MerchantID  // whom it pays; zero where the kind pays nobody
	Refers         OperationID // of a refund: the charge that it gives back; of a capture, a release and an expire: the hold
	Client         ClientID    // of an open: who is to own the wallet
	Amount         int64       // minor units: what it moves, or the credit limit that it sets; of what refers to another operation zero: all that is left
	Currency       Currency
	Invoice        string
	Reference      string // of a top-up and a withdrawal: that of the transfer outside
	Description    string
	Metadata       Metadata
	Note           string  // of an operator to operators: nobody else is shown it
	ExpiresIn      int64   // of a hold: seconds, from its decision on
	Rest           Rest    // of a capture
	Charges        Charges // of an open
	Terms          Terms   // of a grant
	IdempotencyKey string
	ApplyBefore    time.Time // zero: no limit
	ReceivedAt     time.Time
}

// Rest is what becomes of what a capture leaves of its hold.
type Rest string

// RestKept leaves it held, for more captures. The zero value gives it back to the wallet: the
// capture is the hold's last one.
const RestKept Rest = "kept"

// The limits of a hold. What ends a hold, a last capture or a release of the rest, is accepted beyond the number of parts.
const (
	MinExpiresIn     = 60             // seconds
	MaxExpiresIn     = 30 * 24 * 3600 // seconds
	DefaultExpiresIn = 7 * 24 * 3600  // seconds: where whoever asks says nothing
	MaxHolds         = 1000           // that are open of one wallet
	MaxCaptures      = 50             // captures and releases of a part, of one hold
)

// Identity is what makes the request's ID. A direct operation without an
// idempotency key has none: its ID is random.
func (r Request) Identity() Identity {
	i := Identity{
		Kind: r.Kind, Asker: r.Asker.Party, Merchant: r.Merchant, Wallet: r.Wallet, Source: SourceKey, Value: r.IdempotencyKey,
	}
	if r.IdempotencyKey == "" {
		i.Source, i.Value = SourceInvoice, r.Invoice
	}
	return i
}

// Fault is one thing wrong with a request. It names the field and never echoes
// its value.
type Fault struct {
	Field   string // as on the wire: amount, metadata.color
	Message string
}

// Faults lists everything that makes the request impossible to decide, in the
// order of the fields; nil if there is nothing. The topic is an input like any other: what HTTP refuses
// is refused here too.
func (r Request) Faults() []Fault {
	var f faults
	kind := r.Kind.row()
	if kind.kind == "" {
		f.add("kind", "is not a kind of operation")
	}
	if r.Wallet.IsZero() {
		f.add("wallet_id", "is required")
	}
	f.asker(kind, r.Asker.Party)
	f.belongs(kind, "merchant_id", fieldMerchant, !r.Merchant.IsZero())
	if own := r.Asker.Merchant(); !r.Merchant.IsZero() && !own.IsZero() && own != r.Merchant {
		f.add("merchant_id", "must be the merchant that asks")
	}
	f.belongs(kind, "client_id", fieldClient, !r.Client.IsZero())
	f.refers(kind, r)
	f.money(kind, r)
	f.belongs(kind, "invoice", fieldInvoice, r.Invoice != "")
	f.label("invoice", r.Invoice, MaxInvoiceLength)
	f.belongs(kind, "reference", fieldReference, r.Reference != "")
	f.label("reference", r.Reference, MaxReferenceLength)
	f.text("description", r.Description, MaxDescriptionLength)
	f.metadata(r.Metadata)
	f.belongs(kind, "note", fieldNote, r.Note != "")
	if r.Note != "" && r.Asker.Role == RoleClient {
		f.add("note", "is for operators")
	}
	f.text("note", r.Note, MaxNoteLength)
	f.belongs(kind, "expires_in", fieldExpiresIn, r.ExpiresIn != 0)
	if r.ExpiresIn != 0 && (r.ExpiresIn < MinExpiresIn || r.ExpiresIn > MaxExpiresIn) {
		f.add("expires_in", fmt.Sprintf("must be from %d to %d seconds", MinExpiresIn, MaxExpiresIn))
	}
	f.belongs(kind, "rest", fieldRest, r.Rest != "")
	if r.Rest != "" && r.Rest != RestKept {
		f.add("rest", "must be kept, or left out")
	}
	f.belongs(kind, "charges", fieldCharges, r.Charges != "")
	if r.Charges != "" && r.Charges != ChargesMandated {
		f.add("charges", "must be mandated, or left out")
	}
	f.terms(kind, r.Terms)
	f.label("idempotency_key", r.IdempotencyKey, MaxKeyLength)
	switch {
	case r.IdempotencyKey != "" || !kind.queued:
	case kind.takes&fieldInvoice == 0, kind.holds: // by its invoice alone, the next hold would be the one that ended
		f.add("idempotency_key", "is required")
	case r.Invoice == "":
		f.add("idempotency_key", "is required where there is no invoice")
	}
	f.time("apply_before", r.ApplyBefore)
	f.time("received_at", r.ReceivedAt)
	return f
}

type faults []Fault

func (f *faults) add(field, message string) {
	*f = append(*f, Fault{Field: field, Message: message})
}

// belongs compares whether the field is there with whether the kind has it.
func (f *faults) belongs(kind *kindRow, name string, which field, there bool) {
	switch {
	case there && (kind.needs|kind.takes)&which == 0:
		f.add(name, "does not belong to this kind of operation")
	case !there && kind.needs&which != 0:
		f.add(name, "is required")
	}
}

// money refuses an amount or a currency that is none. A kind that may go without them has both or neither.
func (f *faults) money(kind *kindRow, r Request) {
	const both = fieldAmount | fieldCurrency
	if kind.takes&both == both {
		switch {
		case r.Amount == 0 && r.Currency == "":
			return
		case r.Amount == 0:
			f.add("amount", "is required beside a currency")
			return
		case r.Currency == "":
			f.add("currency", "is required beside an amount")
			return
		}
	}
	name, least := "amount", int64(1)
	if kind.limits {
		name, least = "credit_limit", 0
	}
	switch {
	case (kind.needs|kind.takes)&fieldAmount == 0:
		f.belongs(kind, "amount", fieldAmount, r.Amount != 0)
	case r.Amount < least || r.Amount > MaxAmount:
		f.add(name, fmt.Sprintf("must be from %d to %d minor units", least, MaxAmount))
	}
	switch {
	case (kind.needs|kind.takes)&fieldCurrency == 0:
		f.belongs(kind, "currency", fieldCurrency, r.Currency != "")
	case !r.Currency.Known():
		f.add("currency", "must be an ISO 4217 code in capitals")
	}
}

// terms refuses limits that are none.
func (f *faults) terms(kind *kindRow, t Terms) {
	for _, limit := range t.limits() {
		f.belongs(kind, string(limit.Name), fieldTerms, limit.Most != 0)
		if limit.Most < 0 || limit.Most > MaxAmount {
			f.add(string(limit.Name), fmt.Sprintf("must be from 1 to %d minor units", MaxAmount))
		}
	}
	f.belongs(kind, "valid_until", fieldTerms, !t.ValidUntil.IsZero())
	f.time("valid_until", t.ValidUntil)
}

// refers refuses an operation that cannot be one of the wallet's.
func (f *faults) refers(kind *kindRow, r Request) {
	name := "refers_to"
	if kind.refers != nil {
		name = string(kind.refers[0]) // as the API calls it
	}
	f.belongs(kind, name, fieldRefers, !r.Refers.IsZero())
	if kind.refers != nil && !r.Refers.IsZero() && r.Refers.Bucket() != r.Wallet.Bucket() {
		f.add(name, "is not of this wallet")
	}
}

// asker refuses who may not ask for the kind.
func (f *faults) asker(kind *kindRow, p Party) {
	switch {
	case !p.Role.Known():
		f.add("asked_by", "is required")
	case kind.kind != "" && !slices.Contains(kind.asks, p.Role):
		f.add("asked_by", "may not ask for this kind of operation")
	case p.Role.owns() == (p.Owner == [16]byte{}):
		f.add("asked_by", "must name the owner of a merchant's or a client's key, and no other")
	}
}

func (f *faults) metadata(m Metadata) {
	entries, err := m.entries()
	if err != nil {
		f.add("metadata", "must be a flat object of strings in canonical form")
		return
	}
	if len(entries) > MaxMetadataEntries {
		f.add("metadata", fmt.Sprintf("must not have more than %d entries", MaxMetadataEntries))
	}
	for _, e := range entries {
		before := len(*f)
		if e.key == "" {
			f.add("metadata", "must not have an empty key")
		}
		f.text("metadata", e.key, MaxMetadataKeyLength)
		field := "metadata." + e.key
		if len(*f) > before {
			field = "metadata" // a key that is itself at fault must not be echoed
		}
		f.text(field, e.value, MaxMetadataValueLength)
	}
}

// time refuses what RFC 3339 cannot carry, and what comes so near to the zero
// time that it would mean "none" once it is cut to microseconds.
func (f *faults) time(field string, t time.Time) {
	if !t.IsZero() && (t.UTC().Year() < 1970 || t.UTC().Year() > 9999) {
		f.add(field, "must lie in the years 1970 to 9999")
	}
}
