// Package devstacktest is for tests that start a Postgres of their own.
package devstacktest

import (
	"os"
	"testing"
)

// Folder is an empty one that is removed with the test, and that the user can
// reach whom Postgres runs as when we are root: t.TempDir is not.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "monedero-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
