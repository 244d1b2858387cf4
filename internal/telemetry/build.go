package telemetry

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// What the linker is told: see BUILD in the Makefile and deployments/Dockerfile. Empty
// where it was told nothing.
//
//nolint:gochecknoglobals // the linker sets nothing else
var version, commit, date string

// Build says which build a program is. What is not known is "unknown".
type Build struct {
	Version string // a tag, or what the Go command makes of the commit
	Commit  string // with -dirty where something had been changed
	Date    string // of the build, or of the commit; RFC 3339
	Go      string // the version of Go
}

// ThisBuild is what the linker was told, and where it was told nothing what the Go
// command wrote into the program.
func ThisBuild() Build {
	b := Build{Version: version, Commit: commit, Date: date, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.complete(info)
	}
	for _, part := range []*string{&b.Version, &b.Commit, &b.Date} {
		if *part == "" {
			*part = "unknown"
		}
	}
	return b
}

func (b *Build) complete(info *debug.BuildInfo) {
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Commit == "" {
		if b.Commit = vcs["vcs.revision"]; b.Commit != "" && vcs["vcs.modified"] == "true" {
			b.Commit += "-dirty"
		}
	}
	if b.Date == "" {
		b.Date = vcs["vcs.time"]
	}
}

// String is one line.
func (b Build) String() string {
	return fmt.Sprintf("%s, commit %s of %s, %s", b.Version, b.Commit, b.Date, b.Go)
}
