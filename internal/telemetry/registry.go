package telemetry

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a registry that already holds what every program shows: the Go
// runtime, the process, and which build of which service it is
// (monedero_build_info, always 1), and how many lines of its log were dropped.
func NewRegistry(service string, log *slog.Logger) *prometheus.Registry {
	build := ThisBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "monedero_build_info",
		Help: "Which build of which service this is; always 1.",
		ConstLabels: prometheus.Labels{
			"service": service, "version": build.Version, "revision": build.Commit, "date": build.Date, "goversion": build.Go,
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
