package ingest

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
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
	maxWaiting = maxLookup
)

// admission counts the requests in hand, those of them that are no submissions, and
// those that wait for an outcome, each against a bound of its own.
type admission struct {
	mostInHand, mostOthers, mostWaiting int64
	inHand, others, waiting             atomic.Int64
}

// seat is what a request occupies. It belongs to the request's goroutine.
type seat struct {
	in                     *admission
	inHand, other, mayWait bool
}

// enter takes a seat for a request; false: there is none.
func (a *admission) enter(submission bool) (*seat, bool) {
	s := &seat{in: a, inHand: true, other: !submission}
	if a.inHand.Add(1) > a.mostInHand {
		a.inHand.Add(-1)
		return nil, false
	}
	if s.other && a.others.Add(1) > a.mostOthers {
		s.stepAside()
		return nil, false
	}
	return s, true
}

// reserve takes a seat to wait at, later; false: there is none.
func (s *seat) reserve() bool {
	if s.in.waiting.Add(1) > s.in.mostWaiting {
		s.in.waiting.Add(-1)
		return false
	}
	s.mayWait = true
	return true
}

// stepAside gives the seat in hand back: from now on the request only waits, and
// then says what it knows.
func (s *seat) stepAside() {
	if s.inHand {
		s.in.inHand.Add(-1)
		s.inHand = false
	}
	if s.other {
		s.in.others.Add(-1)
		s.other = false
	}
}

// leave gives back what the request still has.
func (s *seat) leave() {
	s.stepAside()
	if s.mayWait {
		s.in.waiting.Add(-1)
		s.mayWait = false
	}
}

// isSubmission reports whether the request is to be queued, as charges and top-ups are.
func isSubmission(r *http.Request) bool {
	return r.Method == http.MethodPost && (strings.HasSuffix(r.URL.Path, "/charges") || strings.HasSuffix(r.URL.Path, "/top-ups"))
}

type seatKey struct{}

// stepAside lets others have the seat of a request that begins to wait for its
// outcome.
func stepAside(ctx context.Context) {
	if p, ok := ctx.Value(seatKey{}).(*seat); ok {
		p.stepAside()
	}
}

// admit refuses a request of the API for which there is no seat, before anything
// is read of it but its header. A request that wants to wait for its outcome and
// finds no seat for that is served without: a preference may be passed over.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			next.ServeHTTP(w, r)
			return
		}
		p, ok := s.admission.enter(isSubmission(r))
		if !ok {
			s.metrics.shed("request")
			refuse(CodeOverloaded, "too many requests are in hand; this one was not taken: send it again, under the same idempotency key").
				problem(requestID(r.Context())).write(w)
			return
		}
		defer p.leave()
		if preferences := r.Header["Prefer"]; len(preferences) > 0 && parsePrefer(strings.Join(preferences, ",")) > 0 {
			if p.reserve() {
				r = r.WithContext(context.WithValue(r.Context(), seatKey{}, p))
			} else {
				s.metrics.shed("wait")
				r.Header.Del("Prefer")
			}
		}
		next.ServeHTTP(w, r)
	})
}
