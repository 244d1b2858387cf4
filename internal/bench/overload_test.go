package bench

import (
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/loadgen"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	submitted := CPU{Operations: 1_000, Uses: []Use{{"ingest", 0.1}, {"kafka", 5}}} // 100 µs each
	flood := []sent{{
		passed: passed{Answers: loadgen.Counts{"202": 500, "503": 5_000, noAnswer: 10}, Taken: 500, Unknown: 10},
		cpu:    CPU{Operations: 500, Uses: []Use{{"ingest", 0.1}, {"kafka", 1}}}, // half of it for the 500
	}}
	for want, got := range map[string]string{
		"5000 of the 5510 that could be sent were refused; a refusal takes ingest 10.0 µs of CPU, and a charge of submit 100": refusals(submitted, flood),
		"0 of the 0 that could be sent were refused": refusals(submitted, nil),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if got := refusals(CPU{}, flood); strings.Contains(got, "µs") {
		t.Errorf("nothing is known of CPU time, and yet: %s", got)
	}
}
