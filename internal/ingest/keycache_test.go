package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/ledger"
)

// TestKeyCacheIsBounded loads more keys than fit: the number stays, and a key in
// use stays too.
func TestKeyCacheIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	c := newKeyCache(nil, func() time.Time { return now }, NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	id := func(n int) (id ledger.KeyID) {
		binary.BigEndian.PutUint64(id[8:], uint64(n))
		return id
	}
	for n := range 2 * maxCachedKeys {
		now = now.Add(time.Microsecond)
		c.loaded(Key{ID: id(n)}, id(n), now, nil)
		if _, err := c.key(t.Context(), id(0)); err != nil {
			t.Fatal(err)
		}
	}
	cached := 0
	c.cached.Range(func(any, any) bool {
		cached++
		return true
	})
	if cached != maxCachedKeys || len(c.ids) != maxCachedKeys {
		t.Errorf("%d keys are cached under %d IDs, want %d", cached, len(c.ids), maxCachedKeys)
	}
	if c.get(id(0)) == nil {
		t.Error("the key in use was evicted")
	}
	c.loaded(Key{}, id(0), now, ErrNotFound)
	if c.get(id(0)) != nil || len(c.ids) != maxCachedKeys-1 {
		t.Error("a key that is no more is still cached")
	}
	c.loaded(Key{}, id(1), now, errors.New("down"))
	if c.trouble.Load() <= now.UnixNano() {
		t.Error("a failed load is no sign of trouble")
	}
}

// TestMissesWhileLoadsFail: everybody waits for a turn, but few once the database is
// known to be down.
func TestMissesWhileLoadsFail(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	c := newKeyCache(nil, func() time.Time { return now }, NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	for range maxMisses { // nobody's turn comes
		c.misses <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	miss := func(ctx context.Context, waiting int64) error {
		c.missing.Store(waiting)
		_, err := c.key(ctx, ledger.KeyID{1})
		if got := c.missing.Load(); got != waiting {
			t.Errorf("%d wait, and %d did before", got, waiting)
		}
		return err
	}
	if err := miss(gone, 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("one that waits: %v", err)
	}
	c.loaded(Key{}, ledger.KeyID{2}, now, errors.New("down"))
	if err := miss(gone, maxMisses-1); !errors.Is(err, context.Canceled) {
		t.Errorf("the last that may wait while the database is down: %v", err)
	}
	if err := miss(t.Context(), maxMisses); !errors.Is(err, errKeyUnknown) {
		t.Errorf("one more while it is down: %v", err)
	}
	c.loaded(Key{}, ledger.KeyID{2}, now, ErrNotFound)
	if err := miss(gone, 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("one that waits for a database that is back: %v", err)
	}
}
