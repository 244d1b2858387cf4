package gather_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/gather"
)

func all(int) bool { return true }

func TestTakesWhatFitsInItsOrder(t *testing.T) {
	t.Parallel()
	var q gather.Queue[int]
	for i := range 6 {
		if start := q.Add(i); start != (i == 0) {
			t.Errorf("a worker is to be started by item %d: %v", i, start)
		}
	}
	if !q.Withdraw(3) || q.Withdraw(3) {
		t.Error("an item is withdrawn once")
	}
	odd := func(i int) bool { return i%2 == 1 }
	for _, want := range [][]int{{0, 1, 5}, {2}, {4}, nil} { // the first one in any case
		if diff := cmp.Diff(want, q.Take(odd)); diff != "" {
			t.Error(diff)
		}
	}
	if !q.Add(7) {
		t.Error("the worker had ended")
	}
}

func TestTakesNoSoonerThanItMay(t *testing.T) {
	t.Parallel()
	const every = 50 * time.Millisecond
	q := gather.Queue[int]{Every: every}
	q.Add(1)
	q.Take(all)
	taken := time.Now()
	q.Add(2)
	q.Take(all)
	if took := time.Since(taken); took < every-time.Millisecond {
		t.Errorf("after %v", took)
	}
	if q.Take(all) != nil || time.Since(taken) > 10*every {
		t.Error("where nothing waits nobody waits")
	}
}

// Many add at the same time. There is one worker at a time, and each item is taken once.
func TestEachIsTakenOnce(t *testing.T) {
	t.Parallel()
	const adders, items = 8, 500
	var q gather.Queue[int]
	var working atomic.Int32
	var mu sync.Mutex
	var taken []int
	var wg sync.WaitGroup
	work := func() {
		for batch := q.Take(all); batch != nil; batch = q.Take(all) {
			if working.Add(1) > 1 {
				t.Error("two workers")
			}
			mu.Lock()
			taken = append(taken, batch...)
			mu.Unlock()
			working.Add(-1)
		}
	}
	for a := range adders {
		wg.Go(func() {
			for i := range items {
				if q.Add(a*items + i) {
					wg.Go(work)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(taken)
	for i, item := range taken {
		if i != item {
			t.Fatalf("item %d is %d", i, item)
		}
	}
	if len(taken) != adders*items {
		t.Errorf("%d items", len(taken))
	}
}
