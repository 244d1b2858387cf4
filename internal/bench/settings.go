package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The share of the memory that Postgres buffers take, as docs/operations.md advises,
// and their bounds in megabytes.
const (
	buffersShare = 4
	mostBuffers  = 4096
	leastBuffers = 256
)

// serverSettings are those of a Postgres that we start, where they are not
// devstack's: as large as docs/operations.md advises. No checkpoint falls into a
// round.
func serverSettings() map[string]string {
	return map[string]string{
		"shared_buffers": fmt.Sprintf("%dMB", min(max(memory()/buffersShare, leastBuffers), mostBuffers)),
		"max_wal_size":   "8GB",
	}
}

// memory is how much there is, of the machine or as the container may have, in
// megabytes; 0: the system does not say.
func memory() int64 {
	var found int64
	if text, err := os.ReadFile(filepath.Join(proc, "meminfo")); err == nil {
		found = parseMeminfo(text)
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			found = min(found, limit/megabyte)
		}
	}
	return found
}

func parseMeminfo(text []byte) int64 {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, is := strings.CutPrefix(lines.Text(), "MemTotal:"); is {
			kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kilobytes << 10 / megabyte
		}
	}
	return 0
}
