package system

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryHaltHasAPlaybook: what a halted partition says leads to a page that is
// there.
func TestEveryHaltHasAPlaybook(t *testing.T) {
	t.Parallel()
	const folder = "../../docs/playbooks"
	table, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var messages []*regexp.Regexp
	for _, row := range regexp.MustCompile(`(?m)^\| (\x60.*) \| \[.*\]\((.*)\) \|$`).FindAllStringSubmatch(string(table), -1) {
		if _, err := os.Stat(filepath.Join(folder, row[2])); err != nil {
			t.Error(err)
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(m[1]), "…", ".*")
			messages = append(messages, regexp.MustCompile(pattern))
		}
	}
	for name, c := range waysOut() {
		named := false
		for _, m := range messages {
			named = named || m.MatchString(c.why)
		}
		if !named {
			t.Errorf("%s: no page for %q", name, c.why)
		}
	}
}
