package service_test

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/monedero/monedero/internal/service"
)

// The settings belong to the process, so this test is alone.
func TestMemoryIsTunedUnlessTheEnvironmentDoesIt(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for _, row := range []struct {
		name    string
		environ []string
		percent int
		limit   int64
	}{
		{"nothing given", []string{"PATH=/bin", "GOGC="}, 400, 72 << 20},
		{"GOGC given", []string{"GOGC=50"}, 100, 72 << 20},
		{"GOMEMLIMIT given", []string{"GOMEMLIMIT=1GiB"}, 400, math.MaxInt64},
		{"both given", []string{"GOGC=off", "GOMEMLIMIT=off"}, 100, math.MaxInt64},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		service.TuneMemory(row.environ)
		if got := debug.SetMemoryLimit(-1); got != row.limit {
			t.Errorf("%s: memory limit %d, want %d", row.name, got, row.limit)
		}
		if got := debug.SetGCPercent(100); got != row.percent {
			t.Errorf("%s: GC percent %d, want %d", row.name, got, row.percent)
		}
	}
}
