package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

func testAdmission(inHand, others, waiting int) *admission {
	return &admission{
		inHand: newShares(inHand, time.Now), others: newShares(others, time.Now), waiting: newShares(waiting, time.Now),
	}
}

func (a *admission) held() [3]int {
	return [3]int{a.inHand.held(), a.others.held(), a.waiting.held()}
}

func as(ctx context.Context, k ledger.Key) context.Context {
	return context.WithValue(ctx, callerKey{}, k)
}

func merchantKey(n byte) ledger.Key {
	return ledger.Key{Party: ledger.Party{Role: ledger.RoleMerchant, Owner: [16]byte{n}}}
}

// TestWaitsBeyondTheBoundAreNotApplied: who finds no place to wait at is served all
// the same, and who waits holds no seat.
func TestWaitsBeyondTheBoundAreNotApplied(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	s.admission = testAdmission(3, 3, 1)
	seated := func(k ledger.Key, do func(context.Context)) error {
		return s.seated(as(t.Context(), k), false, func(ctx context.Context) error {
			do(ctx)
			return nil
		})
	}
	if err := seated(merchantKey(1), func(ctx context.Context) {
		if got := s.patience(ctx, "respond-async"); got != 0 { // it does not want to wait
			t.Errorf("a wait of %v", got)
		}
		if got := s.patience(ctx, "respond-async, wait=1"); got != time.Second {
			t.Errorf("the first wait is %v", got)
		}
		if got := s.admission.held(); got != [3]int{1, 1, 1} {
			t.Errorf("held: %v", got)
		}
		if err := seated(merchantKey(2), func(ctx context.Context) {
			if got := s.patience(ctx, "wait=30"); got != 0 {
				t.Errorf("the second wait is %v", got)
			}
		}); err != nil {
			t.Error(err)
		}
		stepAside(ctx)
		stepAside(ctx) // once is enough
		if got := s.admission.held(); got != [3]int{0, 0, 1} {
			t.Errorf("held: %v", got)
		}
	}); err != nil {
		t.Error(err)
	}
	if got := s.admission.held(); got != [3]int{} {
		t.Errorf("held, with nobody there: %v", got)
	}
}

// TestOthersLeaveSeats: charges and top-ups are taken where nothing else is.
func TestOthersLeaveSeats(t *testing.T) {
	t.Parallel()
	a := testAdmission(8, 4, 1)
	take := func(n byte, submission bool, want grant) *seat {
		t.Helper()
		s, got := a.enter(merchantKey(n).Party, submission)
		if got != want {
			t.Fatalf("owner %d, submission %v: %v, want %v", n, submission, got, want)
		}
		return s
	}
	var seats []*seat
	for n := range byte(4) {
		seats = append(seats, take(n, false, granted))
	}
	take(5, false, allTaken)
	for n := range byte(4) {
		seats = append(seats, take(10+n, true, granted))
	}
	take(20, true, allTaken)
	seats[0].stepAside()
	seats[0].leave()
	take(21, true, granted).leave()
	take(22, false, granted).leave()
	for _, s := range seats[1:] {
		s.leave()
	}
	if got := a.held(); got != [3]int{} {
		t.Errorf("held, with nobody there: %v", got)
	}
}

// TestRefusalsForSeats: both say that nothing was taken.
func TestRefusalsForSeats(t *testing.T) {
	t.Parallel()
	s := newUnconnected(t)
	s.admission = testAdmission(2, 2, 1)
	refused := func(k ledger.Key) {
		t.Helper()
		var why *refusal
		err := s.seated(as(t.Context(), k), true, func(context.Context) error { return nil })
		if !errors.As(err, &why) || why.code != CodeOverloaded {
			t.Errorf("%v", err)
		}
	}
	in := func(k ledger.Key, do func()) {
		t.Helper()
		if err := s.seated(as(t.Context(), k), true, func(context.Context) error {
			do()
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	in(merchantKey(1), func() {
		refused(merchantKey(1))
		in(merchantKey(2), func() { refused(merchantKey(3)) })
	})
}
