package processor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/throttle"
)

const (
	expirePace    = time.Second
	expireTimeout = 5 * time.Second // of one look, and of sending what it found
	expireAgain   = time.Minute     // until an expire that is not decided is sent again
	// MaxDue is how many holds of one partition a look finds at most.
	MaxDue = 1000
)

// Due finds holds to expire.
type Due interface {
	// DueHolds are open holds of the partitions that the store claimed last and that do not halt, which were to
	// expire 10 seconds ago or earlier by the database's clock: of each partition the earliest, and [MaxDue] at most.
	DueHolds(ctx context.Context) ([]ledger.Hold, error)
}

// Queue takes records.
type Queue interface {
	// Send returns where the record lies, once it is durable. An error means that this is unknown.
	Send(ctx context.Context, r record.Record) (partition int, offset int64, err error)
}

// Expirer asks for the end of holds that are past their expiry. It does not end them: it puts an expire into
// the queue, and the hold ends when that record is settled, in the order of the log. A capture that was
// submitted before the hold's expiry lies before it, as long as clocks differ by less than 10 seconds.
//
// The ID of an expire follows from the hold and from when it expires, so that any number of them count once, whoever
// sends them. A hold that is decided anew, after its database was restored, expires by another one.
type Expirer struct {
	due     Due
	queue   Queue
	minter  *ledger.Minter
	log     *slog.Logger
	now     func() time.Time
	trouble throttle.Log
	sent    map[ledger.OperationID]time.Time // by hold, within expireAgain
}

// NewExpirer makes an expirer. A nil clock is the system's.
func NewExpirer(due Due, queue Queue, minter *ledger.Minter, log *slog.Logger, now func() time.Time) *Expirer {
	if now == nil {
		now = time.Now
	}
	return &Expirer{due: due, queue: queue, minter: minter, log: log, now: now, sent: map[ledger.OperationID]time.Time{}}
}

// Run looks once a second until ctx ends, and then returns nil. Trouble is logged, and what was not sent is
// sent at the next look.
func (e *Expirer) Run(ctx context.Context) error {
	tick := time.NewTicker(expirePace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.Sweep(ctx); err != nil && ctx.Err() == nil {
			if skipped, ok := e.trouble.Next(); ok {
				e.log.LogAttrs(ctx, slog.LevelWarn, "holds past their expiry wait", slog.Any("err", err), slog.Int("skipped", skipped))
			}
		}
	}
}

// Sweep looks once, and sends an expire for each hold that is due and has none on its way.
func (e *Expirer) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, expireTimeout)
	defer cancel()
	now := e.now()
	for hold, at := range e.sent {
		if now.Sub(at) >= expireAgain {
			delete(e.sent, hold)
		}
	}
	due, err := e.due.DueHolds(ctx)
	if err != nil {
		return err
	}
	// All at once: a partition that takes nothing keeps no other one waiting.
	var sending errgroup.Group
	failed := make([]bool, len(due))
	for i, hold := range due {
		if _, is := e.sent[hold.ID]; is {
			continue
		}
		e.sent[hold.ID] = now
		sending.Go(func() error {
			err := e.send(ctx, hold, now)
			failed[i] = err != nil
			return err
		})
	}
	err = sending.Wait()
	for i, again := range failed {
		if again {
			delete(e.sent, due[i].ID)
		}
	}
	return err
}

func (e *Expirer) send(ctx context.Context, hold ledger.Hold, now time.Time) error {
	r := Expire(hold, now)
	r.ID = e.minter.OperationID(r.Identity())
	value, headers, err := record.Encode(r)
	if err != nil {
		return fmt.Errorf("encode the expire of %s: %w", hold.ID, err)
	}
	_, _, err = e.queue.Send(ctx, record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers})
	return err
}

// Expire is the request that ends the hold, without its ID.
func Expire(hold ledger.Hold, now time.Time) ledger.Request {
	return ledger.Request{
		Kind: ledger.KindExpire, Asker: ledger.Asker{Party: ledger.AsSystem()}, Wallet: hold.Wallet, Merchant: hold.Merchant,
		Refers: hold.ID, IdempotencyKey: hold.ID.String() + " " + hold.ExpiresAt.UTC().Format(time.RFC3339Nano), ReceivedAt: now,
	}
}
