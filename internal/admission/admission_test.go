package admission

import (
	"testing"
	"time"
)

// TestOthersLeaveSeats: charges and top-ups are taken where nothing else is.
func TestOthersLeaveSeats(t *testing.T) {
	t.Parallel()
	a := New(Bounds{Seats: 8, Others: 4, Waits: 1}, time.Now)
	take := func(n byte, submission bool, want Grant) *Seat {
		t.Helper()
		s, got := a.Enter(merchantKey(n).Party, submission)
		if got != want {
			t.Fatalf("owner %d, submission %v: %v, want %v", n, submission, got, want)
		}
		return s
	}
	var seats []*Seat
	for n := range byte(4) {
		seats = append(seats, take(n, false, Granted))
	}
	take(5, false, AllTaken)
	for n := range byte(4) {
		seats = append(seats, take(10+n, true, Granted))
	}
	take(20, true, AllTaken)
	seats[0].Release()
	seats[0].Leave()
	take(21, true, Granted).Leave()
	take(22, false, Granted).Leave()
	for _, s := range seats[1:] {
		s.Leave()
	}
	if got := a.Held(); got != (Bounds{}) {
		t.Errorf("held, with nobody there: %v", got)
	}
}
