package repair

import (
	"errors"
	"time"

	"github.com/monedero/monedero/internal/processor"
)

// ErrNotAsShown says that a progress is not where it was when a person decided about
// it. Nothing was changed.
var ErrNotAsShown = errors.New("the progress is not as it was shown: look again")

// Restored is a partition whose progress stands behind what is known of it outside of
// the database.
type Restored struct {
	Partition int
	Known     processor.Memory
	Found     processor.Memory
	UpdatedAt time.Time // when the progress was settled or claimed last
}

// Again is how many offsets are settled again; negative where nobody knows, because
// the log or the progress was set anew since.
func (r Restored) Again() int64 {
	if r.Known.Log != r.Found.Log || r.Known.NextOffset < r.Found.NextOffset {
		return -1
	}
	return r.Known.NextOffset - r.Found.NextOffset
}

// Epoch is the one under which the partition goes on: above all that were ever used.
func (r Restored) Epoch() int64 { return NextEpoch(max(r.Found.Epoch, r.Known.Epoch)) }

// Recovery is what a person decides to recover, and why.
type Recovery struct {
	Partitions []Restored
	History    int32 // the highest that is known outside of the database
	By, Reason string
}

// FindRestored compares every progress with what is known of it outside of the database,
// by partition.
func FindRestored(progress []processor.Progress, known map[int]processor.Memory) Recovery {
	var r Recovery
	for _, p := range progress {
		k, now := known[p.Claim.Partition], p.Claim.Memory()
		r.History = max(r.History, k.History)
		if now.Behind(k) {
			r.Partitions = append(r.Partitions, Restored{Partition: p.Claim.Partition, Known: k, Found: now, UpdatedAt: p.UpdatedAt})
		}
	}
	return r
}
