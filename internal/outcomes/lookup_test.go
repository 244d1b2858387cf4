package outcomes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

func uncounted(int, time.Duration, error) {}

// TestEveryQuestionIsAnswered has many ask at once, for operations that are on
// record and others: for each one's own, for one that all ask for, and some who
// are gone before they hear anything.
func TestEveryQuestionIsAnswered(t *testing.T) {
	t.Parallel()
	const callers, rounds = 64, 200
	onRecord := func(id ledger.OperationID) bool { return id[0]%2 == 0 }
	l := newLookup(func(_ context.Context, ids []ledger.OperationID, _ []int) (found Found, _ map[int]ledger.Place, _ error) {
		asked := map[ledger.OperationID]bool{}
		for _, id := range ids {
			if asked[id] {
				t.Errorf("%s is asked for twice in one query", id)
			}
			asked[id] = true
			if onRecord(id) {
				found.Decided = append(found.Decided, Decided{Operation: ledger.Operation{Request: ledger.Request{ID: id}}})
			}
		}
		return found, nil, nil
	}, uncounted, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running, asking sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for caller := range callers {
		asking.Go(func() {
			for round := range rounds {
				id := ledger.OperationID{byte(round), byte(caller)}
				if round%5 == 0 {
					id[1] = callers // the same for all
				}
				if round%7 == 0 {
					l.Drop(l.Await(id, 0, UnknownOffset))
					continue
				}
				a, err := l.Find(t.Context(), id)
				if err != nil || a.Found != onRecord(id) || (a.Found && a.ID != id) {
					t.Errorf("%s: %v, %v, %v", id, a.ID, a.Found, err)
				}
			}
		})
	}
	asking.Wait()
	cancel()
	running.Wait()
	if open := l.open.Load(); open != 0 {
		t.Errorf("%d questions are open", open)
	}
}

// TestPatienceEndsWithTheFirstTrouble: a charge waits for the look-up beside it
// only while the database is well.
func TestPatienceEndsWithTheFirstTrouble(t *testing.T) {
	t.Parallel()
	l := newLookup(nil, uncounted, slog.New(slog.DiscardHandler))
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
		if step.do(); l.fast() != step.want {
			t.Errorf("%s: prompt is %v", step.what, !step.want)
		}
	}
	l.slow.Store(true)
	q := l.Ask([16]byte{1})
	defer l.Drop(q)
	q.answer <- Answer{Found: true}
	if _, found := l.AwaitBriefly(q); !found {
		t.Error("an answer that is there is not taken")
	}
}
