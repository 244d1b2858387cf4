package service

import (
	"runtime/debug"
	"strings"
)

// What a service may take from its machine, unless GOGC or GOMEMLIMIT say
// otherwise.
const (
	// gcPercent is how much garbage is left lying, in percent of what is in use,
	// before it is collected. What is in use is little, and nearly all of what a
	// batch or a request needs is garbage at once: collecting it as often as the
	// runtime does by itself takes an eighth of a processor's CPU.
	gcPercent = 400
	// memoryLimit is what the runtime tries to keep below, in bytes, by collecting more
	// often. It leaves room to 100 MB resident: the program itself is in there too. It bounds
	// nothing: that is for the bounds on what is held.
	memoryLimit = 72 << 20
	// ingestMemoryLimit is that of an ingest. With a request on each of its connections some 45 MB are in use, most of
	// them stacks and buffers. Below 72 MiB it then collects all the time, just when it has too much
	// to do, and takes half as many requests.
	ingestMemoryLimit = 144 << 20
)

// TuneMemory sets how this process, of the service of that name, collects garbage. It is for the main function
// of a service: it changes the whole process.
func TuneMemory(name string, environ []string) {
	given := func(name string) bool {
		for _, variable := range environ {
			if value, is := strings.CutPrefix(variable, name+"="); is && value != "" {
				return true
			}
		}
		return false
	}
	if !given("GOGC") {
		debug.SetGCPercent(gcPercent)
	}
	if !given("GOMEMLIMIT") {
		limit := int64(memoryLimit)
		if name == "ingest" {
			limit = ingestMemoryLimit
		}
		debug.SetMemoryLimit(limit)
	}
}
