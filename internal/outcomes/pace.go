package outcomes

import (
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of what a pace is measured over.
const (
	paceWindow  = 10 * time.Second       // what was seen earlier is forgotten
	paceBetween = 250 * time.Millisecond // from one sight to the next; one that comes sooner is passed over
	paceLeast   = 500 * time.Millisecond // of work seen; less says nothing
)

// Pace measures how fast partitions are settled, from what is seen of their progress anyway. Only while something waits does
// the progress say how fast a partition is: otherwise it says how much arrives. It is safe for concurrent use.
type Pace struct {
	clock func() time.Time

	mu   sync.Mutex
	seen map[int][]sight // by partition, the oldest first
}

// sight is where a partition stood at a moment, and where its log ended.
type sight struct {
	at   time.Time
	next ledger.Place
	end  int64
}

// NewPace makes a pace that has seen nothing.
func NewPace(clock func() time.Time) *Pace { return &Pace{clock: clock, seen: map[int][]sight{}} }

// See notes where a partition stands, and where its log ends.
func (p *Pace) See(partition int, next ledger.Place, end int64) {
	now := p.clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.recent(partition, now)
	if n := len(seen); n > 0 && now.Sub(seen[n-1].at) < paceBetween {
		return
	}
	p.seen[partition] = append(seen, sight{now, next, end})
}

// Takes is how long the partition needs for so many records, as fast as it was of late while something
// waited there; false: that is not known.
func (p *Pace) Takes(partition int, records int64) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.recent(partition, p.clock())
	var worked time.Duration
	var settled int64
	for i := 1; i < len(seen); i++ {
		from, to := seen[i-1], seen[i]
		if from.next.Log != to.next.Log || to.next.Offset < from.next.Offset {
			worked, settled = 0, 0 // another log, or a progress that was put back: what was before says nothing
			continue
		}
		if from.end > to.next.Offset { // what waited then waits still: in between it had work all the time
			worked += to.at.Sub(from.at)
			settled += to.next.Offset - from.next.Offset
		}
	}
	if worked < paceLeast || settled == 0 {
		return 0, false
	}
	return time.Duration(float64(records) / float64(settled) * float64(worked)), true
}

// recent are the sights of the partition that count, of which the others are forgotten.
func (p *Pace) recent(partition int, now time.Time) []sight {
	seen := p.seen[partition]
	for len(seen) > 0 && now.Sub(seen[0].at) > paceWindow {
		seen = seen[1:]
	}
	p.seen[partition] = seen
	return seen
}
