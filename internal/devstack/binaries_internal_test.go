package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// install makes a folder with programs that say they are of that version.
func install(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"initdb", "postgres"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", program, version)
		// No test may start a process meanwhile: the child would hold the file
		// open for writing, and such a file cannot be run.
		syscall.ForkLock.RLock()
		err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindBinaries(t *testing.T) {
	t.Parallel()
	old, fifteen, sixteen, beta := install(t, "14.9"), install(t, "15.18 (Debian 15.18-0+deb12u1)"), install(t, "16.1"), install(t, "19beta1")
	half := install(t, "18.1")
	if err := os.Remove(filepath.Join(half, "postgres")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		want   int
		groups [][]string
		dir    string
		major  int
	}{
		{"nothing", 0, nil, "", 0},
		{"too old", 0, [][]string{{old}}, "", 0},
		{"not all programs", 0, [][]string{{half}, {fifteen}}, fifteen, 15},
		{"newest", 0, [][]string{{old, fifteen, beta, sixteen}}, beta, 19},
		{"first group first", 0, [][]string{{fifteen}, {sixteen}}, fifteen, 15},
		{"next group when the first has nothing", 0, [][]string{{old, "/nowhere"}, {sixteen}}, sixteen, 16},
		{"the version of the data", 15, [][]string{{beta, sixteen}, {sixteen, fifteen}}, fifteen, 15},
		{"not the version of the data", 17, [][]string{{fifteen, sixteen}}, "", 0},
		{"data too old", 14, [][]string{{old}}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found, ok := findBinaries(t.Context(), nil, tt.want, tt.groups...)
			if ok != (tt.dir != "") || found.dir != tt.dir || found.major != tt.major {
				t.Errorf("found %d in %q (%t), want %d in %q", found.major, found.dir, ok, tt.major, tt.dir)
			}
		})
	}
}

func TestKeptSecretRefusesAShortOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if secret, err := keptSecret(path); err == nil {
		t.Errorf("takes %q", secret)
	}
}
