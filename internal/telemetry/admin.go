package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the admin server.
const (
	readTimeout       = 5 * time.Second  // for a whole request
	writeTimeout      = 30 * time.Second // for a whole answer
	idleTimeout       = 2 * time.Minute  // between the requests of a connection
	readyTimeout      = 3 * time.Second  // for asking whether we are ready
	stopTimeout       = 5 * time.Second  // for the requests in hand
	maxHeaderBytes    = 16 << 10
	maxMetricsReaders = 4 // at once; more get 503
)

// AdminOptions say what the admin server shows.
type AdminOptions struct {
	// Registry is shown at /metrics.
	Registry *prometheus.Registry
	// Ready tells why the program should get no work now; nil if it should. Of a
	// joined error each part is a reason of its own. It is asked at each request
	// to /readyz and must return when its context ends.
	Ready func(context.Context) error
	// Log gets what goes wrong while serving.
	Log *slog.Logger
}

// Admin is the server for operators: /metrics, /livez (200 as long as the program
// answers at all) and /readyz (200, or 503 with the reasons as JSON). It has no
// authentication: it belongs on an address that only operators reach.
type Admin struct {
	listener net.Listener // nil: nowhere
	server   *http.Server
}

// ListenAdmin takes the address, so that a fault in it is told at once; Run
// serves. If addr is empty, nothing is served anywhere. After ListenAdmin, Run
// must be called: it closes the listener.
func ListenAdmin(ctx context.Context, addr string, o AdminOptions) (*Admin, error) {
	if addr == "" {
		return &Admin{}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on the admin address: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{
		Registry:            o.Registry,
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxMetricsReaders,
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeProbe(w, http.StatusOK, probeBody{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", readyz(o.Ready))
	return &Admin{listener: listener, server: &http.Server{
		Handler:        mux,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}}, nil
}

// Addr is where the server listens, host:port; empty: nowhere.
func (a *Admin) Addr() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// Run serves until ctx ends, lets the requests in hand finish within 5 s, and
// returns nil; or it returns why it cannot serve. Run it longer than what it tells
// about, so that a program that is stopping can say that it is not ready.
func (a *Admin) Run(ctx context.Context) error {
	if a.listener == nil {
		<-ctx.Done()
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(a.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve admin: %w", err)
	case <-ctx.Done():
	}
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := a.server.Shutdown(work)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close() // what still reads metrics then can do without
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("stop admin: %w", err)
	}
	return nil
}

// probeBody is the body of /livez and /readyz.
type probeBody struct {
	Status  string   `json:"status"` // ok or not_ready
	Reasons []string `json:"reasons,omitempty"`
}

func readyz(ready func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			writeProbe(w, http.StatusServiceUnavailable, probeBody{Status: "not_ready", Reasons: reasons(err)})
			return
		}
		writeProbe(w, http.StatusOK, probeBody{Status: "ok"})
	}
}

// reasons takes a joined error apart.
func reasons(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, reasons(e)...)
		}
		return all
	}
	return []string{err.Error()}
}

func writeProbe(w http.ResponseWriter, status int, h probeBody) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // whoever asked may be gone
}
