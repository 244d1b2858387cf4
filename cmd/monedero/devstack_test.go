package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

// TestDevstack goes the way that the README describes: with the environment that
// devstack prints, from an empty database on.
func TestDevstack(t *testing.T) {
	t.Parallel()
	testDevstack(t)
}

// TestDevstackOnATakenPort: what was asked for is not there, and it says which port.
func TestDevstackOnATakenPort(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, flag := range []string{"--postgres-port", "--kafka-port"} {
		r := monedero(t, nil, "devstack", flag, port)
		if r.code != exitFailed || !strings.Contains(r.errors, flag+": ") || !strings.Contains(r.errors, ":"+port) || !strings.Contains(r.errors, "in use") {
			t.Errorf("%s: %+v", flag, r)
		}
	}
}

func TestDevstackWithApache(t *testing.T) {
	t.Parallel()
	kafkatest.NeedReal(t)
	testDevstack(t, "--kafka=apache")
}

func testDevstack(t *testing.T, flags ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &lines{seen: make(chan string, 8)}
	ended := make(chan result, 1)
	go func() {
		var errs bytes.Buffer
		code := run(ctx, append([]string{"devstack", "--postgres-port=0", "--kafka-port=0"}, flags...), nil, out, &errs)
		ended <- result{code: code, errors: errs.String()}
	}()
	var environ []string
	for len(environ) < 3 {
		select {
		case line := <-out.seen:
			name, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
			if !found || !strings.HasPrefix(line, "export ") {
				t.Fatalf("it printed %q", line)
			}
			environ = append(environ, name+"="+strings.Trim(value, "'"))
		case r := <-ended:
			t.Fatalf("it ended: %+v", r)
		}
	}
	must(t, environ, "migrate", "up")
	must(t, environ, "topics", "create", "--partitions", "4")
	must(t, environ, "keys", "create", "--role", "operator")
	if out := must(t, environ, "verify"); !strings.Contains(out, "4 partitions") {
		t.Errorf("verify says %q", out)
	}
	stop()
	if r := <-ended; r.code != 0 || strings.Contains(r.errors, "monedero:") {
		t.Errorf("asked to stop, it ended with %+v", r)
	}
	if conn, err := pgx.Connect(t.Context(), strings.TrimPrefix(environ[0], "DATABASE_URL=")); err == nil {
		t.Errorf("its Postgres still answers: %v", conn.Close(t.Context()))
	}
}

// lines passes on whole lines as they are written.
type lines struct {
	seen chan string
	rest string
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, found := strings.Cut(l.rest, "\n")
		if !found {
			return len(p), nil
		}
		l.rest = rest
		l.seen <- line
	}
}
