package processor

import (
	"fmt"
	"sync"
	"time"
)

// A partition with more than FloodLimit processing errors within FloodWindow
// halts: that many mean that something is wrong with the sender, or with us.
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
	// halted is the offset behind the one too many, or -1. For this process it stays
	// a flood until the progress stands elsewhere: a person moved it, or another
	// processor, which counts anew, had the partition meanwhile.
	halted int64
}

// errFlood halts a partition.
type errFlood struct{ offset int64 }

func (e errFlood) Error() string {
	return fmt.Sprintf("more than %d processing errors within %v, up to offset %d", FloodLimit, FloodWindow, e.offset)
}

func newFloods(now func() time.Time) *floods {
	return &floods{now: now, partitions: map[int]*flood{}}
}

// resume fails while the partition stands where a flood halted it.
func (f *floods) resume(partition int, from int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.of(partition)
	switch p.halted {
	case -1:
		return nil
	case from:
		return errFlood{offset: from}
	}
	delete(f.partitions, partition)
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
func (f *floods) add(partition, n int, offset int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.of(partition)
	for range n {
		p.recent = append(p.recent, f.now())
	}
	if len(p.recent) > FloodLimit {
		p.halted = offset
		return errFlood{offset: offset}
	}
	return nil
}

// of is the partition's flood without what is older than the window.
func (f *floods) of(partition int) *flood {
	p := f.partitions[partition]
	if p == nil {
		p = &flood{halted: -1}
		f.partitions[partition] = p
	}
	now := f.now()
	for len(p.recent) > 0 && now.Sub(p.recent[0]) >= FloodWindow {
		p.recent = p.recent[1:]
	}
	return p
}
