package ingest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ledger"
)

// The limits of a page of a list.
const (
	smallPage   = 64 << 10 // bytes of metadata, descriptions and notes; a larger one needs a place
	pageTimeout = 10 * time.Second
)

type seatKey struct{}

// release lets others have the seat of a request that begins to wait for its
// outcome.
func release(ctx context.Context) {
	if p, ok := ctx.Value(seatKey{}).(*admission.Seat); ok {
		p.Release()
	}
}

// spared refuses a request that would get no seat before its body is read: where there is too much, a
// refusal must cost little. Whoever it lets pass takes the seat when the body is there.
func (s *Server) spared(submission bool) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		if got := s.admission.Would(caller(c.Context()).Party, submission); got != admission.Granted {
			_, w := humachi.Unwrap(c)
			s.problem(c.Context(), s.crowded(got)).write(w)
			return
		}
		next(c)
	}
}

// seated does what needs a seat, with the whole request at hand and before anything of
// the answer is written: neither who sends slowly nor who reads slowly holds one.
func (s *Server) seated(ctx context.Context, submission bool, do func(context.Context) error) error {
	p, got := s.admission.Enter(caller(ctx).Party, submission)
	if got != admission.Granted {
		return s.crowded(got)
	}
	defer p.Leave()
	return do(context.WithValue(ctx, seatKey{}, p))
}

// crowded is the refusal of a request that got no seat.
func (s *Server) crowded(got admission.Grant) *refusal {
	if got == admission.ShareTaken {
		s.metrics.shed("share")
		return refuse(CodeOverloaded, "it is crowded, and the key's owner has its share of the requests in hand; this one was not taken: send it again, under the same idempotency key")
	}
	s.metrics.shed("request")
	return refuse(CodeOverloaded, "too many requests are in hand; this one was not taken: send it again, under the same idempotency key")
}

// patience is for how long the request may wait for its outcome. One that prefers to wait
// and finds no place for that is served without: a preference may be passed over.
func (s *Server) patience(ctx context.Context, prefer string) time.Duration {
	wait := parsePrefer(prefer)
	if wait == 0 {
		return 0
	}
	if p, ok := ctx.Value(seatKey{}).(*admission.Seat); ok && !p.Reserve() {
		s.metrics.shed("wait")
		return 0
	}
	return wait
}

// pagePlace is the place that a large page takes. It belongs to the request's goroutine.
type pagePlace struct {
	in     *admission.Admission
	owner  ledger.Party
	answer *http.ResponseController
	taken  bool
}

type pagePlaceKey struct{}

// boundPages gives back the place of a page once the caller has taken it. A
// caller who reads slowly keeps the place, and nothing else that others need: the seat was
// given back before.
func (s *Server) boundPages(c huma.Context, next func(huma.Context)) {
	_, w := humachi.Unwrap(c)
	p := &pagePlace{in: s.admission, owner: caller(c.Context()).Party, answer: http.NewResponseController(w)}
	defer func() {
		if p.taken {
			p.in.GivePage(p.owner)
		}
	}()
	next(huma.WithValue(c, pagePlaceKey{}, p))
}

// holdPage takes a place for a page that is at hand and has so many bytes, if it is large; once. From now on the caller
// has pageTimeout to take it.
func (s *Server) holdPage(ctx context.Context, bytes int) error {
	p, ok := ctx.Value(pagePlaceKey{}).(*pagePlace)
	if !ok {
		return nil
	}
	_ = p.answer.SetWriteDeadline(time.Now().Add(pageTimeout)) // not supported only where there is no connection
	if p.taken || bytes <= smallPage {
		return nil
	}
	if p.in.TakePage(p.owner) != admission.Granted {
		s.metrics.shed("page")
		return refuse(CodeReadsBusy, "too many large pages are being read; this one was not: ask again, and take what is answered")
	}
	p.taken = true
	return nil
}
