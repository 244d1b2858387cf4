package ingest

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestPatienceEndsWithTheFirstTrouble: a charge waits for the look-up beside it
// only while the database is well.
func TestPatienceEndsWithTheFirstTrouble(t *testing.T) {
	t.Parallel()
	l := newLookup(nil, NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing was asked", func() {}, true},
		{"a query began just now", func() { l.began(time.Now().Add(time.Minute)) }, true},
		{"a query hangs", func() { l.began(time.Now().Add(-time.Second)) }, false},
		{"it ended late", func() { l.ended(time.Second, nil) }, false},
		{"the next was quick", func() { l.ended(time.Millisecond, nil) }, true},
		{"the next failed at once", func() { l.ended(time.Millisecond, errors.New("down")) }, false},
	} {
		if step.do(); l.prompt() != step.want {
			t.Errorf("%s: prompt is %v", step.what, !step.want)
		}
	}
	l.slow = true
	q := l.ask([16]byte{1})
	defer l.drop(q)
	q.answer <- answer{found: true}
	if _, found := l.promptly(q); !found {
		t.Error("an answer that is there is not taken")
	}
}
