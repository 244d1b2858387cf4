package admission

import (
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of a share.
const (
	// activeFor is how long an owner counts as active after it asked for a place.
	activeFor = time.Second
	// countEvery is how often the active owners are counted.
	countEvery = 100 * time.Millisecond
)

// shares gives out places, of which there are so many, and sees to it that nobody takes
// what others need: an owner holds three quarters of them at most, and of the last
// quarter only those get one that hold less than an even share. One is always free for
// somebody who holds none, unless many hold an even share.
type shares struct {
	most  int
	clock func() time.Time

	mu      sync.Mutex
	taken   int
	owners  map[ledger.Party]*holding // the active ones, and those of late
	counted time.Time                 // when those of late were dropped
}

// holding is what an owner has, and when it asked for it.
type holding struct {
	places int
	asked  time.Time
}

// Grant says whether somebody got a place, and if not why.
type Grant int

// The grants.
const (
	Granted    Grant = iota // it got one
	AllTaken                // they are all taken
	ShareTaken              // the owner has as many as it may
)

func newShares(most int, clock func() time.Time) *shares {
	return &shares{most: most, clock: clock, owners: map[ledger.Party]*holding{}}
}

// take takes a place for the owner.
func (s *shares) take(o ledger.Party) Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, got := s.ask(o)
	if got == Granted {
		s.taken++
		h.places++
	}
	return got
}

// would say whether the owner would get a place now. It asked for one by that.
func (s *shares) would(o ledger.Party) Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, got := s.ask(o)
	return got
}

// ask is what the owner has, and whether it may have one more. The caller holds the mutex.
func (s *shares) ask(o ledger.Party) (*holding, Grant) {
	now := s.clock()
	s.count(now)
	h := s.owners[o]
	if h == nil {
		h = &holding{}
		s.owners[o] = h
	}
	h.asked = now
	kept := s.most * 3 / 4
	switch {
	case s.taken >= s.most:
		return h, AllTaken
	case h.places >= max(1, kept), s.taken >= kept && h.places >= max(1, s.most/(len(s.owners)+1)):
		return h, ShareTaken
	}
	return h, Granted
}

// give gives a place of the owner's back.
func (s *shares) give(o ledger.Party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.owners[o].places--
}

// count drops the owners that are not active any more, now and then.
func (s *shares) count(now time.Time) {
	if now.Sub(s.counted) < countEvery && !now.Before(s.counted) {
		return
	}
	s.counted = now
	for o, h := range s.owners {
		if h.places == 0 && now.Sub(h.asked) > activeFor {
			delete(s.owners, o)
		}
	}
}

// held is how many places are taken.
func (s *shares) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
