package system

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/processor"
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
	for _, state := range []string{
		"no processor has it", "which was given it, has not claimed it", "has a member that is no processor of ours",
		"who owns the partitions is not known",
	} {
		if !strings.Contains(string(table), state) {
			t.Errorf("no way out where monedero partitions says %q", state)
		}
	}
	said := []string{processor.ErrRestored.Error(), (&processor.UnfinishedMoveError{Goal: 7}).Error()}
	for _, c := range waysOut() {
		said = append(said, c.why)
	}
	for _, why := range said {
		if !slices.ContainsFunc(messages, func(m *regexp.Regexp) bool { return m.MatchString(why) }) {
			t.Errorf("no page for %q", why)
		}
	}
}
