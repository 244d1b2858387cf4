package processor

import (
	"context"
	"sync/atomic"

	"github.com/monedero/monedero/internal/record"
)

// Batch is what one message of the subscriber carries, in the message's context:
// consecutive records of one partition under one claim. It covers the offsets
// From up to, but not including, To; offsets without a record are gaps.
//
// Ack means that all of it is settled, Nack that all of it is to come again.
// Before Nack the handler may say that it would be in vain: Fenced or Halt.
type Batch struct {
	Claim    Claim
	From, To int64
	Records  []record.Record

	fenced atomic.Bool
	halt   atomic.Pointer[error]
}

// Fenced says that another owner claimed the partition: the subscriber is to
// give up this claim.
func (b *Batch) Fenced() { b.fenced.Store(true) }

// Halt says that the partition's state cannot be right and why: the subscriber
// is to deliver nothing more until a new claim finds it mended.
func (b *Batch) Halt(cause error) { b.halt.Store(&cause) }

// IsFenced reports whether Fenced was called.
func (b *Batch) IsFenced() bool { return b.fenced.Load() }

// Halted is the cause given to Halt, or nil.
func (b *Batch) Halted() error {
	if cause := b.halt.Load(); cause != nil {
		return *cause
	}
	return nil
}

type batchKey struct{}

// WithBatch puts the batch into a message's context.
func WithBatch(ctx context.Context, b *Batch) context.Context {
	return context.WithValue(ctx, batchKey{}, b)
}

// BatchFrom takes the batch out of a message's context; nil if there is none.
func BatchFrom(ctx context.Context) *Batch {
	b, _ := ctx.Value(batchKey{}).(*Batch)
	return b
}
