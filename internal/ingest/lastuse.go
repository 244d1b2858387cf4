package ingest

import (
	"context"
	"log/slog"
	"sync"
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
// the path of requests. A batch that fails is written with the next one; what is
// gathered when the process dies is lost.
type lastUse struct {
	registry Registry
	log      *slog.Logger

	mu   sync.Mutex
	used map[ledger.KeyID]time.Time
}

func newLastUse(r Registry, log *slog.Logger) *lastUse {
	return &lastUse{registry: r, log: log, used: map[ledger.KeyID]time.Time{}}
}

func (u *lastUse) note(id ledger.KeyID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.used[id]; !known && len(u.used) >= maxLastUse {
		return
	}
	if u.used[id].Before(at) {
		u.used[id] = at
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

func (u *lastUse) write(ctx context.Context) {
	u.mu.Lock()
	batch := u.used
	u.used = map[ledger.KeyID]time.Time{}
	u.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastUseTimeout)
	defer cancel()
	if err := u.registry.Used(ctx, batch); err != nil {
		u.log.WarnContext(ctx, "last use of API keys not written", "keys", len(batch), "err", err)
		for id, at := range batch {
			u.note(id, at)
		}
	}
}
