package ingest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Kafka answers, and refuses what is submitted: the service is not ready as long as it
// hears nothing else, and takes submissions all the same, which are how it hears.
func TestNotReadyWhileSubmissionsAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(&checked{answer: func(context.Context) error { return nil }}, slog.New(slog.DiscardHandler))
		if err := h.check(t.Context()); err != nil {
			t.Fatal(err)
		}
		refusal := errors.New("not enough replicas")
		for range maxRefusals - 1 {
			h.submitted(refusal)
		}
		if err := h.ready(); err != nil {
			t.Error("after fewer than the refusals it takes:", err)
		}
		h.submitted(refusal)
		if err := h.ready(); err == nil || !strings.Contains(err.Error(), refusal.Error()) {
			t.Errorf("after %d refusals in a row: %v", maxRefusals, err)
		}
		if err := h.usable(t.Context()); err != nil {
			t.Error("nothing would be submitted any more:", err)
		}
		h.submitted(nil)
		if err := h.ready(); err != nil {
			t.Error("once one is taken:", err)
		}
		for range maxRefusals {
			h.submitted(refusal)
		}
		time.Sleep(refusedFor)
		if err := h.ready(); err != nil {
			t.Error("when nobody has submitted for long:", err)
		}
	})
}
