package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/proxytest"
)

// hold opens a transaction as a service does, takes the lock, and has no timeout
// that could free it.
func (w *world) hold(application, lock string) *pgxpool.Conn {
	w.t.Helper()
	conn, err := w.connect(application).Pool().Acquire(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(conn.Release)
	for _, sql := range []string{"set idle_in_transaction_session_timeout = 0", "set statement_timeout = 0", "begin", lock} {
		if _, err := conn.Exec(w.t.Context(), sql); err != nil {
			w.t.Fatal(err)
		}
	}
	return conn
}

const lockProgress = "select from partition_progress where partition = 0 for update"

func TestClaimEndsASessionThatIsIdleInTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopped := w.hold("stopped", lockProgress)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.store.Claim(ctx, topic, 0, processor.Memory{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stopped.Exec(ctx, "commit"); state(err) != "57P01" { // ended by an administrator
		t.Errorf("the stopped session goes on: %v", err)
	}
}

// The claim goes on as soon as the session is ended, before its watcher is told: the
// end is on record all the same.
func TestEndingASessionIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy, through := proxytest.StartURL(t, w.url)
	var log bytes.Buffer
	store, err := postgres.Connect(t.Context(), through, postgres.Options{Application: "claimer", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.hold("stopped", lockProgress)
	const rowOfTrue = "D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01\x01" // the answer of pg_terminate_backend
	trap := proxy.HoldAt(proxytest.ToClient, proxytest.Before(rowOfTrue))
	claimed := make(chan error, 1)
	go func() {
		_, err := store.Claim(context.WithoutCancel(t.Context()), topic, 0, processor.Memory{})
		claimed <- err
	}()
	<-trap.Sprung()
	w.await("select count(*) = 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
	time.Sleep(100 * time.Millisecond) // the claim has its lock, and time to go on without its watcher
	trap.Release()
	if err := <-claimed; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "ended a session") || strings.Contains(log.String(), "canceled") {
		t.Errorf("the log says:\n%s", log.String())
	}
}

func TestClaimEndsASessionThatIsInsideCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopped := w.hold("stopped", lockProgress)
	// A process that stops while it sends its rows: the server waits for more.
	rows, feed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := stopped.Conn().PgConn().CopyFrom(context.Background(), rows, "copy conflicts from stdin")
		ended <- err
	}()
	if _, err := feed.Write([]byte("1\t2026")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := w.store.Claim(ctx, topic, 0, processor.Memory{})
	_ = feed.Close()
	if copyErr := <-ended; err != nil || state(copyErr) != "57P01" { // ended by an administrator
		t.Fatalf("claim: %v, the stopped COPY: %v", err, copyErr)
	}
}

func TestSettleEndsASessionThatHoldsAWallet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	claim := w.claim(0)
	w.hold("stopped", "select from wallets where partition = 0 for update")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.store.Settle(ctx, claim, slice(0, request(w.topUp(wallet, 5)))); err != nil {
		t.Fatal(err)
	}
	w.verified()
}

// One that is in the way of one that is in the way is found.
func TestClaimFollowsTheChainOfBlockers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	claim := w.claim(0)
	w.hold("stopped", "select from wallets where partition = 0 for update")
	settled := make(chan error, 1)
	second := w.connect("second")
	go func() {
		_, err := second.Settle(context.WithoutCancel(t.Context()), claim, slice(0, request(w.topUp(wallet, 5))))
		settled <- err
	}()
	// For so long it waits only alone: before, a claim may come in between.
	w.await("select count(*) = 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' " +
		"and query_start < clock_timestamp() - interval '100 ms'")
	claimed := w.claim(0)
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	if claimed.NextOffset != 1 {
		t.Errorf("the claim did not wait for the settle: %+v", claimed)
	}
}

func TestClaimLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	person := w.schemaOwner() // somebody at psql
	for _, sql := range []string{"begin", lockProgress} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := w.store.Claim(ctx, topic, 0, processor.Memory{}); !errors.Is(err, context.DeadlineExceeded) && !pgconn.Timeout(err) {
		t.Fatalf("the claim got past a person's lock: %v", err)
	}
	if _, err := person.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Claim(t.Context(), topic, 0, processor.Memory{}); errors.Is(err, processor.ErrNoProgress) || err != nil {
		t.Fatal(err)
	}
}

// await polls until the question is answered with yes.
func (w *world) await(question string) {
	w.t.Helper()
	conn := w.schemaOwner()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		var yes bool
		if err := conn.QueryRow(w.t.Context(), question).Scan(&yes); err != nil {
			w.t.Fatal(err)
		}
		if yes {
			return
		}
	}
	w.t.Fatalf("in vain: %s", question)
}
