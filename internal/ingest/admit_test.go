package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ledger"
)

func testAdmission(inHand, others, waiting int) *admission.Admission {
	return admission.New(admission.Bounds{Seats: inHand, Others: others, Waits: waiting}, time.Now)
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
		if got := s.admission.Held(); got != (admission.Bounds{Seats: 1, Others: 1, Waits: 1}) {
			t.Errorf("held: %v", got)
		}
		if err := seated(merchantKey(2), func(ctx context.Context) {
			if got := s.patience(ctx, "wait=30"); got != 0 {
				t.Errorf("the second wait is %v", got)
			}
		}); err != nil {
			t.Error(err)
		}
		release(ctx)
		release(ctx) // once is enough
		if got := s.admission.Held(); got != (admission.Bounds{Waits: 1}) {
			t.Errorf("held: %v", got)
		}
	}); err != nil {
		t.Error(err)
	}
	if got := s.admission.Held(); got != (admission.Bounds{}) {
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
