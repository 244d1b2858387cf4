package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/bench"
	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

// TestMain lets this binary be the parts of a run, as monedero is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == bench.PartCommand {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := bench.Part(ctx, os.Args[2], os.Environ(), os.Stdin, os.Stdout, os.Stderr); err != nil {
			slog.Error("part failed", "err", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestRun measures on a tiny scale, with all the real parts, and leaves nothing
// behind.
func TestRun(t *testing.T) {
	gone := leavesNothing(t)
	var out bytes.Buffer
	report, err := bench.Run(t.Context(), bench.Options{
		Only: []string{"drain", "wal"}, Quick: true, Rounds: 1, Charges: 20_000, Format: bench.FormatJSON, Out: &out, Log: logTo(t, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	gone()
	if len(report.Results) != 2 || report.Results[0].Name != "drain" || report.Results[1].Name != "wal" {
		t.Fatalf("rows: %+v", report.Results)
	}
	for _, r := range report.Results {
		if len(r.Ours) != 1 || len(r.Limit) != 1 || r.Ours[0] <= 0 || r.Limit[0] <= 0 || r.Ratio() != r.Ours[0]/r.Limit[0] {
			t.Errorf("%s: %+v", r.Name, r.Figures)
		}
	}
	// A row takes no less in the WAL than what it holds.
	if wal := report.Results[1]; wal.Ours[0] < 250 || wal.Limit[0] < 250 || wal.Ratio() > 2 {
		t.Errorf("wal: %+v", wal.Figures)
	}
	if c := report.Results[0].OursCPU; runtime.GOOS == "linux" && (len(c.Uses) != 3 || c.Micros() <= 0) {
		t.Errorf("CPU time: %+v", c)
	}
	var document struct{ Rows []map[string]any }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil || len(document.Rows) != 2 {
		t.Fatalf("%v: %s", err, out.String())
	}
	for _, field := range []string{"name", "ours", "limit", "unit", "ratio", "goal", "met"} {
		if _, has := document.Rows[0][field]; !has {
			t.Errorf("a row has no %s", field)
		}
	}
}

// TestRunThatIsStopped is asked to stop while processors settle, on a Postgres of
// somebody else.
func TestRunThatIsStopped(t *testing.T) {
	gone := leavesNothing(t)
	postgres, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	made := make(chan struct{})
	var watch errgroup.Group
	watch.Go(func() error {
		defer stop()
		select {
		case <-made:
		case <-ctx.Done(): // it failed before
		}
		for n := 0; n == 0 && ctx.Err() == nil; time.Sleep(time.Millisecond) {
			err := conn.QueryRow(t.Context(), "select count(*) from pg_stat_activity where application_name = 'monedero-processor'").Scan(&n)
			if err != nil {
				return err
			}
		}
		return nil
	})
	report, err := bench.Run(ctx, bench.Options{
		Only: []string{"drain"}, Quick: true, DatabaseURL: postgres.URL(),
		Log: logTo(t, func(message string) {
			if message == "world made" {
				close(made)
			}
		}),
	})
	if err == nil || !strings.Contains(err.Error(), "stopped") || len(report.Results) != 0 {
		t.Errorf("%+v, %v", report.Results, err)
	}
	stop()
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
	var left int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_database where datname like 'monedero%'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d databases are left, %v", left, err)
	}
	if err := errors.Join(conn.Close(t.Context()), postgres.Stop()); err != nil {
		t.Error(err)
	}
	gone()
}

// leavesNothing returns what fails the test if a process or a temporary file is
// left.
func leavesNothing(t *testing.T) func() {
	t.Helper()
	dir := devstacktest.Folder(t)
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, file := range stats {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // it has ended
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
				t.Errorf("a process is left: %s", text)
			}
		}
	}
}

// logTo logs to the test, and tells of each message.
func logTo(t *testing.T, tell func(message string)) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(writer(func(line []byte) {
		t.Log(strings.TrimSpace(string(line)))
		if _, message, found := strings.Cut(string(line), `msg="`); found && tell != nil {
			message, _, _ = strings.Cut(message, `"`)
			tell(message)
		}
	}), nil))
}

type writer func([]byte)

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}
