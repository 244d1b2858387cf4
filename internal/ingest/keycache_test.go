package ingest

import (
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
