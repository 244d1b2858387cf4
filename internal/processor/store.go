package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// Claim is the right to settle a partition. It holds until somebody claims the
// partition again; then the epoch has moved on and nothing under the old one
// commits.
type Claim struct {
	Topic       string
	Partition   int
	Partitions  int    // of the topic, as the database knows it
	ClusterID   string // of the Kafka cluster, as the database knows it
	History     int32  // of the database: how often it was recovered, and one
	Log         int32
	Epoch       int64
	MovedEpoch  int64        // under which the progress came to NextOffset
	FirstOffset int64        // where the counts began: at 0, or where a person set the progress
	NextOffset  int64        // the first offset that is not settled
	LastRecord  *record.Hash // of the record at NextOffset - 1; nil: nothing to compare
	Halt        string       // why the last owner noted that the partition halts; empty: it noted none
}

// Claimer hands out claims. A subscriber claims a partition when it is assigned, and
// again after a fence or a halt.
type Claimer interface {
	// Claim raises the partition's epoch and fences off every earlier owner. It
	// waits for a settle that is committing. It fails with ErrNoProgress where
	// the partition has no progress row, which it never makes, and with
	// ErrRestored where the progress stands behind what is known of it, and with
	// an *UnfinishedMoveError while a person moves it. A claim that fails with one of
	// these changes nothing, so that the next one fails too.
	Claim(ctx context.Context, topic string, partition int, known Memory) (Claim, error)
}

// Holder is a Claimer that can tell whether claims still hold. A partition to
// which nothing comes is never fenced, and must hear all the same that a person
// moved its progress, or that the database was restored.
type Holder interface {
	// Holds says which of the partitions, by number, are held no more, and why:
	// ErrFenced, ErrRestored or ErrNoProgress. An error means that it cannot tell.
	Holds(ctx context.Context, known map[int]Memory) (map[int]error, error)
}

// Halts is a Claimer that keeps why a partition halts: whoever looks at it has only
// the database to ask, and its owner may be gone.
type Halts interface {
	// NoteHalt writes down why the partition halts under the claim; empty: that it
	// goes on. It fails with ErrFenced once the partition was claimed again or its
	// progress set, and with another error where it could not be written.
	NoteHalt(ctx context.Context, c Claim, cause string) error
}

// Item is one record and what it was taken for: a request to decide, a refusal
// to record beside its dead letter, or (both nil) only a dead letter, which of an expire says whose it is.
type Item struct {
	Record  record.Record
	Request *ledger.Request
	Refusal *ledger.Refusal
	Expire  ledger.OperationID // of a dead letter that is an expire: its ID
	Fault   string             // why it is a dead letter; a sentence for the operator
}

// Slice is a part of a batch that is settled in one transaction. Its items lie
// in offset order within From and To; To is excluded.
type Slice struct {
	From, To int64
	Items    []Item
}

// Tally counts what became of the offsets of a slice; the five counts add up to
// To - From.
type Tally struct {
	Settled    int // new operations, refusals included
	Duplicates int
	Conflicts  int
	Dead       int // dead letters that are no operation
	Gaps       int // offsets without a record
	Outcomes   map[OutcomeLabel]int
}

// OutcomeLabel is what the counts of operations are labelled with. Reason is empty for
// accepted ones.
type OutcomeLabel struct {
	Kind   ledger.Kind
	Reason ledger.Reason
}

// Store settles.
type Store interface {
	// Settle decides the slice and records its outcomes together with the
	// progress, in one transaction: all of it is durable when Settle returns
	// nil, and nothing of it when it fails with one of
	//
	//   - ErrFenced: the claim is no longer ours
	//   - ErrRestored: the progress went back to an earlier moment
	//   - *MovedError: the progress is already beyond From under this claim: an
	//     earlier commit of ours whose answer was lost
	//   - ErrProgress: the progress is neither at From nor where we left it
	//   - ErrData: one of the items cannot be decided, encoded or stored
	//   - ErrIntegrity: the database found our own rules broken
	//
	// Every other error is trouble of the machinery: whether it committed is
	// unknown, and the same call again finds out.
	Settle(ctx context.Context, c Claim, s Slice) (Tally, error)
}

// The errors of [Store] and [Claimer] that decide what happens next.
var (
	ErrFenced     = errors.New("the partition was claimed by another owner")
	ErrNoProgress = errors.New("the partition has no progress row")
	ErrProgress   = errors.New("the progress is not where its owner left it")
	ErrRestored   = errors.New("restored: the database is at an earlier moment than what was settled")
	ErrData       = errors.New("the data was refused")
	ErrIntegrity  = errors.New("the data broke a rule of the database")
)

// UnfinishedMoveError says that a person moves the progress to the goal, an offset, or that
// this was broken off: nobody may claim the partition until it is there.
type UnfinishedMoveError struct{ Goal int64 }

func (e *UnfinishedMoveError) Error() string {
	return fmt.Sprintf("a move of the progress to offset %d is not finished", e.Goal)
}

// MovedError says how far an earlier commit of ours got.
type MovedError struct{ NextOffset int64 }

func (e *MovedError) Error() string {
	return fmt.Sprintf("already settled up to offset %d", e.NextOffset)
}
