package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/telemetry"
)

var errStarting = errors.New("still starting")

// readiness is how a service is asked whether it should get work. Before set it
// is starting.
type readiness struct {
	check atomic.Pointer[func(context.Context) error]
}

func (r *readiness) set(check func(context.Context) error) { r.check.Store(&check) }

func (r *readiness) ask(ctx context.Context) error {
	if check := r.check.Load(); check != nil {
		return (*check)(ctx)
	}
	return errStarting
}

// gaugeTimeout bounds what a reader of metrics waits for readiness.
const gaugeTimeout = 2 * time.Second

// withAdmin runs work beside the admin server, which is there from before work
// starts until after it ended.
func withAdmin(
	ctx context.Context, addr config.Addr, registry *prometheus.Registry, ready *readiness, log *slog.Logger,
	work func(context.Context) error,
) error {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "monedero_ready", Help: "1 while /readyz says that the service should get work.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(ctx, gaugeTimeout)
		defer cancel()
		return number(ready.ask(ctx) == nil)
	}))
	admin, err := telemetry.ListenAdmin(ctx, string(addr), telemetry.AdminOptions{
		Registry: registry, Ready: ready.ask, Log: log,
	})
	if err != nil {
		return err
	}
	outlives, stop := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return admin.Run(outlives) })
	group.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return group.Wait()
}
