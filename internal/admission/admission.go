package admission

import (
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of what a replica has in hand. What comes beyond them would only wait,
// for Kafka or for the CPU, and make everything before it wait too.
const (
	// Seats is how many requests are worked on at once. Kafka writes what comes meanwhile in
	// one batch: at 10 ms a batch, so many are 50,000 requests a second, more than
	// the CPUs of a replica carry; at 3,000 a second, the last one is answered
	// within 0.2 s.
	Seats = 512
	// maxOthers requests in hand at once are no submissions. Submissions need Kafka,
	// the others the database: while that hangs, each of them stays for seconds, and
	// they must not take the seats of the submissions.
	maxOthers = Seats / 2
	// maxWaiting requests wait for an outcome at once. Together they cost a query at each
	// look at the progress, and some 30 KB each.
	maxWaiting = 1000
	// MaxPages pages of lists that are large are held in memory at once. One
	// is held until its last byte is handed to the connection, which takes some seconds
	// at most; with its rows and its text it may take some 4 MiB.
	MaxPages = 24
	// MaxBatches batches are on their way at once. Each holds some 0.4 MiB at most: the line that arrives,
	// and what is in hand or not yet answered of those before it. Its items take seats like any request.
	MaxBatches = 256
)

// Bounds are how many of each there may be at once.
type Bounds struct{ Seats, Others, Waits, Pages, Batches int }

// Usual are the bounds of a replica: [Seats], half of them for what is no submission, 1,000 waits, [MaxPages],
// [MaxBatches].
func Usual() Bounds {
	return Bounds{Seats: Seats, Others: maxOthers, Waits: maxWaiting, Pages: MaxPages, Batches: MaxBatches}
}

// Admission gives out seats to the requests in hand, those of them that are no
// submissions among a smaller number, places to wait for an outcome, places for pages
// in memory, and for batches on their way. Of each an owner gets its fair share.
type Admission struct {
	inHand, others, waiting, pages, batches *shares
}

// New makes the admission of a replica.
func New(b Bounds, clock func() time.Time) *Admission {
	return &Admission{
		inHand: newShares(b.Seats, clock), others: newShares(b.Others, clock), waiting: newShares(b.Waits, clock),
		pages: newShares(b.Pages, clock), batches: newShares(b.Batches, clock),
	}
}

// Held is how many of each are taken.
func (a *Admission) Held() Bounds {
	return Bounds{Seats: a.inHand.held(), Others: a.others.held(), Waits: a.waiting.held(), Pages: a.pages.held(), Batches: a.batches.held()}
}

// TakePage takes a place for a large page, if it is granted; it must be given back then.
func (a *Admission) TakePage(o ledger.Party) Grant { return a.pages.take(o) }

// GivePage gives the place of a page back.
func (a *Admission) GivePage(o ledger.Party) { a.pages.give(o) }

// TakeBatch takes a place for a batch, if it is granted; it must be given back then.
func (a *Admission) TakeBatch(o ledger.Party) Grant { return a.batches.take(o) }

// GiveBatch gives the place of a batch back.
func (a *Admission) GiveBatch(o ledger.Party) { a.batches.give(o) }

// BatchSeats is how many seats the items of one batch should hold at once: an even share of half of them.
// So batches keep out neither each other nor single requests.
func (a *Admission) BatchSeats() int { return max(1, a.inHand.most/2/max(1, a.batches.held())) }

// Seat is what a request occupies. It belongs to the request's goroutine.
type Seat struct {
	in                     *Admission
	owner                  ledger.Party
	inHand, other, mayWait bool
}

// Enter takes a seat for a request, if it is granted; [Seat.Leave] gives it back.
func (a *Admission) Enter(o ledger.Party, submission bool) (*Seat, Grant) {
	s := &Seat{in: a, owner: o}
	if !submission {
		if g := a.others.take(o); g != Granted {
			return nil, g
		}
		s.other = true
	}
	if g := a.inHand.take(o); g != Granted {
		s.Leave()
		return nil, g
	}
	s.inHand = true
	return s, Granted
}

// Would says whether a request would get a seat now, for what is not worth to be read if it would not.
func (a *Admission) Would(o ledger.Party, submission bool) Grant {
	if !submission {
		if g := a.others.would(o); g != Granted {
			return g
		}
	}
	return a.inHand.would(o)
}

// Reserve takes a place to wait at, later; false: there is none.
func (s *Seat) Reserve() bool {
	s.mayWait = s.in.waiting.take(s.owner) == Granted
	return s.mayWait
}

// Release gives the seat back, and keeps the place to wait at: from now on the request only
// waits, and then says what it knows. Once is enough.
func (s *Seat) Release() {
	if s.inHand {
		s.in.inHand.give(s.owner)
		s.inHand = false
	}
	if s.other {
		s.in.others.give(s.owner)
		s.other = false
	}
}

// Leave gives back what the request still has.
func (s *Seat) Leave() {
	s.Release()
	if s.mayWait {
		s.in.waiting.give(s.owner)
		s.mayWait = false
	}
}
