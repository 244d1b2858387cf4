package processor

import (
	"fmt"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// Decode reads a record as one of ours. It fails when the record is not ours:
// when it does not even say its version, its ID and its identity. It trusts
// nothing else: not the ID, not the partition, not the values.
type Decode func(record.Record) (record.Decoded, error)

// classifier tells what each record is. It trusts no ID and no partition: it
// computes both again.
type classifier struct {
	decode Decode
	minter *ledger.Minter
}

// newerThanThis is why a newer processor has to decide a record: what it says is not
// known here, or (unknown is nil) its version is not.
func newerThanThis(offset int64, version int, unknown error) error {
	if unknown != nil {
		return fmt.Errorf("the record at offset %d says what this build does not know: %w", offset, unknown)
	}
	return fmt.Errorf("the record at offset %d is in version %d of the wire format, this build knows up to %d",
		offset, version, record.Version)
}

// classify reads one record. An error means that the record is ours and not for
// this build to decide; the item is then what it becomes if a person passes it
// over all the same.
func (c classifier) classify(r record.Record, claim Claim) (Item, error) {
	dead := func(format string, args ...any) (Item, error) {
		return Item{Record: r, Fault: fmt.Sprintf(format, args...)}, nil
	}
	d, err := c.read(r)
	if err != nil {
		return dead("not a record of ours: %v", err)
	}
	if p := d.Identity.Wallet.Partition(claim.Partitions); p != claim.Partition {
		return dead("in partition %d, but its wallet belongs to partition %d", claim.Partition, p)
	}
	if c.minter.OperationID(d.Identity) != d.ID {
		return dead("its operation ID does not follow from what it says")
	}
	if d.Version > record.Version || d.Unknown != nil {
		newer := newerThanThis(r.Offset, d.Version, d.Unknown)
		return refuseDecoded(r, d, newer), newer
	}
	if d.Fault != nil {
		return refuseDecoded(r, d, d.Fault), nil
	}
	return Item{Record: r, Request: &d.Request}, nil
}

// read decodes the record. A panic is the record's fault: it must not stand in
// the way of those behind it.
func (c classifier) read(r record.Record) (d record.Decoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading it panicked: %v", p)
		}
	}()
	return c.decode(r)
}

// refuseDecoded turns a record that says whose it is, and no request that this
// build can decide, into a refusal.
func refuseDecoded(r record.Record, d record.Decoded, cause error) Item {
	return refuse(Item{Record: r}, cause, ledger.Refusal{
		ID: d.ID, Kind: d.Identity.Kind, Wallet: d.Identity.Wallet,
		Asker: ledger.Asker{Party: d.Identity.Asker}, Merchant: d.Identity.Merchant,
		Fingerprint: ledger.RefusedFingerprint(r.Value), ReceivedAt: recordTime(r),
	})
}

// refuseRequest turns a request that could not be decided or stored into a
// refusal.
func refuseRequest(i Item, cause error) Item {
	q := i.Request
	return refuse(i, cause, ledger.Refusal{
		ID: q.ID, Kind: q.Kind, Wallet: q.Wallet, Asker: q.Asker, Merchant: q.Merchant,
		Fingerprint: q.Fingerprint(), ReceivedAt: recordTime(i.Record),
	})
}

// refuse makes a failed operation and its dead letter of a record. An expire is a dead letter alone: it is
// sent again, under the same ID, until its hold has ended.
func refuse(i Item, cause error, x ledger.Refusal) Item {
	if x.Kind == ledger.KindExpire {
		return Item{Record: i.Record, Expire: x.ID, Fault: strings.ToValidUTF8(cause.Error(), "?")}
	}
	if !x.Kind.Known() {
		x.Kind = ""
	}
	if !x.Asker.Role.Known() {
		x.Asker = ledger.Asker{}
	}
	return Item{Record: i.Record, Refusal: &x, Fault: strings.ToValidUTF8(cause.Error(), "?")}
}

// recordTime is when the record came in, unless its producer made that up: a
// time that no calendar here can hold counts as none.
func recordTime(r record.Record) time.Time {
	if y := r.Time.UTC().Year(); y < 1970 || y > 9999 {
		return time.Time{}
	}
	return r.Time
}
