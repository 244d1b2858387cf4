package bench_test

import (
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunEndToEnd puts a small load on all the real parts.
func TestRunEndToEnd(t *testing.T) {
	gone := leavesNothing(t)
	report, err := bench.Run(t.Context(), bench.Options{
		Only: []string{"end_to_end_p50", "end_to_end_p99"}, Quick: true, Rounds: 1, Charges: 400, Log: logTo(t, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	gone()
	if len(report.Results) != 2 {
		t.Fatalf("rows: %+v", report.Results)
	}
	p50, p99 := report.Results[0], report.Results[1]
	for _, r := range report.Results {
		if len(r.Ours) != 1 || len(r.Limit) != 1 || r.Ours[0] <= 0 || r.Limit[0] <= 0 || r.Ratio() != r.Ours[0]/r.Limit[0] || r.Mark != "(4s)" {
			t.Errorf("%s: %+v", r.Name, r.Figures)
		}
	}
	// Whatever is between, a charge cannot be seen sooner than the steps take.
	if p50.Ours[0] > p99.Ours[0] || p50.Ours[0] < p50.Limit[0]/2 || p50.Limit[0] != p99.Limit[0] {
		t.Errorf("p50 %+v, p99 %+v", p50.Figures, p99.Figures)
	}
	notes := strings.Join(p50.Notes, "\n")
	for _, part := range []string{"highest rate", "measured at", "accepted (202) after p50", "decided, before the commit", "alone, p50: produce"} {
		if !strings.Contains(notes, part) {
			t.Errorf("%q is not in the notes: %s", part, notes)
		}
	}
}
