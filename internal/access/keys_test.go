package access

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/throttle"
)

var testMinter = func() *ledger.Minter {
	m, err := ledger.NewMinter([]byte(strings.Repeat("s", ledger.SecretBytes)))
	if err != nil {
		panic(err)
	}
	return m
}()

func uncounted(string) {}

// TestKeyCacheIsBounded loads more keys than fit: the number stays, and a key in
// use stays too.
func TestKeyCacheIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	c := NewKeys(nil, testMinter, func() time.Time { return now }, uncounted, slog.New(slog.DiscardHandler))
	id := func(n int) (id ledger.KeyID) {
		binary.BigEndian.PutUint64(id[8:], uint64(n))
		return id
	}
	for n := range 2 * maxCachedKeys {
		now = now.Add(time.Microsecond)
		c.loaded(ledger.Key{ID: id(n)}, id(n), now, nil)
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
	c.loaded(ledger.Key{}, id(0), now, ledger.ErrNotFound)
	if c.get(id(0)) != nil || len(c.ids) != maxCachedKeys-1 {
		t.Error("a key that is no more is still cached")
	}
	c.loaded(ledger.Key{}, id(1), now, errors.New("down"))
	if c.trouble.Load() <= now.UnixNano() {
		t.Error("a failed load is no sign of trouble")
	}
}

// counted is a registry that knows no key and counts how often it is asked.
type counted struct {
	Registry
	asked int
}

func (r *counted) Key(context.Context, ledger.KeyID) (ledger.Key, error) {
	r.asked++
	return ledger.Key{}, ledger.ErrNotFound
}

// TestUnknownKeysCostTheDatabaseNothing: a key that was made up is looked up nowhere,
// and one of ours that is not there any more once a second.
func TestUnknownKeysCostTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	r := &counted{}
	c := NewKeys(r, testMinter, func() time.Time { return now }, uncounted, slog.New(slog.DiscardHandler))
	refused := func(text string) {
		t.Helper()
		var why Invalid
		if _, err := c.Verify(t.Context(), text); !errors.As(err, &why) {
			t.Errorf("%s: %v", text, err)
		}
	}
	elsewhere, err := ledger.NewMinter([]byte("the secret of another deployment, long enough"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		refused(token{role: ledger.RoleMerchant, id: ledger.KeyID{byte(n)}, secret: newSecret()}.text(elsewhere))
	}
	if r.asked != 0 {
		t.Errorf("%d keys that were made up were looked up", r.asked)
	}
	lost := token{role: ledger.RoleMerchant, id: ledger.KeyID{1}, secret: newSecret()}.text(testMinter)
	for range 100 {
		refused(lost)
	}
	if r.asked != 1 {
		t.Errorf("a key that is no more was looked up %d times within a second", r.asked)
	}
	now = now.Add(unknownFor)
	refused(lost)
	if r.asked != 2 {
		t.Errorf("a key that is no more was looked up %d times in two seconds", r.asked)
	}
	for n := range 3 * maxUnknownKeys {
		c.loaded(ledger.Key{}, ledger.KeyID{byte(n), byte(n >> 8), 7}, now, ledger.ErrNotFound)
		if len(c.unknown) > maxUnknownKeys {
			t.Fatalf("%d keys that are not there are remembered", len(c.unknown))
		}
	}
	c.loaded(ledger.Key{ID: ledger.KeyID{1}}, ledger.KeyID{1}, now, nil)
	if _, err := c.key(t.Context(), ledger.KeyID{1}); err != nil {
		t.Errorf("a key that came to be: %v", err)
	}
}

// slow is a registry that knows each key, and says so after a second.
type slow struct {
	Registry
	asked atomic.Int64
}

func (r *slow) Key(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	r.asked.Add(1)
	throttle.Pause(ctx, time.Second)
	return ledger.Key{ID: id}, ctx.Err()
}

// TestOneKeyIsLoadedOnce: however many come with a key that is not cached, they wait for
// one load of it.
func TestOneKeyIsLoadedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &slow{}
		c := NewKeys(r, testMinter, time.Now, uncounted, slog.New(slog.DiscardHandler))
		var wg sync.WaitGroup
		for range 4 * maxKeyWaits {
			wg.Go(func() {
				if key, err := c.key(t.Context(), ledger.KeyID{1}); key.ID != (ledger.KeyID{1}) || err != nil {
					t.Errorf("%v, %v", key.ID, err)
				}
			})
		}
		wg.Wait()
		if n := r.asked.Load(); n != 1 {
			t.Errorf("it was loaded %d times", n)
		}
	})
}

// TestMissesWhileLoadsFail: many keys wait for their turn, but few once the database is
// known to be down.
func TestMissesWhileLoadsFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewKeys(&slow{}, testMinter, time.Now, uncounted, slog.New(slog.DiscardHandler))
		for range maxMisses { // nobody's turn comes
			c.misses <- struct{}{}
		}
		var next byte
		miss := func(waiting int64) error {
			c.missing.Store(waiting)
			next++
			_, err := c.key(t.Context(), ledger.KeyID{next})
			synctest.Wait()
			if got := c.missing.Load(); got != waiting {
				t.Errorf("%d wait, and %d did before", got, waiting)
			}
			return err
		}
		if err := miss(maxKeyWaits - 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that waits: %v", err)
		}
		if err := miss(maxKeyWaits); !errors.Is(err, ErrCrowded) {
			t.Errorf("one beyond those that may wait: %v", err)
		}
		c.loaded(ledger.Key{}, ledger.KeyID{200}, time.Now(), errors.New("down"))
		if err := miss(maxMisses - 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the last that may wait while the database is down: %v", err)
		}
		if err := miss(maxMisses); !errors.Is(err, errNotAnswered) {
			t.Errorf("one more while it is down: %v", err)
		}
		c.loaded(ledger.Key{}, ledger.KeyID{200}, time.Now(), ledger.ErrNotFound)
		if err := miss(maxKeyWaits - 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that waits for a database that is back: %v", err)
		}
	})
}
