package processor

import "time"

// Progress is how far a partition is settled, and what became of its offsets from
// FirstOffset on.
type Progress struct {
	Claim      Claim  // the last one, as if it were made now
	Owner      string // who made it; empty: nobody since the progress was made or set
	Settled    int64
	Duplicates int64
	Conflicts  int64
	Dead       int64
	Gaps       int64
	UpdatedAt  time.Time
	HaltedAt   time.Time // when its owner noted a halt, whose cause is Claim.Halt; zero: none
	Goal       *int64    // the offset that a move which is not finished is to come to; nil: none
}
