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
	recent []time.Time
	// halted is the offset at which the flood was found. It stays a flood until
	// the progress stands elsewhere, which only a person brings about.
	halted int64
}

// errFlood halts a partition.
type errFlood struct{ offset int64 }

func (e errFlood) Error() string {
	return fmt.Sprintf("more than %d processing errors within %v, the last at offset %d", FloodLimit, FloodWindow, e.offset)
}

func newFloods(now func() time.Time) *floods {
	return &floods{now: now, partitions: map[int]*flood{}}
}

// resume forgets a flood when the partition goes on elsewhere than where the
// flood halted it, and reports it otherwise.
func (f *floods) resume(partition int, from int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.partitions[partition]
	switch {
	case p == nil || p.halted < 0:
		return nil
	case p.halted == from:
		return errFlood{offset: from}
	}
	delete(f.partitions, partition)
	return nil
}

// admit makes room for one more processing error at the offset, or finds that
// it would be one too many.
func (f *floods) admit(partition int, offset int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.partitions[partition]
	if p == nil {
		p = &flood{halted: -1}
		f.partitions[partition] = p
	}
	now := f.now()
	for len(p.recent) > 0 && now.Sub(p.recent[0]) >= FloodWindow {
		p.recent = p.recent[1:]
	}
	if len(p.recent) >= FloodLimit {
		p.halted = offset
		return errFlood{offset: offset}
	}
	p.recent = append(p.recent, now)
	return nil
}
