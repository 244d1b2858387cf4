//go:build !race

package bench_test

import (
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunUnderStorm sends a little of what the line must bear; the quick form measures the rows beside these, too. Under the
// race detector that would take many minutes, and TestRunEndToEnd runs the same parts there.
func TestRunUnderStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("starts our line several times")
	}
	gone := leavesNothing(t)
	found := measured(t, bench.Options{
		Only:  []string{"poll_storm", "poll_drain", "overload"},
		Quick: true, Rounds: 1, Charges: 12_000,
	})
	gone()
	noted(t, found["poll_storm"], "with polls", "10.0 polls a charge")
	noted(t, found["poll_drain"], "polls a second")
	noted(t, found["overload"], "at the highest rate", "at 1.5 times", "at 8 times")
}
