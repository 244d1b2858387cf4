package system

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

// answerLimit is how long a 503 may take.
const answerLimit = 5 * time.Second

func TestPostgresDown(t *testing.T) {
	t.Parallel()
	o := devstack.PostgresOptions{Dir: devstacktest.Folder(t), Port: freePort(t)}
	postgres, err := devstack.StartPostgres(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(); err != nil {
			t.Errorf("stop Postgres: %v", err)
		}
	})
	if _, err := built.run(t, append(os.Environ(), "DATABASE_URL="+postgres.URL()), "monedero", "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	s := newStackOn(t, postgres.URL(), 4)
	_, operator := s.ingest()
	s.processor()
	shop := operator.open()
	wallet := shop.wallet()
	operator.topUp(wallet, 100)
	unused := operator.as(shop.newKey())
	before, err := shop.till.charge(t.Context(), wallet, "before", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shop.till.outcome(t.Context(), before); err != nil {
		t.Fatal(err)
	}

	if err := postgres.Stop(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	status, during, err := shop.till.submit(t.Context(), wallet, "during", 20)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("a charge while Postgres is down: %d %s, %v", status, during.Code, err)
	}
	if took := time.Since(started); took > answerLimit {
		t.Errorf("the charge took %v", took)
	}
	if status, o, err := shop.till.call(t.Context(), http.MethodGet, "/v1/operations/"+before, nil, nil); err != nil || status != http.StatusServiceUnavailable || o.RetryAfter == "" {
		t.Errorf("a read while Postgres is down: %d %s, %v", status, o.Code, err)
	}
	if status, o, err := unused.submit(t.Context(), wallet, "unverified", 1); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a key that cannot be verified: %d %s, %v", status, o.Code, err)
	}

	// Services that start now wait for it.
	late := []*process{
		built.start(t, append(s.env, "INGEST_ADDR="+freeAddress(t)), "ingest"), built.start(t, s.env, "processor"),
	}
	for _, p := range late {
		p.awaitOutput("postgres does not answer yet")
	}

	if postgres, err = devstack.StartPostgres(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, p := range late {
		p.waitReady()
	}
	if o, err := shop.till.outcome(t.Context(), during.ID); err != nil || o.Status != "accepted" {
		t.Errorf("the charge taken meanwhile is %s, %v", o.Status, err)
	}
	s.monedero("verify")
}

func TestKafkaDown(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	_, operator := s.ingest()
	s.processor()
	shop := operator.open()
	wallet := shop.wallet()
	operator.topUp(wallet, 100)

	s.kafka.Stop()
	started := time.Now()
	status, answer, err := shop.till.submit(t.Context(), wallet, "k", 10)
	if took := time.Since(started); took > answerLimit {
		t.Errorf("the answer took %v", took)
	}
	if err != nil || status != http.StatusServiceUnavailable || answer.RetryAfter == "" {
		t.Fatalf("a charge while Kafka is down: %d %s, Retry-After %q, %v", status, answer.Code, answer.RetryAfter, err)
	}

	s.kafka.Restart(t)
	id, err := shop.till.charge(t.Context(), wallet, "k", 10)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
		t.Errorf("the charge is %s, %v", o.Status, err)
	}
	if _, w, err := operator.call(t.Context(), http.MethodGet, "/v1/wallets/"+wallet, nil, nil); err != nil || w.Balance != 90 {
		t.Errorf("balance %d, %v; want 90", w.Balance, err)
	}
	s.monedero("verify")
}
