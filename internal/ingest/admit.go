package ingest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

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
	// maxWaiting requests wait for an outcome at once. They cost a query at each
	// tick, and some 30 KB each.
	maxWaiting = 1000
	// MaxPages pages of lists that are larger than smallPage are held in memory at once. One
	// is held until its last byte is handed to the connection, which takes pageTimeout at
	// most; with its rows and its text it may take some 4 MiB.
	MaxPages    = 24
	smallPage   = 64 << 10 // bytes of metadata, descriptions and notes
	pageTimeout = 10 * time.Second
)

// admission gives out seats to the requests in hand, those of them that are no
// submissions among a smaller number, places to wait for an outcome, and places for pages
// in memory. Of each an owner gets its fair share.
type admission struct {
	inHand, others, waiting, pages *shares
}

func newAdmission(clock func() time.Time) *admission {
	return &admission{
		inHand: newShares(Seats, clock), others: newShares(maxOthers, clock), waiting: newShares(maxWaiting, clock),
		pages: newShares(MaxPages, clock),
	}
}

// seat is what a request occupies. It belongs to the request's goroutine.
type seat struct {
	in                     *admission
	owner                  ledger.Party
	inHand, other, mayWait bool
}

// enter takes a seat for a request, if it is granted.
func (a *admission) enter(o ledger.Party, submission bool) (*seat, grant) {
	s := &seat{in: a, owner: o}
	if !submission {
		if g := a.others.take(o); g != granted {
			return nil, g
		}
		s.other = true
	}
	if g := a.inHand.take(o); g != granted {
		s.leave()
		return nil, g
	}
	s.inHand = true
	return s, granted
}

// reserve takes a place to wait at, later; false: there is none.
func (s *seat) reserve() bool {
	s.mayWait = s.in.waiting.take(s.owner) == granted
	return s.mayWait
}

// stepAside gives the seat in hand back: from now on the request only waits, and
// then says what it knows.
func (s *seat) stepAside() {
	if s.inHand {
		s.in.inHand.give(s.owner)
		s.inHand = false
	}
	if s.other {
		s.in.others.give(s.owner)
		s.other = false
	}
}

// leave gives back what the request still has.
func (s *seat) leave() {
	s.stepAside()
	if s.mayWait {
		s.in.waiting.give(s.owner)
		s.mayWait = false
	}
}

type seatKey struct{}

// stepAside lets others have the seat of a request that begins to wait for its
// outcome.
func stepAside(ctx context.Context) {
	if p, ok := ctx.Value(seatKey{}).(*seat); ok {
		p.stepAside()
	}
}

// seated does what needs a seat, with the whole request at hand and before anything of
// the answer is written: neither who sends slowly nor who reads slowly holds one.
func (s *Server) seated(ctx context.Context, submission bool, do func(context.Context) error) error {
	p, got := s.admission.enter(caller(ctx).Party, submission)
	switch got {
	case granted:
	case allTaken:
		s.metrics.shed("request")
		return refuse(CodeOverloaded, "too many requests are in hand; this one was not taken: send it again, under the same idempotency key")
	case shareTaken:
		s.metrics.shed("share")
		return refuse(CodeOverloaded, "it is crowded, and the key's owner has its share of the requests in hand; this one was not taken: send it again, under the same idempotency key")
	}
	defer p.leave()
	return do(context.WithValue(ctx, seatKey{}, p))
}

// patience is for how long the request may wait for its outcome. One that prefers to wait
// and finds no place for that is served without: a preference may be passed over.
func (s *Server) patience(ctx context.Context, prefer string) time.Duration {
	wait := parsePrefer(prefer)
	if wait == 0 {
		return 0
	}
	if p, ok := ctx.Value(seatKey{}).(*seat); ok && !p.reserve() {
		s.metrics.shed("wait")
		return 0
	}
	return wait
}

// pagePlace is the place that a large page takes. It belongs to the request's goroutine.
type pagePlace struct {
	in    *shares
	owner ledger.Party
	taken bool
}

type pagePlaceKey struct{}

// boundPages sees to it that a list is taken by who asked for it within pageTimeout, and
// gives its place back then. Who reads slowly keeps the place, and nothing else of others:
// the seat was given back before.
func (s *Server) boundPages(c huma.Context, next func(huma.Context)) {
	_, w := humachi.Unwrap(c)
	p := &pagePlace{in: s.admission.pages, owner: caller(c.Context()).Party}
	defer func() {
		if p.taken {
			p.in.give(p.owner)
		}
	}()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTimeout)) // not supported only where there is no connection
	next(huma.WithValue(c, pagePlaceKey{}, p))
}

// holdPage takes a place for a page of so many bytes, if it is large.
func (s *Server) holdPage(ctx context.Context, bytes int) error {
	p, ok := ctx.Value(pagePlaceKey{}).(*pagePlace)
	if !ok || bytes <= smallPage {
		return nil
	}
	if p.in.take(p.owner) != granted {
		s.metrics.shed("page")
		return refuse(CodeReadsBusy, "too many large pages are being read; this one was not: ask again, and take what is answered")
	}
	p.taken = true
	return nil
}
