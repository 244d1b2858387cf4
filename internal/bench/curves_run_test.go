package bench_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/monedero/monedero/internal/bench"
)

// TestRunOfCurves measures a curve on a tiny scale, with all the real parts, into a
// folder that holds another one.
func TestRunOfCurves(t *testing.T) {
	to := t.TempDir()
	other := `{"curves": [{"name": "wallets", "head": {"cores": 1}, "points": []}]}`
	if err := os.WriteFile(filepath.Join(to, bench.CurvesFile), []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	gone := leavesNothing(t)
	err := bench.RunCurves(t.Context(), bench.CurveOptions{
		To: to, Only: []string{"stored"}, Rounds: 1, Charges: 20_000, Stored: []int{0, 50_000}, Log: logTo(t, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	gone()
	text, err := os.ReadFile(filepath.Join(to, bench.CurvesFile))
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Curves []bench.Curve }
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Curves) != 2 || found.Curves[0].Name != "stored" || found.Curves[1].Name != "wallets" || found.Curves[1].Head.Cores != 1 {
		t.Fatalf("curves: %s", text)
	}
	points := found.Curves[0].Points
	if len(points) != 2 || points[0].X != 0 || points[1].X != 0.05 {
		t.Fatalf("points: %s", text)
	}
	for _, p := range points {
		settled, copied := p.Lines["settled"], p.Lines["COPY of the same rows"]
		if len(settled) != 1 || len(copied) != 1 || settled[0] <= 0 || copied[0] <= 0 {
			t.Errorf("%+v", p)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(to, "stored.svg")); err != nil || len(svg) == 0 {
		t.Errorf("%d bytes, %v", len(svg), err)
	}
}
