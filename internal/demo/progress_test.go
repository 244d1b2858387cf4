package demo

import (
	"strings"
	"testing"
)

func TestProgressWithoutATerminalIsAFewPlainLines(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	tally := newConsole(&text).tally("charges", 1000)
	for range 1000 {
		tally.add(1)
	}
	tally.end()
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != plainSteps {
		t.Errorf("%d lines, want %d:\n%s", len(lines), plainSteps, &text)
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, "charges: 1000 of 1000") {
		t.Errorf("the last line is %q", last)
	}
	if strings.ContainsAny(text.String(), "\r\x1b") {
		t.Errorf("control characters in plain text: %q", &text)
	}
}
