//go:build !race

package bench_test

import (
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunUnderStorm sends a little of all that the line must bear. Under the race detector that would take many
// minutes, and TestRunEndToEnd runs the same parts there.
func TestRunUnderStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("starts our line nine times")
	}
	gone := leavesNothing(t)
	found := measured(t, bench.Options{
		Only:  []string{"live_growth", "partitions", "poll_storm", "poll_drain", "overload"},
		Quick: true, Rounds: 1, Charges: 12_000, Stored: 50_000,
	})
	gone()
	noted(t, found["live_growth"], "with the history", "without", "50000 operations stored")
	noted(t, found["partitions"], "64 partitions", "1 partition")
	noted(t, found["poll_storm"], "with polls", "10.0 polls a charge")
	noted(t, found["poll_drain"], "polls a second")
	noted(t, found["overload"], "at the highest rate", "at 1.5 times", "at 8 times")
}
