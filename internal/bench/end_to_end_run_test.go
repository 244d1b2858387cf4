package bench_test

import (
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunEndToEnd puts a small load on all the real parts, and sends the same over the bare line.
func TestRunEndToEnd(t *testing.T) {
	gone := leavesNothing(t)
	found := measured(t, bench.Options{
		Only: []string{"end_to_end_p50", "end_to_end_p99", "live_rate", "live_p50", "live_p99", "live_cpu"}, Quick: true, Rounds: 1, Charges: 400,
	})
	gone()
	for name, r := range found {
		if r.Mark != "(4s)" {
			t.Errorf("%s is marked %q", name, r.Mark)
		}
	}
	// Whatever is between, a charge cannot be seen sooner than the steps take.
	p50, p99 := found["end_to_end_p50"], found["end_to_end_p99"]
	if p50.Ours[0] > p99.Ours[0] || p50.Ours[0] < p50.Limit[0]/2 || p50.Limit[0] != p99.Limit[0] {
		t.Errorf("p50 %+v, p99 %+v", p50.Figures, p99.Figures)
	}
	noted(t, p50, "highest rate", "measured at", "accepted (202) after p50", "decided, before the commit", "alone, p50: produce")
	p50, p99 = found["live_p50"], found["live_p99"]
	if p50.Ours[0] > p99.Ours[0] || p50.Limit[0] > p99.Limit[0] {
		t.Errorf("p50 %+v, p99 %+v", p50.Figures, p99.Figures)
	}
	noted(t, p50, "ours: outcome p50", "bare: outcome p50", "polls a charge")
	cpu := found["live_cpu"]
	if len(cpu.OursCPU.Uses) != 4 || len(cpu.LimitCPU.Uses) != 3 {
		t.Errorf("live_cpu: %+v", cpu.Figures)
	}
	noted(t, cpu, "ours: ingest", "processor", "bare: bare")
}

// measured runs the rows, each of which must have a round.
func measured(t *testing.T, o bench.Options) map[string]bench.Result {
	t.Helper()
	o.Log = logTo(t, nil)
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bench.Result{}
	for _, r := range report.Results {
		found[r.Name] = r
		if len(r.Ours) != 1 || len(r.Limit) != 1 || r.Ours[0] <= 0 || r.Limit[0] <= 0 || r.Ratio() != r.Ours[0]/r.Limit[0] {
			t.Errorf("%s: %+v", r.Name, r.Figures)
		}
	}
	for _, name := range o.Only {
		if _, is := found[name]; !is {
			t.Errorf("%s was not measured", name)
		}
	}
	return found
}

// noted fails the test unless all of that is in the notes.
func noted(t *testing.T, r bench.Result, parts ...string) {
	t.Helper()
	notes := strings.Join(r.Notes, "\n")
	for _, part := range parts {
		if !strings.Contains(notes, part) {
			t.Errorf("%q is not in the notes of %s: %s", part, r.Name, notes)
		}
	}
}
