package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestStateIsKeptForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Operator, s.Keys["merchant-0"] = "operator's key", "merchant's key"
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	again, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again, cmpopts.IgnoreUnexported(state{})); diff != "" || again.Day != 1 {
		t.Errorf("read back another state, of day %d:\n%s", again.Day, diff)
	}
	info, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file with the keys has mode %o", mode)
	}
}

func TestDamagedStateIsNotOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readState(dir); err == nil {
		t.Error("a damaged state was read")
	}
}

func TestNothingIsKeptWithoutAFolder(t *testing.T) {
	t.Parallel()
	s, err := readState("")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(); err != nil || s.Day != 1 {
		t.Errorf("day %d, %v", s.Day, err)
	}
}
