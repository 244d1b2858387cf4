package bench

import (
	"maps"
	"testing"
	"time"
)

// TestMotion plays two partitions of which one stands still while its owner
// changes.
func TestMotion(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	m := &motion{last: map[int]place{}}
	for _, s := range []struct {
		at, partition int
		next          int64
		owner         string
	}{
		{0, 0, 10, "host/7"},
		{0, 1, 20, "host/17"},
		{10, 0, 11, "host/7"},
		{10, 1, 21, "host/17"},
		{20, 0, 11, "host/8"}, // another owner, which has not moved it yet
		{20, 1, 22, "host/17"},
		{110, 0, 12, "host/8"},
		{110, 1, 23, "host/17"},
		{120, 1, 24, "host/17"},
	} {
		m.saw(s.partition, place{next: s.next, owner: s.owner, since: at(s.at)})
	}
	if got, want := m.all(), map[int]int64{0: 12, 1: 24}; !maps.Equal(got, want) {
		t.Errorf("places: %v, want %v", got, want)
	}
	for _, c := range []struct{ since, until, want int }{
		{0, 10, 10},
		{15, 50, 100},   // the stall of partition 0, of which this is a part
		{111, 120, 10},  // between two moves of partition 1
		{120, 300, 190}, // partition 0 stands still since 110
	} {
		if got := m.stall(at(c.since), at(c.until)).Milliseconds(); got != int64(c.want) {
			t.Errorf("longest stall from %d to %d: %d ms, want %d", c.since, c.until, got, c.want)
		}
	}
	last, err := m.moved(t.Context(), map[int]int64{0: 11}, 7)
	if err != nil || !last.Equal(at(110)) {
		t.Errorf("moved after %v, %v", last.Sub(start), err)
	}
}
