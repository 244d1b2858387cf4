package bench

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which Linux tells processes their CPU time: 1/100 s on every
// machine that Go runs on.
const tick = 10 * time.Millisecond

// proc is where Linux describes its processes. On other systems there is none, and
// nothing is known.
const proc = "/proc"

// stat is what one line of /proc says of a process.
type stat struct {
	parent      int
	own, reaped time.Duration // of itself; of its children that have ended and were reaped
}

func readStat(pid int) (stat, bool) {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, false
	}
	return parseStat(text)
}

// parseStat reads proc(5): the second field is a name in parentheses, which may
// hold anything.
func parseStat(text []byte) (stat, bool) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, false
	}
	fields := strings.Fields(string(text[end+1:]))
	const parent, user, system, reapedUser, reapedSystem = 1, 11, 12, 13, 14 // after the name
	if len(fields) <= reapedSystem {
		return stat{}, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	return stat{
		parent: int(number(parent)),
		own:    time.Duration(number(user)+number(system)) * tick,
		reaped: time.Duration(number(reapedUser)+number(reapedSystem)) * tick,
	}, true
}

// cpuOf is the time of the process itself.
func cpuOf(pid int) (time.Duration, bool) {
	s, ok := readStat(pid)
	return s.own, ok
}

// cpuOfTree is the time of a process and of its children, those that have ended
// included.
func cpuOfTree(pid int) (time.Duration, bool) {
	top, ok := readStat(pid)
	if !ok {
		return 0, false
	}
	sum := top.own + top.reaped
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, ok := readStat(child); ok && s.parent == pid {
			sum += s.own + s.reaped
		}
	}
	return sum, true
}

// peakMemory is the largest resident size that the process has had, in bytes.
func peakMemory(pid int) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// metered are processes whose time is told under one name.
type metered struct {
	name string
	pids []int
	tree bool
}

// read is the time used so far, by name; nil where the system does not say.
func read(processes []metered) map[string]time.Duration {
	used := map[string]time.Duration{}
	for _, m := range processes {
		for _, pid := range m.pids {
			of := cpuOf
			if m.tree {
				of = cpuOfTree
			}
			d, ok := of(pid)
			if !ok {
				return nil
			}
			used[m.name] += d
		}
	}
	return used
}

// between is what was used from before to after, in the order of the processes.
func between(processes []metered, before, after map[string]time.Duration, operations int64) CPU {
	c := CPU{Operations: operations}
	if before == nil || after == nil {
		return c
	}
	for _, m := range processes {
		if len(m.pids) > 0 {
			c.Uses = append(c.Uses, Use{m.name, (after[m.name] - before[m.name]).Seconds()})
		}
	}
	return c
}
