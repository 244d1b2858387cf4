package telemetry

import (
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a registry that already holds what every program shows: the Go
// runtime, the process, and which build of which service it is
// (monedero_build_info, always 1), and how many lines of its log were dropped.
func NewRegistry(service string, log *slog.Logger) *prometheus.Registry {
	version, revision := build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "monedero_build_info",
		Help: "Which build of which service this is; always 1.",
		ConstLabels: prometheus.Labels{
			"service": service, "version": version, "revision": revision, "goversion": runtime.Version(),
		},
	})
	info.Set(1)
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "monedero_log_lines_dropped_total",
		Help: "Lines of the log that were dropped, since nobody read them or whoever did was gone.",
	}, func() float64 { return droppedLines(log) })
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info, dropped)
	return registry
}

// build is what the Go command wrote into the program.
func build() (version, revision string) {
	version, revision = "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}
