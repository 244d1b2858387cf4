package ingest

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of the cached API keys.
const (
	maxCachedKeys    = 10_000
	keyFreshFor      = 5 * time.Second         // while the database answers
	keyRefreshAfter  = 2500 * time.Millisecond // in the background, so that no request has to wait
	keyGoodFor       = 15 * time.Minute        // while it does not
	keyLoadTimeout   = 2 * time.Second
	keyReloadTimeout = 500 * time.Millisecond
	troublePause     = time.Second      // after a failed load: how long cached keys do without
	refreshPause     = troublePause / 4 // after a refresh that failed
	maxRefreshes     = 1000             // waiting in the background
	maxMisses        = 4                // loads of keys that are not cached, at once: made-up ones must not take every connection
	evictionSample   = 8
)

// keyCache verifies API keys. A key once loaded is at most keyFreshFor stale
// while the database answers, and good for keyGoodFor when it does not.
type keyCache struct {
	registry Registry
	clock    func() time.Time
	metrics  *Metrics
	log      *slog.Logger
	loads    singleflight.Group
	warnings throttle
	refresh  chan ledger.KeyID
	misses   chan struct{} // one token for each load of a key that is not cached

	mu      sync.Mutex // held for map operations only
	cached  map[ledger.KeyID]*cachedKey
	trouble time.Time // until then the database is taken to be down
}

type cachedKey struct {
	key        Key
	loadedAt   time.Time
	usedAt     time.Time
	refreshing bool
}

func newKeyCache(r Registry, clock func() time.Time, m *Metrics, log *slog.Logger) *keyCache {
	return &keyCache{
		registry: r, clock: clock, metrics: m, log: log,
		refresh: make(chan ledger.KeyID, maxRefreshes), misses: make(chan struct{}, maxMisses), cached: map[ledger.KeyID]*cachedKey{},
	}
}

// verify is the key that the text names and proves. It fails with
// CodeUnauthenticated, or with CodeDatabaseUnavailable where it cannot be told.
func (c *keyCache) verify(ctx context.Context, text string) (Key, error) {
	t, err := parseToken(text)
	if err != nil {
		return Key{}, refuse(CodeUnauthenticated, "the Authorization header holds no API key, or not a whole one")
	}
	key, err := c.key(ctx, t.id)
	if errors.Is(err, ErrNotFound) {
		return Key{}, refuse(CodeUnauthenticated, "there is no such API key")
	}
	if err != nil {
		return Key{}, err
	}
	hash := t.hash()
	now := c.clock()
	switch {
	case subtle.ConstantTimeCompare(hash[:], key.SecretHash[:]) != 1 || t.role != key.Role:
		return Key{}, refuse(CodeUnauthenticated, "there is no such API key")
	case !key.RevokedAt.IsZero():
		return Key{}, refuse(CodeUnauthenticated, "the API key is revoked")
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		return Key{}, refuse(CodeUnauthenticated, "the API key has expired")
	}
	return key, nil
}

func (c *keyCache) key(ctx context.Context, id ledger.KeyID) (Key, error) {
	now := c.clock()
	c.mu.Lock()
	e := c.cached[id]
	var key Key
	var age time.Duration
	if e != nil {
		e.usedAt = now
		key, age = e.key, now.Sub(e.loadedAt)
		if age >= keyRefreshAfter && !e.refreshing {
			e.refreshing = c.enqueue(id)
		}
	}
	down := now.Before(c.trouble)
	c.mu.Unlock()

	switch {
	case e == nil || age >= keyGoodFor:
		c.metrics.key("miss")
		return c.miss(ctx, id)
	case age < keyFreshFor:
		c.metrics.key("hit")
		return key, nil
	case down:
		c.metrics.key("stale")
		return key, nil
	}
	fresh, err := c.load(ctx, id, keyReloadTimeout)
	if err != nil && !errors.Is(err, ErrNotFound) {
		c.metrics.key("stale")
		return key, nil
	}
	c.metrics.key("hit")
	return fresh, err
}

// miss loads a key that is not cached, when it is its turn.
func (c *keyCache) miss(ctx context.Context, id ledger.KeyID) (Key, error) {
	ctx, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	select {
	case c.misses <- struct{}{}:
		defer func() { <-c.misses }()
		return c.load(ctx, id, keyLoadTimeout)
	case <-ctx.Done():
		return Key{}, ctx.Err()
	}
}

// enqueue reports whether there was room.
func (c *keyCache) enqueue(id ledger.KeyID) bool {
	select {
	case c.refresh <- id:
		return true
	default:
		return false
	}
}

// run loads keys again before they are stale, until ctx ends.
func (c *keyCache) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-c.refresh:
			_, err := c.load(ctx, id, keyReloadTimeout) // logged there; the cached key stays
			c.mu.Lock()
			if e := c.cached[id]; e != nil {
				e.refreshing = false
			}
			c.mu.Unlock()
			if err != nil && !errors.Is(err, ErrNotFound) {
				sleep(ctx, refreshPause)
			}
		}
	}
}

// load reads the key, once for all who ask at the same time. It goes on when
// the one who asked first is gone, since others may wait for it.
func (c *keyCache) load(ctx context.Context, id ledger.KeyID, timeout time.Duration) (Key, error) {
	result := c.loads.DoChan(id.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		// The time before the read counts: what was read may be revoked right after.
		at := c.clock()
		key, err := c.registry.Key(ctx, id)
		c.loaded(key, id, at, err)
		return key, err
	})
	select {
	case r := <-result:
		if r.Err != nil && !errors.Is(r.Err, ErrNotFound) {
			c.metrics.key("unavailable")
			if skipped, ok := c.warnings.next(); ok {
				c.log.WarnContext(ctx, "API key not loaded", "key_id", id.String(), "err", r.Err, "skipped", skipped)
			}
		}
		key, _ := r.Val.(Key)
		return key, r.Err
	case <-ctx.Done():
		return Key{}, ctx.Err()
	}
}

func (c *keyCache) loaded(key Key, id ledger.KeyID, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, ErrNotFound):
		delete(c.cached, id)
	case err != nil:
		c.trouble = c.clock().Add(troublePause)
		return
	default:
		if c.cached[id] == nil && len(c.cached) >= maxCachedKeys {
			c.evict()
		}
		c.cached[id] = &cachedKey{key: key, loadedAt: at, usedAt: at}
	}
	c.trouble = time.Time{}
}

// evict removes the longest unused of a few keys that the map happens to give.
func (c *keyCache) evict() {
	var oldest ledger.KeyID
	var usedAt time.Time
	seen := 0
	for id, e := range c.cached {
		if seen == 0 || e.usedAt.Before(usedAt) {
			oldest, usedAt = id, e.usedAt
		}
		if seen++; seen == evictionSample {
			break
		}
	}
	delete(c.cached, oldest)
}
