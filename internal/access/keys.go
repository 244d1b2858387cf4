package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
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
	maxKeyWaits      = 256              // keys that wait for such a load
	maxMisses        = 4                // loads of keys that are not cached, at once: made-up ones must not take every connection
	evictionSample   = 8
	unknownFor       = time.Second // a key that is not found is not looked up again
	maxUnknownKeys   = 1000        // remembered; one more, and all are forgotten
)

// Keys verifies API keys, and notes when they were last used. What it knows of a key is
// at most 5 s old while the database answers, and good for 15 minutes while it does not. A
// text that was not issued under the minter's secret is looked up nowhere. Keys needs
// [Keys.Run] beside it, and is safe for concurrent use.
type Keys struct {
	registry Registry
	minter   *ledger.Minter
	clock    func() time.Time
	count    func(result string)
	log      *slog.Logger
	lastUse  *lastUse
	loads    singleflight.Group
	warnings throttle.Log
	refresh  chan ledger.KeyID
	misses   chan struct{} // one token for each load of a key that is not cached
	missing  atomic.Int64  // keys that are loaded so, or wait for their turn

	cached  sync.Map     // ledger.KeyID to *cachedKey
	trouble atomic.Int64 // until then (Unix nanoseconds) the database is taken to be down; 0: the last load did not fail

	mu      sync.Mutex // held to add a key and to remove one
	ids     []ledger.KeyID
	unknown map[ledger.KeyID]time.Time // what the database was seen not to have, and when
}

// cachedKey is a key as it was when it was read.
type cachedKey struct {
	key        ledger.Key
	loadedAt   time.Time
	usedAt     atomic.Int64 // Unix nanoseconds
	refreshing atomic.Bool
}

// Results are how a verification may go, as they are counted: a key that is cached (hit) or
// is read (miss), the last that is known of one while the database does not answer
// (stale), none because it does not (unavailable); a text that this deployment did not issue
// (malformed); a key that was just seen not to exist (unknown).
func Results() []string {
	return []string{"hit", "miss", "stale", "unavailable", "malformed", "unknown"}
}

// NewKeys makes a cache of the keys in r that were issued under the minter's secret. It
// calls count with one of [Results] for each step of a verification.
func NewKeys(r Registry, minter *ledger.Minter, clock func() time.Time, count func(result string), log *slog.Logger) *Keys {
	return &Keys{
		registry: r, minter: minter, clock: clock, count: count, log: log, lastUse: newLastUse(r, log), unknown: map[ledger.KeyID]time.Time{},
		refresh: make(chan ledger.KeyID, maxRefreshes), misses: make(chan struct{}, maxMisses),
	}
}

// Verify is the key that the text names and proves, and notes that it was used. It fails
// with an [Invalid] if the text is not that of a key that is good now, with [ErrCrowded] if the
// key is not cached and too many others are looked up first, and with another error where it
// cannot be told: then the key may be good.
func (c *Keys) Verify(ctx context.Context, text string) (ledger.Key, error) {
	t, err := parseToken(c.minter, text)
	if err != nil {
		c.count("malformed")
		return ledger.Key{}, notIssued
	}
	key, err := c.key(ctx, t.id)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.Key{}, noSuchKey
	}
	if err != nil {
		return ledger.Key{}, err
	}
	hash := t.hash()
	now := c.clock()
	switch {
	case subtle.ConstantTimeCompare(hash[:], key.SecretHash[:]) != 1 || t.role != key.Role:
		return ledger.Key{}, noSuchKey
	case !key.RevokedAt.IsZero():
		return ledger.Key{}, revoked
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		return ledger.Key{}, expired
	}
	c.lastUse.note(key.ID, now)
	return key, nil
}

// key is the key of the ID, as far as it is known.
func (c *Keys) key(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	now := c.clock()
	e := c.get(id)
	var age time.Duration
	if e != nil {
		e.usedAt.Store(now.UnixNano())
		if age = now.Sub(e.loadedAt); age >= keyRefreshAfter && !e.refreshing.Swap(true) && !c.enqueue(id) {
			e.refreshing.Store(false)
		}
	}
	switch {
	case e == nil && c.isUnknown(id, now):
		c.count("unknown")
		return ledger.Key{}, ledger.ErrNotFound
	case e == nil || age >= keyGoodFor:
		c.count("miss")
		return c.miss(ctx, id)
	case age < keyFreshFor:
		c.count("hit")
		return e.key, nil
	case now.UnixNano() < c.trouble.Load():
		c.count("stale")
		return e.key, nil
	}
	fresh, err := c.load(ctx, id, keyReloadTimeout, c.read)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		c.count("stale")
		return e.key, nil
	}
	c.count("hit")
	return fresh, err
}

