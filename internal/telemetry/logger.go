// Package telemetry is how a program shows what it does: its log, its metrics, and
// the admin server that operators and orchestrators ask. Nothing in it is global:
// loggers and registries are passed to whoever needs them.
package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger makes a logger that writes one line per record to w, as text if format
// is "text" and else as JSON, and says in each which service it is of. Records
// below level are dropped; level is asked each time, so it may change.
func NewLogger(w io.Writer, level slog.Leveler, format, service string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if format == "text" {
		handler = slog.NewTextHandler(w, options)
	}
	return slog.New(handler).With("service", service)
}
