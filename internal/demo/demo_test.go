package demo

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
	"github.com/monedero/monedero/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// smallDay is a day that takes a moment.
func smallDay(t *testing.T, out *said) Options {
	t.Helper()
	return Options{
		Charges: 500, Wallets: 100, Callers: 16, Seed: 1, Exit: true,
		Out: out, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// said is what the demo said. It calls back at each write.
type said struct {
	mu   sync.Mutex
	text strings.Builder
	then func(text string)
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.then != nil {
		s.then(string(p))
	}
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestASecondDemoOnTheSameFolderGoesOn(t *testing.T) {
	t.Parallel()
	dir := devstacktest.Folder(t)
	for day, options := range []Options{{Wallets: 100, Seed: 1}, {Wallets: 120, Seed: 1}} {
		out := &said{}
		o := smallDay(t, out)
		o.Dir, o.Wallets, o.Seed = dir, options.Wallets, options.Seed
		if err := Run(t.Context(), o); err != nil {
			t.Fatalf("day %d: %v\n%s", day+1, err, out)
		}
		s, err := readState(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Day != day+1 {
			t.Errorf("after %d demos it is day %d", day+1, s.Day)
		}
		for _, want := range []string{"charge accepted", "charge insufficient_funds", "charge duplicate_invoice", "refund accepted", "withdraw accepted", "capture accepted", "release accepted", "500 charges, ", "holds are open", "p99", "verified"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("day %d: the report does not say %q:\n%s", day+1, want, out)
			}
		}
		if strings.Contains(out.String(), "\n0 refunds, captures and releases were sent while") {
			t.Errorf("day %d: nothing came while what it refers to was pending:\n%s", day+1, out)
		}
	}
	assertStopped(t, dir)
}

// assertStopped wants no Postgres to run on the folder any more.
func assertStopped(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "postgres", "data", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Postgres did not stop in order: %v", err)
	}
}

// TestOutcomesThatDifferAreFound tampers with what is expected: a report that
// did not compare would still be good.
func TestOutcomesThatDifferAreFound(t *testing.T) {
	t.Parallel()
	out := &said{}
	day, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	s := &stage{options: smallDay(t, out), console: newConsole(out)}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.open(day, fail); err != nil {
		t.Fatal(err)
	}
	tampered, err := s.prepare(day)
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range tampered.stories {
		if st.name == "no money" {
			tampered.stories[i].steps[0].want.reason = ledger.ReasonExpired
			break
		}
	}
	report, err := s.play(day, tampered)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); !errors.Is(err, ErrMismatch) || len(report.Mismatches) != 1 {
		t.Errorf("%v; found %q", err, report.Mismatches)
	}

	// The next day on the same stage is as planned.
	today, err := s.prepare(day)
	if err != nil {
		t.Fatal(err)
	}
	if report, err = s.play(day, today); err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Errorf("%v: %q %v", err, report.Mismatches, report.Verified.Violations)
	}
	tryByHand(t, s)
}

// tryByHand sends what the printed curl lines say.
func tryByHand(t *testing.T, s *stage) {
	t.Helper()
	list, err := trials(s.world, s.minter, s.state.Day)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`"status":"accepted"`, `"status":"accepted"`, `"balance":`} {
		line, err := curl(list[i].call, s.api.Base())
		if err != nil {
			t.Fatal(err)
		}
		request := parseCurl(t, line)
		if i == 0 {
			request.Header.Set("Prefer", patience) // so that the next line finds an outcome
		}
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s\nanswered %d %s", line, resp.StatusCode, body)
		}
	}
}

// parseCurl is the request of a curl line, read as a shell and curl would.
func parseCurl(t *testing.T, line string) *http.Request {
	t.Helper()
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	method, url, body := http.MethodGet, "", ""
	header := http.Header{}
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-sS":
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			body = words[i]
		default:
			url = words[i]
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	r.Header = header
	return r
}

func TestStoppedDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"started Postgres", "topped up", "requests: "} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := &said{then: func(text string) {
				if strings.Contains(text, moment) {
					cancel()
				}
			}}
			o := smallDay(t, out)
			o.Dir = devstacktest.Folder(t)
			if err := Run(ctx, o); !errors.Is(err, errStopped) {
				t.Errorf("stopped while it said %q: %v\n%s", moment, err, out)
			}
			assertStopped(t, o.Dir)

			// The next day is none the worse for what was broken off.
			next := &said{}
			o.Out = next
			if err := Run(t.Context(), o); err != nil {
				t.Errorf("the day after: %v\n%s", err, next)
			}
		})
	}
}

func TestDemoOnAGivenPostgresRemovesItsDatabase(t *testing.T) {
	t.Parallel()
	given, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := given.Stop(); err != nil {
			t.Error(err)
		}
	}()
	out := &said{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := smallDay(t, out)
	o.Exit, o.DatabaseURL, o.Charges = false, given.URL(), MinCharges
	// It stays up with three lines to try, until it is asked to stop.
	out.then = func(text string) {
		if strings.Contains(text, "/v1/clients/") {
			cancel()
		}
	}
	if err := Run(ctx, o); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(out.String(), "\ncurl "); n != 3 {
		t.Errorf("%d curl lines, want 3:\n%s", n, out)
	}
	conn, err := pgx.Connect(t.Context(), given.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var databases int
	if err := conn.QueryRow(t.Context(), `select count(*) from pg_database where datname like 'monedero%'`).Scan(&databases); err != nil {
		t.Fatal(err)
	}
	if databases != 0 {
		t.Errorf("%d databases of the demo are left", databases)
	}
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Options{Charges: MinCharges - 1, Wallets: maxWallets + 1, Callers: 0})
	if err == nil {
		t.Fatal("it ran")
	}
	for _, name := range []string{"charges", "wallets", "callers"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not named: %v", name, err)
		}
	}
}