// isUnknown reports whether the database was just seen not to have the key.
func (c *Keys) isUnknown(id ledger.KeyID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, found := c.unknown[id]
	return found && now.Sub(at) < unknownFor
}

// get is the cached key; nil if it is not cached.
func (c *Keys) get(id ledger.KeyID) *cachedKey {
	e, _ := c.cached.Load(id)
	k, _ := e.(*cachedKey)
	return k
}

// miss loads a key that is not cached.
func (c *Keys) miss(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	return c.load(ctx, id, keyLoadTimeout, c.readInTurn)
}

// readInTurn reads the key when it is its turn. While reads fail, none waits for a turn.
func (c *Keys) readInTurn(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	defer c.missing.Add(-1)
	switch waiting := c.missing.Add(1); {
	case waiting > maxMisses && c.trouble.Load() != 0:
		return ledger.Key{}, errNotAnswered
	case waiting > maxKeyWaits:
		return ledger.Key{}, ErrCrowded
	}
	select {
	case c.misses <- struct{}{}:
		defer func() { <-c.misses }()
		if e := c.get(id); e != nil && c.clock().Sub(e.loadedAt) < keyFreshFor { // it was loaded meanwhile
			return e.key, nil
		}
		return c.read(ctx, id)
	case <-ctx.Done():
		return ledger.Key{}, ctx.Err()
	}
}

// read reads the key, and keeps what came of it.
func (c *Keys) read(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	// The time before the read counts: what was read may be revoked right after.
	at := c.clock()
	key, err := c.registry.Key(ctx, id)
	c.loaded(key, id, at, err)
	return key, err
}

// enqueue reports whether there was room.
func (c *Keys) enqueue(id ledger.KeyID) bool {
	select {
	case c.refresh <- id:
		return true
	default:
		return false
	}
}

// Run does what verifications share: it loads keys again before they are stale, and writes
// down when they were last used. It blocks until ctx ends and then returns nil.
func (c *Keys) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.reload(ctx) })
	g.Go(func() error { return c.lastUse.run(ctx) })
	return g.Wait()
}

// reload loads keys again before they are stale, until ctx ends.
func (c *Keys) reload(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-c.refresh:
			_, err := c.load(ctx, id, keyReloadTimeout, c.read) // logged there; the cached key stays
			if e := c.get(id); e != nil {
				e.refreshing.Store(false)
			}
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				throttle.Pause(ctx, refreshPause)
			}
		}
	}
}

// load reads the key, once for all who ask at the same time. It goes on when
// the one who asked first is gone, since others may wait for it.
func (c *Keys) load(
	ctx context.Context, id ledger.KeyID, timeout time.Duration, read func(context.Context, ledger.KeyID) (ledger.Key, error),
) (ledger.Key, error) {
	result := c.loads.DoChan(id.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return read(ctx, id)
	})
	select {
	case r := <-result:
		if r.Err != nil && !errors.Is(r.Err, ledger.ErrNotFound) {
			c.count("unavailable")
			if skipped, ok := c.warnings.Next(); ok {
				c.log.WarnContext(ctx, "API key not loaded", "key_id", id.String(), "err", r.Err, "skipped", skipped)
			}
		}
		key, _ := r.Val.(ledger.Key)
		return key, r.Err
	case <-ctx.Done():
		return ledger.Key{}, ctx.Err()
	}
}

// loaded keeps what came of reading the key at that time.
func (c *Keys) loaded(key ledger.Key, id ledger.KeyID, at time.Time, err error) {
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		c.trouble.Store(c.clock().Add(troublePause).UnixNano())
		return
	}
	c.trouble.Store(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if i := slices.Index(c.ids, id); i >= 0 {
			c.remove(i)
		}
		if len(c.unknown) >= maxUnknownKeys {
			clear(c.unknown)
		}
		c.unknown[id] = at
		return
	}
	delete(c.unknown, id)
	fresh := &cachedKey{key: key, loadedAt: at}
	fresh.usedAt.Store(at.UnixNano())
	if _, known := c.cached.Swap(id, fresh); !known {
		c.ids = append(c.ids, id)
		if len(c.ids) > maxCachedKeys {
			c.evict()
		}
	}
}

// evict removes the longest unused of a few keys, picked at random. The one that
// came last stays.
func (c *Keys) evict() {
	oldest, usedAt := 0, int64(math.MaxInt64)
	for range evictionSample {
		i := rand.IntN(len(c.ids) - 1)
		if e := c.get(c.ids[i]); e.usedAt.Load() < usedAt {
			oldest, usedAt = i, e.usedAt.Load()
		}
	}
	c.remove(oldest)
}

// remove removes the key whose ID is at i.
func (c *Keys) remove(i int) {
	c.cached.Delete(c.ids[i])
	last := len(c.ids) - 1
	c.ids[i] = c.ids[last]
	c.ids = c.ids[:last]
}
