package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/telemetry"
)

// The exit codes of a service.
const (
	exitFailed = 1 // it ended although nobody asked it to
	exitMisuse = 2 // the command line or the environment is at fault
)

// Main is the main function of a service: it reads the environment, runs until
// SIGINT or SIGTERM, and returns the exit code. A second signal ends the process
// at once.
func Main[T interface{ Log() config.Logging }](
	name string, args, environ []string, stdout, stderr io.Writer, run func(context.Context, T, *slog.Logger) error,
) int {
	if len(args) > 0 {
		if len(args) == 1 && (args[0] == "--version" || args[0] == "version") {
			_, _ = fmt.Fprintf(stdout, "%s %s\n", name, telemetry.ThisBuild())
			return 0
		}
		if len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
			_, _ = fmt.Fprintf(stdout, "Usage: %s [--version]\n\nEnvironment:\n%s", name, config.Usage[T]())
			return 0
		}
		_, _ = fmt.Fprintf(stderr, "%s: it takes no arguments, see %s --help\n", name, name)
		return exitMisuse
	}
	c, err := config.Load[T](environ)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: the environment is not complete:\n%v\n", name, err)
		return exitMisuse
	}
	TuneMemory(name, environ)
	// Whoever reads the log may go, or stop reading: neither is a reason to stop.
	signal.Ignore(syscall.SIGPIPE)
	lines := telemetry.NewLines(stderr)
	defer lines.Close()
	log := telemetry.NewLogger(lines, c.Log().LogLevel, string(c.Log().LogFormat), name)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx, c, log); err != nil && ctx.Err() == nil {
		log.LogAttrs(ctx, slog.LevelError, "service failed", slog.Any("err", err))
		return exitFailed
	} else if err != nil {
		log.LogAttrs(ctx, slog.LevelWarn, "service did not stop in order", slog.Any("err", err))
		return exitFailed
	}
	log.LogAttrs(ctx, slog.LevelInfo, "service stopped")
	return 0
}
