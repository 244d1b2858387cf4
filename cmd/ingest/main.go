// Command ingest takes charges over HTTP, puts them durably into Kafka, and shows
// what became of them. See ingest --help for its environment.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/service"
)

func main() {
	os.Exit(service.Main("ingest", os.Args[1:], os.Environ(), os.Stdout, os.Stderr,
		func(ctx context.Context, c config.Ingest, log *slog.Logger) error {
			return service.RunIngest(ctx, c, log, nil)
		}))
}
