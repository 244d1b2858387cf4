package bench

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// example has a row of each sort: a goal reached and one missed, with and without
// CPU time, the median and the worst round, notes.
func example() Report {
	return Report{
		Head: Head{
			Cores: 4, System: "linux/amd64", Go: "go1.26.8", Postgres: "15.18", Form: "quick", Kafka: "Apache Kafka 4.1.1, one broker",
			Settings: []Setting{{"fsync", "on"}, {"shared_buffers", "256MB"}},
		},
		Results: []Result{
			{
				Row: Row{Name: "drain", What: "charges settled against rows copied", Unit: "charges/s", Goal: ratioAtLeast(0.8)},
				Figures: Figures{
					Ours: []float64{90_000, 100_000, 60_000}, Limit: []float64{100_000, 120_000, 100_000},
					OursCPU:  CPU{Operations: 300_000, Uses: []Use{{"processor", 6}, {"postgres", 9.5}, {"kafka", 0.55}}},
					LimitCPU: CPU{Operations: 300_000, Uses: []Use{{"copy", 0.5}, {"postgres", 4}}},
				},
			},
			{
				Row: Row{Name: "wal", What: "bytes of WAL", Unit: "bytes", Goal: ratioAtMost(1.15)},
				Figures: Figures{
					Ours: []float64{1200, 1190}, Limit: []float64{1000, 1000}, OursCPU: CPU{Operations: 300_000}, Mark: "(small)", Notes: []string{"one", "two"},
				},
			},
			{
				Row:     Row{Name: "memory", What: "resident size", Unit: "MB", Goal: oursAtMost(100, "MB")},
				Figures: Figures{Ours: []float64{70, 90.25, 71}, Limit: []float64{100, 100, 100}, Worst: true},
			},
		},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	golden(t, "report.txt", example().WriteTable)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	golden(t, "report.json", example().WriteJSON)
}

func TestReportWithoutRows(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := (Report{}).WriteJSON(&b); err != nil || !strings.Contains(b.String(), `"rows": []`) {
		t.Errorf("%v: %s", err, b.String())
	}
}

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-update writes it anew): %s", name, diff)
	}
}

func TestCPUAddsUpByProcess(t *testing.T) {
	t.Parallel()
	first := CPU{Operations: 10, Uses: []Use{{"processor", 1}, {"kafka", 2}}}
	sum := first.plus(CPU{Operations: 30, Uses: []Use{{"kafka", 3}, {"postgres", 4}}})
	want := CPU{Operations: 40, Uses: []Use{{"processor", 1}, {"kafka", 5}, {"postgres", 4}}}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if first.Uses[1].Seconds != 2 {
		t.Error("adding changed what was added to")
	}
	if got := sum.Micros(); got != 250_000 {
		t.Errorf("%v µs each, want 250000", got)
	}
}

func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{fsync, synchronousCommit, fullPageWrites} {
		if err := (Head{Settings: []Setting{{name, "off"}}}).check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s off: %v", name, err)
		}
		if err := (Head{Settings: []Setting{{name, "on"}, {"wal_compression", "off"}}}).check(); err != nil {
			t.Errorf("%s on: %v", name, err)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	err := Options{Only: []string{"drain", "drian"}, Format: "xml", Rounds: -1}.Check()
	for _, part := range []string{`"drian"`, "hot_wallet", `"xml"`, "negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %s: %v", part, err)
		}
	}
	if err := (Options{Only: Names(), Format: FormatJSON}).Check(); err != nil {
		t.Error(err)
	}
}
