package service_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoppedWhileItWaitsForPostgres(t *testing.T) {
	t.Parallel()
	// Nobody answers at port 1 of this machine.
	environ := []string{
		"DATABASE_URL=postgres://u:p@127.0.0.1:1/none", "KAFKA_BROKERS=127.0.0.1:1", "ADMIN_ADDR=",
		"OPERATION_ID_SECRET=" + strings.Repeat("s", 32),
	}
	for name, run := range map[string]func(context.Context, *slog.Logger) error{
		"ingest": func(ctx context.Context, log *slog.Logger) error {
			c, err := config.Load[config.Ingest](environ)
			if err != nil {
				return err
			}
			return service.RunIngest(ctx, c, log, nil)
		},
		"processor": func(ctx context.Context, log *slog.Logger) error {
			c, err := config.Load[config.Processor](environ)
			if err != nil {
				return err
			}
			return service.RunProcessor(ctx, c, log)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			waits := writer(func(line string) {
				if strings.Contains(line, "postgres does not answer yet") {
					cancel()
				}
			})
			if err := run(ctx, slog.New(slog.NewTextHandler(waits, nil))); err != nil {
				t.Errorf("stopped before it began: %v", err)
			}
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Error("it never waited for Postgres")
			}
		})
	}
}

type writer func(string)

var _ io.Writer = writer(nil)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}
