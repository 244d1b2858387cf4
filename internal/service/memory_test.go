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
		service string
		environ []string
		percent int
		limit   int64
	}{
		{"nothing given", "processor", []string{"PATH=/bin", "GOGC="}, 400, 72 << 20},
		{"nothing given to an ingest", "ingest", nil, 400, 144 << 20},
		{"GOGC given", "processor", []string{"GOGC=50"}, 100, 72 << 20},
		{"GOMEMLIMIT given", "ingest", []string{"GOMEMLIMIT=1GiB"}, 400, math.MaxInt64},
		{"both given", "ingest", []string{"GOGC=off", "GOMEMLIMIT=off"}, 100, math.MaxInt64},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		service.TuneMemory(row.service, row.environ)
		if got := debug.SetMemoryLimit(-1); got != row.limit {
			t.Errorf("%s: memory limit %d, want %d", row.name, got, row.limit)
		}
		if got := debug.SetGCPercent(100); got != row.percent {
			t.Errorf("%s: GC percent %d, want %d", row.name, got, row.percent)
		}
	}
}
