package outcomes

import (
	"context"

	"github.com/monedero/monedero/internal/ledger"
)

// Decided is an operation on record, and what a reader of it needs besides.
type Decided struct {
	ledger.Operation
	Owner        ledger.ClientID // of the wallet; zero if there is no wallet
	MerchantName string          // of its merchant as it is now; empty if there is no such merchant
	Refunded     int64           // minor units: how much of it was given back up to now
	Hold         *Hold           // what became of an accepted hold up to now; nil for everything else
	Conflicts    int             // how many other requests came under its ID
	Log          int32           // of its partition at present; only [History.LookUp] says it
}

// TextBytes is how many bytes the operation's metadata, description and note take: what a page of
// operations is bounded by besides their number.
func (d *Decided) TextBytes() int { return len(d.Metadata) + len(d.Description) + len(d.Note) }

// Found is what a look-up found.
type Found struct {
	Decided []Decided            // in no order
	Next    map[int]ledger.Place // of the next record to settle, for each partition asked for
}

// Hold is what became of a hold, in minor units. What is in none of them was released.
type Hold struct {
	Captured, Expired, Remaining int64
}

// History reads what became of operations.
type History interface {
	// LookUp finds those of the operations that have an outcome, and where the
	// partitions of all of them stand, by partition and ID.
	LookUp(ctx context.Context, ids []ledger.OperationID) (Found, error)
	// DecidedIDs is which of the operations have an outcome, in no order: it costs less
	// than LookUp, above all where few have. And it says of the partitions where their next records lie.
	DecidedIDs(ctx context.Context, ids []ledger.OperationID, partitions []int) (known []ledger.OperationID, next map[int]ledger.Place, err error)
}
