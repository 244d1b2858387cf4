package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestVersion: every program says which build it is; what the linker was told counts
// more than what the Go command knows.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ingest", "processor", "monedero"} {
		out, err := built.run(t, os.Environ(), name, "--version")
		if err != nil || !strings.HasPrefix(out, name) || !strings.Contains(out, ", commit ") || !strings.Contains(out, runtime.Version()) {
			t.Errorf("%s --version: %q, %v", name, out, err)
		}
	}
	const variable = "-X github.com/monedero/monedero/internal/telemetry."
	program := filepath.Join(t.TempDir(), "processor")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program,
		"-ldflags", variable+"version=v9.8.7 "+variable+"commit=abc "+variable+"date=2026-01-02T03:04:05Z", "../../cmd/processor")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "--version").Output()
	if want := "processor v9.8.7, commit abc of 2026-01-02T03:04:05Z, " + runtime.Version() + "\n"; err != nil || string(out) != want {
		t.Errorf("it says %q, %v; want %q", out, err, want)
	}
}
