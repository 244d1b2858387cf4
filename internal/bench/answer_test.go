package bench_test

import (
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunOfAnswers measures what ingest answers, beside the bare handlers.
func TestRunOfAnswers(t *testing.T) {
	gone := leavesNothing(t)
	report, err := bench.Run(t.Context(), bench.Options{
		Only: []string{"submit", "poll", "wait", "memory_ingest"}, Quick: true, Rounds: 1, Log: logTo(t, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	gone()
	if len(report.Results) != 4 {
		t.Fatalf("rows: %+v", report.Results)
	}
	for _, r := range report.Results {
		if len(r.Ours) != 1 || len(r.Limit) != 1 || r.Ours[0] <= 0 || r.Limit[0] <= 0 {
			t.Errorf("%s: %+v", r.Name, r.Figures)
		}
	}
}
