package service

import (
	"fmt"
	"log/slog"
	"syscall"

	"github.com/monedero/monedero/internal/admission"
)

// What an ingest needs of the files that it may have open (RLIMIT_NOFILE), besides the
// connections that it serves.
const (
	// otherFiles are connections that are turned away or asked on ADMIN_ADDR, and
	// those to Postgres and Kafka.
	otherFiles = 512 + 256
	// fewestConnections are worth a start.
	fewestConnections = 64
)

// connectionsWithin is how many connections an ingest can serve that may have so many
// files open: as many as it wants, fewer, or not enough to start.
func connectionsWithin(files uint64) (int, error) {
	if files < otherFiles+fewestConnections {
		return 0, fmt.Errorf("at most %d files may be open (RLIMIT_NOFILE), and an ingest needs at least %d: raise the hard limit",
			files, otherFiles+fewestConnections)
	}
	return int(min(files-otherFiles, admission.MaxConnections)), nil //nolint:gosec // it is small
}

// connections is how many connections this ingest can serve. The runtime has raised
// the soft limit to the hard one already.
func connections(log *slog.Logger) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	n, err := connectionsWithin(limit.Cur)
	if err == nil && n < admission.MaxConnections {
		log.Warn("fewer connections are served than usual: the limit of open files is low", "files", limit.Cur, "connections", n,
			"usual", admission.MaxConnections)
	}
	return n, err
}
