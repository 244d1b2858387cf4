package devstack

import (
	"maps"
	"sort"
)

// settings are how our Postgres differs from its defaults. They are given on the
// command line at each start, so that a kept folder follows this build. fsync,
// full_page_writes and synchronous_commit stay on: what was committed survives.
//
//   - listen_addresses, unix_socket_directories: loopback and nothing else.
//   - max_connections: ingest, several processors and many tests at once.
//   - shared_buffers: modest; it is only taken from the machine as it is used.
//   - max_wal_size, checkpoint_timeout: checkpoints are far apart, because after
//     each one every page that changes is written to the WAL whole.
//   - wal_compression: those pages are compressed; lz4 where the build has it.
//   - timezone, log_timezone: the same everywhere.
//
// Those that are given replace them.
func settings(walCompression string, given map[string]string) map[string]string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         "300",
		"shared_buffers":          "256MB",
		"max_wal_size":            "4GB",
		"checkpoint_timeout":      "15min",
		"wal_compression":         walCompression,
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	maps.Copy(all, given)
	return all
}

// flags writes settings as arguments of postgres, in a fixed order.
func flags(settings map[string]string) []string {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	args := make([]string, 0, 2*len(names))
	for _, name := range names {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
