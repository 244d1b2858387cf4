package ledger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rules know no clock, no context, no randomness and no I/O: they import
// the standard library alone, and of it nothing that reaches out. They share nothing
// either, but that what computes IDs keeps its hashes: what comes out does not hang
// on that.
func TestTheRulesArePure(t *testing.T) {
	t.Parallel()
	banned := []string{
		"context", "os", "io", "net", "log", "database", "embed", "syscall", "runtime", "plugin", "unsafe", "sync", "testing",
		"math/rand", "crypto/rand", "expvar", "reflect", "flag",
	}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		read++
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") {
				t.Errorf("%s imports %s, which is not of the standard library", e.Name(), path)
			}
			if e.Name() == "minter.go" && path == "sync" {
				continue
			}
			if slices.Contains(banned, path) || slices.Contains(banned, first) {
				t.Errorf("%s imports %s", e.Name(), path)
			}
			if i.Name != nil {
				t.Errorf("%s imports %s under another name", e.Name(), path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if p, ok := s.X.(*ast.Ident); ok && p.Name == "time" && slices.Contains(clock, s.Sel.Name) {
				t.Errorf("%s uses time.%s", e.Name(), s.Sel.Name)
			}
			return true
		})
	}
	if read < 12 {
		t.Errorf("only %d files were looked at", read)
	}
}
