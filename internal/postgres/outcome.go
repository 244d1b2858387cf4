package postgres

import (
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// outcome is what becomes of a slice.
type outcome struct {
	claim   processor.Claim
	slice   processor.Slice
	book    *ledger.Book
	letters []letter
	tally   processor.Tally
}

// decide takes the items in their order. A panic in the rules is the data's
// fault: the item that causes it is found by trying smaller slices.
func (o *outcome) decide() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: deciding panicked: %v", processor.ErrData, p)
		}
	}()
	for _, item := range o.slice.Items {
		at := ledger.Place{Log: o.claim.Log, Offset: item.Record.Offset}
		switch {
		case item.Request != nil:
			o.count(o.book.Decide(*item.Request, at))
		case item.Refusal != nil:
			v := o.book.Refuse(*item.Refusal, at)
			o.count(v)
			// A duplicate has the payload of the first one, which is kept.
			if v != ledger.Duplicate {
				o.letters = append(o.letters, letter{item: item, operation: item.Refusal.ID})
			}
		default:
			o.tally.Dead++
			o.letters = append(o.letters, letter{item: item})
		}
	}
	o.tally.Gaps = int(o.slice.To-o.slice.From) - len(o.slice.Items)
	o.tally.Outcomes = map[processor.Outcome]int{}
	for _, op := range o.book.Operations() {
		o.tally.Outcomes[processor.Outcome{Kind: op.Kind, Reason: op.Reason}]++
	}
	return nil
}

func (o *outcome) count(v ledger.Verdict) {
	switch v {
	case ledger.Settled:
		o.tally.Settled++
	case ledger.Duplicate:
		o.tally.Duplicates++
	case ledger.Conflicting:
		o.tally.Conflicts++
	}
}

// lastRecord is the hash of the record at the last offset; nil if that offset
// holds none.
func (o *outcome) lastRecord() []byte {
	if len(o.slice.Items) == 0 {
		return nil
	}
	last := o.slice.Items[len(o.slice.Items)-1].Record
	if last.Offset != o.slice.To-1 {
		return nil
	}
	hash := last.Hash()
	return hash[:]
}
