package processor

import (
	"fmt"
	"sync"
	"time"
)

// A partition with more than FloodLimit processing errors within FloodWindow
// halts: that many mean that something is wrong with the sender, or with us. Each
// process counts what it settled itself: a partition that moves begins at none.
const (
	FloodLimit  = 10
	FloodWindow = time.Minute
)

// floods counts processing errors by partition.
type floods struct {
	now func() time.Time

	mu         sync.Mutex
	partitions map[int]*flood
}

type flood struct {
	recent []time.Time // at most FloodLimit + 1
	// halted is where the progress stood behind the one too many. For this process it
	// stays a flood until it stands elsewhere: a person set it, be it to the same
	// offset, or another processor, which counts anew, had the partition meanwhile.
	halted *haltPoint
}

// haltPoint tells one progress from another. The first offset moves whenever a
// person sets the progress; the epoch would not do, for every claim raises it.
type haltPoint struct {
	log         int32
	first, next int64
}

func haltPointOf(c Claim, next int64) haltPoint {
	return haltPoint{log: c.Log, first: c.FirstOffset, next: next}
}

// flooded is why a partition halts.
func flooded(offset int64) error {
	return fmt.Errorf("more than %d processing errors within %v, up to offset %d", FloodLimit, FloodWindow, offset)
}

func newFloods(now func() time.Time) *floods {
	return &floods{now: now, partitions: map[int]*flood{}}
}

// resume fails while the partition stands where a flood halted it.
func (f *floods) resume(c Claim, from int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.of(c.Partition)
	if p.halted == nil {
		return nil
	}
	if *p.halted == haltPointOf(c, from) {
		return flooded(from)
	}
	delete(f.partitions, c.Partition)
	return nil
}

// room is how many processing errors the partition's next transaction may
// record: up to the one too many, at least one.
func (f *floods) room(partition int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return FloodLimit + 1 - len(f.of(partition).recent)
}

// add counts n processing errors recorded below the offset, and fails when they
// make a flood.
func (f *floods) add(c Claim, n int, offset int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.of(c.Partition)
	for range n {
		p.recent = append(p.recent, f.now())
	}
	if len(p.recent) > FloodLimit {
		at := haltPointOf(c, offset)
		p.halted = &at
		return flooded(offset)
	}
	return nil
}

// of is the partition's flood without what is older than the window.
func (f *floods) of(partition int) *flood {
	p := f.partitions[partition]
	if p == nil {
		p = &flood{}
		f.partitions[partition] = p
	}
	now := f.now()
	for len(p.recent) > 0 && now.Sub(p.recent[0]) >= FloodWindow {
		p.recent = p.recent[1:]
	}
	return p
}
