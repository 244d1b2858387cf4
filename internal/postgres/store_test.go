package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedero/monedero/internal/postgres"
)

// TestWaitingIsSaidNowAndThen: what a service waits for it says at once, and then every
// half a minute, however often it tries.
func TestWaitingIsSaidNowAndThen(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprintf("postgres://somebody@%s/x?sslmode=disable", listener.Addr())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 95*time.Second)
		defer cancel()
		var said bytes.Buffer
		_, err := postgres.Connect(ctx, nobody, postgres.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody answers, and Connect says %v", err)
		}
		if n := strings.Count(said.String(), "postgres does not answer yet"); n != 4 { // at 0, 30, 60 and 90 seconds
			t.Errorf("it is said %d times in 95 seconds:\n%s", n, said.String())
		}
	})
}
