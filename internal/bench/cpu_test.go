package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	line := "4242 (postgres: a) b (c) S 17 4242 4242 0 -1 4194560 1 2 3 4 150 50 20 5 20 0 1 0 99 1 2"
	got, ok := parseStat([]byte(line))
	if want := (stat{parent: 17, own: 2 * time.Second, reaped: 250 * time.Millisecond}); !ok || got != want {
		t.Errorf("%v, %+v; want %+v", ok, got, want)
	}
	for _, wrong := range []string{"", "4242", "4242 (x) S 17"} {
		if _, ok := parseStat([]byte(wrong)); ok {
			t.Errorf("%q was read", wrong)
		}
	}
}

// TestOwnTime compares what the system says of this process with what the process
// did: it worked for a while.
func TestOwnTime(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		if _, ok := cpuOf(os.Getpid()); ok {
			t.Error("this system has no /proc, and yet the time was read")
		}
		return
	}
	me := []metered{{name: "me", pids: []int{os.Getpid()}, tree: true}}
	before := read(me)
	for began := time.Now(); read(me)["me"]-before["me"] < 5*tick; {
		if time.Since(began) > time.Minute {
			t.Fatal("a minute of work took no time")
		}
	}
	c := between(me, before, read(me), 1000)
	if len(c.Uses) != 1 || c.Uses[0].Seconds < 0.05 || c.Micros() < 50 {
		t.Errorf("%+v", c)
	}
	if peak, ok := peakMemory(os.Getpid()); !ok || peak < megabyte {
		t.Errorf("peak memory %d, %v", peak, ok)
	}
	if between(me, nil, before, 1000).Uses != nil {
		t.Error("a time that is not known was told")
	}
}

func TestParseMeminfo(t *testing.T) {
	t.Parallel()
	if got := parseMeminfo([]byte("MemFree:  5 kB\nMemTotal:       16384000 kB\n")); got != 16_000 {
		t.Errorf("%d MB, want 16000", got)
	}
	if got := parseMeminfo([]byte("nothing")); got != 0 {
		t.Errorf("%d MB of nothing", got)
	}
}
