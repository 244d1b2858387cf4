package ingest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// While a rebuild holds the partitions, freezing answers 503 after a second, and
// charges are taken all the same.
func TestDirectOperationsDuringARebuild(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	rebuild, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rebuild.Close(context.Background()) }()
	tx, err := rebuild.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "select from partition_progress for update"); err != nil {
		t.Fatal(err)
	}
	freeze := strings.TrimSuffix(p.charges(), "/charges") + "/freeze"
	got := within(t, 5*time.Second, func() answer { return s.operator.post(freeze, nil, "") }).want(t, http.StatusServiceUnavailable)
	if got.header.Get("Retry-After") == "" || got.text("retryable") != "true" {
		t.Errorf("the 503: %v %s", got.header, got.body)
	}
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.operator.post(freeze, nil, "").want(t, http.StatusOK)
}
