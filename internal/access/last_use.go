package access

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of noting when keys were last used.
const (
	lastUseEvery   = 10 * time.Second
	lastUseTimeout = 5 * time.Second
	maxLastUse     = 10_000 // keys in one batch
)

// lastUse gathers when keys were last used and writes it down in batches, off
// the path of requests, which share no lock. A batch that fails is written with
// the next one; what is gathered when the process dies is lost.
type lastUse struct {
	registry Registry
	log      *slog.Logger

	used sync.Map     // ledger.KeyID to *use
	keys atomic.Int64 // in used
}

// use is when a key was last used, in Unix nanoseconds.
type use struct {
	at      atomic.Int64 // forgotten: it is not in lastUse.used any more, or soon will not be
	written int64        // of lastUse.write alone
}

const forgotten = -1

func newLastUse(r Registry, log *slog.Logger) *lastUse { return &lastUse{registry: r, log: log} }

func (u *lastUse) note(id ledger.KeyID, at time.Time) {
	for {
		found, known := u.used.Load(id)
		if !known {
			if u.keys.Load() >= maxLastUse {
				return
			}
			if found, known = u.used.LoadOrStore(id, &use{}); !known {
				u.keys.Add(1)
			}
		}
		if found.(*use).note(at.UnixNano()) {
			return
		}
	}
}

// note fails if the key was forgotten meanwhile.
func (k *use) note(at int64) bool {
	for {
		last := k.at.Load()
		if last == forgotten {
			return false
		}
		if last >= at || k.at.CompareAndSwap(last, at) {
			return true
		}
	}
}

// run writes until ctx ends, and then once more.
func (u *lastUse) run(ctx context.Context) error {
	tick := time.NewTicker(lastUseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			u.write(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			u.write(ctx)
		}
	}
}

// write writes what is new, and forgets the keys that were not used since the
// last time.
func (u *lastUse) write(ctx context.Context) {
	batch, at := map[ledger.KeyID]time.Time{}, map[*use]int64{}
	u.used.Range(func(id, found any) bool {
		k := found.(*use)
		last := k.at.Load()
		switch {
		case last > k.written:
			batch[id.(ledger.KeyID)], at[k] = time.Unix(0, last), last
		case k.at.CompareAndSwap(last, forgotten):
			u.used.Delete(id)
			u.keys.Add(-1)
		}
		return true
	})
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastUseTimeout)
	defer cancel()
	if err := u.registry.Used(ctx, batch); err != nil {
		u.log.WarnContext(ctx, "last use of API keys not written", "keys", len(batch), "err", err)
		return
	}
	for k, last := range at {
		k.written = last
	}
}
