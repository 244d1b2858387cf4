package processor

import (
	"errors"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// errPassedOver is the fault of a record that a person decided not to settle.
var errPassedOver = errors.New("passed over by monedero partitions set-progress")

// Skipper tells what becomes of records that are passed over instead of settled:
// what a [Settler] takes them for, but nothing is decided any more.
type Skipper struct{ classifier classifier }

// NewSkipper makes a skipper.
func NewSkipper(decode Decode, minter *ledger.Minter) Skipper {
	return Skipper{classifier{decode: decode, minter: minter}}
}

// Skip is a refusal where the record's ID computes and it lies in its partition,
// whatever its version; otherwise a dead letter. It never has a request.
func (s Skipper) Skip(r record.Record, c Claim) Item {
	item, newer := s.classifier.classify(r, c)
	switch {
	case newer != nil: // refused already
		return item
	case item.Request != nil:
		return refuseRequest(item, errPassedOver)
	}
	return item
}
