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
	if len(c.cached) != maxCachedKeys {
		t.Errorf("%d keys are cached, want %d", len(c.cached), maxCachedKeys)
	}
	if c.cached[id(0)] == nil {
		t.Error("the key in use was evicted")
	}
	c.loaded(Key{}, id(0), now, ErrNotFound)
	if c.cached[id(0)] != nil {
		t.Error("a key that is no more is still cached")
	}
	c.loaded(Key{}, id(1), now, errors.New("down"))
	if !c.trouble.After(now) {
		t.Error("a failed load is no sign of trouble")
	}
}
