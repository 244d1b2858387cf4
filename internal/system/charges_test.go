package system

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestChargesWhileProcessorsComeAndGo takes 20,000 charges through ingest while a
// processor joins, one is stopped and one is killed.
func TestChargesWhileProcessorsComeAndGo(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries for half a minute")
	}
	const (
		charges = 20_000
		callers = 32
		wallets = 200
		repeat  = 20 // every so many charges one is submitted twice
		funding = 1_000_000
		amount  = 7
	)
	s := newStack(t, 16)
	_, operator := s.ingest()
	first, second := s.processor(), s.processor()

	shop := operator.open()
	till := shop.till
	names := make([]string, wallets)
	for i := range names {
		names[i] = shop.wallet()
	}
	// Every tenth wallet stays empty: its charges fail, and must be there all the same.
	for i, w := range names {
		if i%10 != 3 {
			operator.topUp(w, funding)
		}
	}
	// What happens to the processors hangs on how many charges are in, not on time.
	events := map[int64]func(){
		charges / 4:     func() { s.processor() },
		charges / 2:     first.terminate,
		charges * 3 / 4: second.kill,
	}
	var (
		next, submitted atomic.Int64
		mu              sync.Mutex
		ids             = map[string]string{} // key -> operation ID
		happened        sync.WaitGroup
	)
	submit := func(ctx context.Context, i int64) error {
		// Wallet 1 is hot: a fifth of all charges.
		wallet := names[i%wallets]
		if i%5 == 0 {
			wallet = names[1]
		}
		key := fmt.Sprintf("charge %d", i)
		id, err := till.charge(ctx, wallet, key, amount)
		if err != nil {
			return err
		}
		if i%repeat == 0 {
			again, err := till.charge(ctx, wallet, key, amount)
			if err != nil {
				return err
			}
			if again != id {
				return fmt.Errorf("charge %d has the IDs %s and %s", i, id, again)
			}
		}
		mu.Lock()
		ids[key] = id
		mu.Unlock()
		if event := events[submitted.Add(1)]; event != nil {
			happened.Go(event)
		}
		return nil
	}
	each(t, callers, func(ctx context.Context) error {
		for i := next.Add(1) - 1; i < charges; i = next.Add(1) - 1 {
			if err := submit(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	happened.Wait()

	queue := make(chan string, len(ids))
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	var accepted, poor atomic.Int64
	each(t, callers, func(ctx context.Context) error {
		for id := range queue {
			o, err := till.outcome(ctx, id)
			switch {
			case err != nil:
				return err
			case o.Status == "accepted":
				accepted.Add(1)
			case o.Failure.Reason == "insufficient_funds":
				poor.Add(1)
			default:
				return fmt.Errorf("operation %s is %s for %q", id, o.Status, o.Failure.Reason)
			}
		}
		return nil
	})
	if accepted.Load() != charges*9/10 || poor.Load() != charges/10 {
		t.Errorf("%d accepted and %d without money", accepted.Load(), poor.Load())
	}
	report := s.monedero("verify")
	t.Log(report)
	// Each wallet was opened, and nine of ten were topped up.
	if want := fmt.Sprintf("%d operations", charges+wallets+wallets*9/10); !strings.Contains(report, want) {
		t.Errorf("the checker does not say %q", want)
	}
}

// each runs f in so many goroutines and fails the test with the first error.
func each(t *testing.T, n int, f func(context.Context) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for range n {
		group.Go(func() error { return f(ctx) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
