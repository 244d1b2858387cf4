package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds how long a request may wait for its outcome.
const maxWait = 30 * time.Second

// parsePrefer reads the seconds of wait=N out of a Prefer header (RFC 7240).
// Preferences that are not understood count as absent, as the RFC asks; a longer
// wait than maxWait is cut to it.
func parsePrefer(header string) time.Duration {
	for preference := range strings.SplitSeq(header, ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
		if err != nil {
			return 0
		}
		return min(time.Duration(seconds)*time.Second, maxWait)
	}
	return 0
}

// applied is the Preference-Applied header of a wait; empty for none.
func applied(wait time.Duration) string {
	if wait == 0 {
		return ""
	}
	return fmt.Sprintf("wait=%d", wait/time.Second)
}
