package ingest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds how long a request may wait for its outcome.
const maxWait = 30 * time.Second

// parsePrefer reads the seconds of wait=N out of a Prefer header (RFC 7240), the
// first where there are several. Preferences that are not understood count as absent,
// as the RFC asks; a longer wait than maxWait, however long, is cut to it.
func parsePrefer(header string) time.Duration {
	for len(header) > 0 {
		var preference string
		preference, header = cutUnquoted(header, ',')
		preference, _ = cutUnquoted(preference, ';')
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		seconds, err := strconv.ParseUint(value, 10, 32)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0
		}
		return min(time.Duration(seconds)*time.Second, maxWait)
	}
	return 0
}

// cutUnquoted cuts the text at the first separator that is not within quotes.
func cutUnquoted(text string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// applied is the Preference-Applied header of a wait; empty for none.
func applied(wait time.Duration) string {
	if wait == 0 {
		return ""
	}
	return fmt.Sprintf("wait=%d", wait/time.Second)
}
