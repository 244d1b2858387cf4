package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoggerWritesJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var level slog.LevelVar
	log := telemetry.NewLogger(&out, &level, "json", "ingest")
	log.Debug("not shown")
	log.Info("settled", "partition", 3)
	level.Set(slog.LevelError)
	log.Warn("not shown either")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v: %s", err, &out)
	}
	delete(line, "time")
	want := map[string]any{"level": "INFO", "msg": "settled", "service": "ingest", "partition": 3.0}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
}

func TestLoggerWritesText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	telemetry.NewLogger(&out, slog.LevelDebug, "text", "processor").Debug("settled", "partition", 3)
	if got, want := out.String(), "level=DEBUG msg=settled service=processor partition=3\n"; !strings.HasSuffix(got, want) {
		t.Errorf("line is %q, want it to end %q", got, want)
	}
}

// serve runs an admin server for as long as the test.
func serve(t *testing.T, o telemetry.AdminOptions) (url string) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	a, err := telemetry.ListenAdmin(t.Context(), "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + a.Addr()
}

func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	lines := telemetry.NewLines(brokenWriter{})
	log := telemetry.NewLogger(lines, nil, "json", "processor").With("partition", 3)
	log.Info("nobody reads this")
	lines.Close()
	registry := telemetry.NewRegistry("processor", log)
	settled := prometheus.NewCounter(prometheus.CounterOpts{Name: "monedero_settled_total", Help: "Settled."})
	registry.MustRegister(settled)
	settled.Add(7)
	url := serve(t, telemetry.AdminOptions{Registry: registry, Ready: func(context.Context) error { return nil }})

	status, metrics := request(t, http.MethodGet, url+"/metrics")
	if status != http.StatusOK {
		t.Errorf("/metrics answers %d", status)
	}
	for _, want := range []string{"\nmonedero_settled_total 7\n", "\ngo_goroutines ", "\nmonedero_log_lines_dropped_total 1\n", "\nmonedero_build_info{", `service="processor"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %q:\n%s", want, metrics)
		}
	}
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/livez", http.StatusOK, `{"status":"ok"}` + "\n"},
		{http.MethodGet, "/readyz", http.StatusOK, `{"status":"ok"}` + "\n"},
		{http.MethodHead, "/readyz", http.StatusOK, ""},
		{http.MethodPost, "/readyz", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
		{http.MethodGet, "/", http.StatusNotFound, "404 page not found\n"},
	} {
		status, body := request(t, tt.method, url+tt.path)
		if status != tt.status || body != tt.body {
			t.Errorf("%s %s answers %d %q, want %d %q", tt.method, tt.path, status, body, tt.status, tt.body)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestReadyzTellsEveryReason(t *testing.T) {
	t.Parallel()
	url := serve(t, telemetry.AdminOptions{Registry: prometheus.NewRegistry(), Ready: func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("there is no limit to asking")
		}
		return errors.Join(errors.New("kafka is away"), errors.Join(errors.New("partition 3 halted"), errors.New("stopping")))
	}})
	status, body := request(t, http.MethodGet, url+"/readyz")
	want := `{"status":"not_ready","reasons":["kafka is away","partition 3 halted","stopping"]}` + "\n"
	if status != http.StatusServiceUnavailable || body != want {
		t.Errorf("/readyz answers %d %q, want %q", status, body, want)
	}
	if status, _ := request(t, http.MethodGet, url+"/livez"); status != http.StatusOK {
		t.Errorf("/livez answers %d, though only readiness failed", status)
	}
}

// TestAdminFinishesWhatItHasInHand stops the server while a request is served.
func TestAdminFinishesWhatItHasInHand(t *testing.T) {
	t.Parallel()
	asked, proceed := make(chan struct{}), make(chan struct{})
	a, err := telemetry.ListenAdmin(t.Context(), "127.0.0.1:0", telemetry.AdminOptions{
		Registry: prometheus.NewRegistry(),
		Log:      slog.New(slog.DiscardHandler),
		Ready: func(context.Context) error {
			close(asked)
			<-proceed
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	go func() {
		<-asked
		stop()
		for accepts(a.Addr()) { // until it is stopping
		}
		if len(ended) > 0 {
			t.Error("ended with a request in hand")
		}
		close(proceed)
	}()
	if status, _ := request(t, http.MethodGet, "http://"+a.Addr()+"/readyz"); status != http.StatusOK {
		t.Errorf("request in hand was answered %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func accepts(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func TestAdminNowhere(t *testing.T) {
	t.Parallel()
	a, err := telemetry.ListenAdmin(t.Context(), "", telemetry.AdminOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Addr() != "" {
		t.Errorf("listens on %s", a.Addr())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestAdminAddressTaken(t *testing.T) {
	t.Parallel()
	url := serve(t, telemetry.AdminOptions{Registry: prometheus.NewRegistry()})
	if _, err := telemetry.ListenAdmin(t.Context(), strings.TrimPrefix(url, "http://"), telemetry.AdminOptions{}); err == nil {
		t.Error("the same address was taken twice")
	}
}
