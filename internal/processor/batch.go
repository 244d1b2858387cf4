package processor

import (
	"context"

	"github.com/monedero/monedero/internal/record"
)

// Batch is consecutive records of one partition under one claim. It covers the
// offsets From up to, but not including, To; offsets without a record are gaps.
type Batch struct {
	Claim    Claim
	From, To int64
	Records  []record.Record
}

// Handler settles a batch, and answers what became of it. The next batch of a
// partition comes only after the answer; batches of several partitions come at once.
type Handler func(context.Context, Batch) Result

// Result is what became of a batch. The zero value is Again, for no reason that is
// known.
type Result struct {
	Kind  ResultKind
	Cause error // nil where the batch is settled
}

// ResultKind says what whoever handed out a batch does next.
type ResultKind int

// The kinds of result.
const (
	ResultAgain   ResultKind = iota // hands out the same batch again
	ResultSettled                   // hands out the next one
	ResultFenced                    // gives up the claim: the partition has another owner
	ResultHalt                      // hands out nothing more until a new claim finds the partition mended
)

// Settled says that every offset of the batch is settled, durably.
func Settled() Result { return Result{Kind: ResultSettled} }

// Again says that part of the batch may not be settled, and that the same batch again
// goes on behind what is.
func Again(cause error) Result { return Result{Kind: ResultAgain, Cause: cause} }

// Fenced says that another owner claimed the partition.
func Fenced(cause error) Result { return Result{Kind: ResultFenced, Cause: cause} }

// Halt says that the partition's state cannot be right, and why.
func Halt(cause error) Result { return Result{Kind: ResultHalt, Cause: cause} }

func (r Result) settled() bool { return r.Kind == ResultSettled }
