package kafka

import "testing"

// TestFetchShare: what the partitions of a member hold together is bounded, down to
// what a fetch needs.
func TestFetchShare(t *testing.T) {
	t.Parallel()
	for partitions, want := range map[int]int64{0: 1 << 20, 1: 1 << 20, 8: 1 << 20, 16: 512 << 10, 64: 128 << 10, 128: 64 << 10, 256: 64 << 10} {
		if got := fetchSizeFor(partitions); got != want {
			t.Errorf("%d partitions: %d bytes", partitions, got)
		}
	}
}
