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
	if lines, ok := w.(*Lines); ok {
		handler = droppingHandler{Handler: handler, lines: lines}
	}
	return slog.New(handler).With("service", service)
}

// droppingHandler knows what its lines are written by, so that a registry can show
// how many were dropped.
type droppingHandler struct {
	slog.Handler

	lines *Lines
}

// WithAttrs implements slog.Handler.
func (h droppingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return droppingHandler{Handler: h.Handler.WithAttrs(attrs), lines: h.lines}
}

// WithGroup implements slog.Handler.
func (h droppingHandler) WithGroup(name string) slog.Handler {
	return droppingHandler{Handler: h.Handler.WithGroup(name), lines: h.lines}
}

// droppedLines is how many lines of the log nobody will read.
func droppedLines(log *slog.Logger) float64 {
	if h, ok := log.Handler().(droppingHandler); ok {
		return float64(h.lines.Dropped())
	}
	return 0
}
