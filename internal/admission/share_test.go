package admission

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

func merchantKey(n byte) ledger.Key {
	return ledger.Key{Party: ledger.Party{Role: ledger.RoleMerchant, Owner: [16]byte{n}}}
}

// TestShares compares with the rule, said in the plainest way: nobody holds more than
// three quarters, and of the last quarter a place is given to whoever holds less than an
// even share.
func TestShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		most := rapid.IntRange(1, 40).Draw(t, "most")
		s := newShares(most, func() time.Time { return now })
		held, asked := map[ledger.Party]int{}, map[ledger.Party]time.Time{}
		taken := 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			// Longer than it takes to be counted again, so that the model need not know when.
			now = now.Add(countEvery + time.Duration(rapid.IntRange(0, 600).Draw(t, "ms"))*time.Millisecond)
			o := merchantKey(byte(rapid.IntRange(0, 5).Draw(t, "owner"))).Party
			if held[o] > 0 && rapid.Bool().Draw(t, "give") {
				s.give(o)
				held[o]--
				taken--
				continue
			}
			asked[o] = now
			active := 0
			for other, at := range asked {
				if held[other] > 0 || now.Sub(at) <= activeFor {
					active++
				}
			}
			want := Granted
			quarters := most * 3 / 4
			switch {
			case taken == most:
				want = AllTaken
			case held[o] > 0 && held[o] >= quarters:
				want = ShareTaken
			case taken >= quarters && held[o] > 0 && held[o] >= most/(active+1):
				want = ShareTaken
			}
			got := s.take(o)
			if got != want {
				t.Fatalf("%d of %d taken, %d of them by the owner, %d active: %v, want %v", taken, most, held[o], active, got, want)
			}
			if got == Granted {
				held[o]++
				taken++
			}
		}
		if s.held() != taken {
			t.Fatalf("%d are held, want %d", s.held(), taken)
		}
	})
}

// TestSharesLeaveRoom: one owner takes all that it gets, and a hundred others get theirs.
func TestSharesLeaveRoom(t *testing.T) {
	t.Parallel()
	s := newShares(Seats, time.Now)
	greedy := ledger.Key{Party: ledger.Party{Role: ledger.RoleOperator}}.Party
	for s.take(greedy) == Granted {
	}
	if n := s.held(); n != Seats*3/4 {
		t.Errorf("one owner holds %d", n)
	}
	for n := range byte(100) {
		if got := s.take(merchantKey(n).Party); got != Granted {
			t.Fatalf("owner %d finds none: %v", n, got)
		}
	}
}

// TestOwners: keys of one merchant are one owner, and no other is.
func TestOwners(t *testing.T) {
	t.Parallel()
	keys := []ledger.Key{
		{Party: ledger.Party{Role: ledger.RoleMerchant, Owner: [16]byte{1}}},
		{Party: ledger.Party{Role: ledger.RoleMerchant, Owner: [16]byte{2}}},
		{Party: ledger.Party{Role: ledger.RoleClient, Owner: [16]byte{1}}},
		{Party: ledger.Party{Role: ledger.RoleOperator}},
	}
	owners := map[ledger.Party]bool{}
	for n, k := range keys {
		owners[k.Party] = true
		k.ID, k.Name = [16]byte{byte(n)}, "another key"
		owners[k.Party] = true
	}
	if len(owners) != len(keys) {
		t.Errorf("%d owners of %d", len(owners), len(keys))
	}
}

// TestArrivalsCutTheOldestOfWhoHasMost: bodies that dawdle cost their own sender.
func TestArrivalsCutTheOldestOfWhoHasMost(t *testing.T) {
	t.Parallel()
	a := &Arrivals{most: 4, shed: func() {}}
	var cut []int
	begin := func(n int, o byte) *Arrival {
		return a.Begin(merchantKey(o).Party, func() { cut = append(cut, n) })
	}
	brief := begin(0, 1)
	begin(1, 2)
	begin(2, 2)
	begin(3, 1)
	a.End(brief)
	begin(4, 2)
	if cut != nil {
		t.Errorf("%v were cut off with room for all", cut)
	}
	last := begin(5, 3) // of owner 2 there are three
	if len(cut) != 1 || cut[0] != 1 {
		t.Errorf("%v were cut off, want the oldest of the owner with most", cut)
	}
	a.End(last)
	a.End(last) // once is enough
	if n := a.bodies.Len(); n != 3 {
		t.Errorf("%d are on their way", n)
	}
}
