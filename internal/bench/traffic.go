package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedero/monedero/internal/loadgen"
)

const (
	// idMark stands in a poll for the ID of the operation.
	idMark = "{id}"
	// trafficLead is from the moment at which everything is ready to the first arrival.
	trafficLead = 50 * time.Millisecond
	// trafficInFlight bounds the submissions in flight, and trafficPolls the polls: each is a
	// connection, and together they are fewer than an ingest takes.
	trafficInFlight = 1_000
	trafficPolls    = 500
	// A charge that is followed is polled for as often, until its outcome is seen, and for no
	// longer than followPatience.
	followEvery    = 5 * time.Millisecond
	followPatience = 30 * time.Second
	// trafficTimeout is for one answer.
	trafficTimeout = 30 * time.Second
	// stormRecent is how many charges before the own one a storm polls for, too.
	stormRecent = 1_024
	// noAnswer is what a submission without a whole answer is counted as.
	noAnswer = "no answer"
)

// traffic is charges that arrive at a constant rate, whatever becomes of them, and polls
// for them.
type traffic struct {
	Address string        `json:"address"`
	Rate    int           `json:"rate"`
	For     time.Duration `json:"for"`
	// Submissions are whole requests, as on the wire, in turn. Polls ask for the operation of each, with
	// [idMark] for its ID.
	Submissions []string `json:"submissions"`
	Polls       []string `json:"polls"`
	Follow      bool     `json:"follow"` // every second charge, see [followed]
	// Storm is how many polls each charge brings once it is taken, one right after the other
	// whatever the answer: in turn for itself, and for one that was taken a while before.
	Storm int `json:"storm"`
}

// passed is what came of it. All times count from the moment for which a charge was intended.
type passed struct {
	Answers loadgen.Counts `json:"answers"` // to submissions, by status
	Taken   int64          `json:"taken"`   // answered 202, or 200 where it was decided before it was answered
	InTime  int64          `json:"in_time"` // of these, while charges arrived
	Unknown int64          `json:"unknown"` // may be taken or not
	NotSent int64          `json:"not_sent"`

	Late    loadgen.Spread `json:"late"`    // until it was sent
	Accept  loadgen.Spread `json:"accept"`  // until it was taken
	Refused loadgen.Spread `json:"refused"` // until the refusal
	Outcome loadgen.Spread `json:"outcome"` // until its outcome was seen, of those that are followed
	Unseen  int64          `json:"unseen"`  // followed, and no outcome in time

	Polls        int64  `json:"polls"`         // answered
	PollsRefused int64  `json:"polls_refused"` // of these, with no operation
	Fault        string `json:"fault,omitempty"`
}

// rate is how many charges a second were taken while they arrived.
func (p passed) rate(lasts time.Duration) float64 { return float64(p.InTime) / lasts.Seconds() }

// refused is how many charges were certainly not taken.
func (p passed) refused() int64 { return p.Answers.Sum() - p.Taken - p.Unknown }

// runTraffic sends the traffic that it is told, over and over.
func runTraffic(ctx context.Context, c *child) error {
	var number atomic.Int64
	number.Store(time.Now().UnixMicro())
	return obey(ctx, c, func(todo traffic) passed { return todo.send(ctx, &number) })
}

// generator is one traffic while it is sent.
type generator struct {
	traffic
	number  *atomic.Int64
	wires   *wires
	polling chan struct{}  // a place for each poll in flight
	follows sync.WaitGroup // charges that are polled for

	late, accept, refused, outcome  *loadgen.Latencies
	taken, inTime, unknown, notSent atomic.Int64
	unseen, polls, pollsRefused     atomic.Int64

	mu      sync.Mutex // guards what follows
	answers loadgen.Counts
	before  [stormRecent]string // polls for charges that were taken last
	recent  int                 // how many were
	fault   error
}

func (t traffic) send(ctx context.Context, number *atomic.Int64) passed {
	g := &generator{
		traffic: t, number: number, wires: &wires{address: t.Address}, polling: make(chan struct{}, trafficPolls),
		late: loadgen.NewLatencies(), accept: loadgen.NewLatencies(), refused: loadgen.NewLatencies(), outcome: loadgen.NewLatencies(),
		answers: loadgen.Counts{},
	}
	if t.Rate < 1 || len(t.Submissions) == 0 || len(t.Polls) != len(t.Submissions) {
		return passed{Fault: "there is nothing to send"}
	}
	defer g.wires.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, g.wires.close)
	defer stop()
	s := loadgen.Schedule{Start: time.Now().Add(trafficLead), Rate: t.Rate, Arrivals: max(1, int(float64(t.Rate)*t.For.Seconds()))}
	ends := s.Start.Add(t.For)
	s.Keep(ctx, trafficInFlight, func(i int, intended time.Time) {
		if err := g.submit(ctx, i, intended, ends); err != nil {
			g.mu.Lock()
			g.fault = err
			g.mu.Unlock()
			cancel()
		}
	}, func(int) { g.notSent.Add(1) })
	g.follows.Wait()
	p := passed{
		Answers: g.answers, Taken: g.taken.Load(), InTime: g.inTime.Load(), Unknown: g.unknown.Load(), NotSent: g.notSent.Load(),
		Late: g.late.Spread(), Accept: g.accept.Spread(), Refused: g.refused.Spread(), Outcome: g.outcome.Spread(), Unseen: g.unseen.Load(),
		Polls: g.polls.Load(), PollsRefused: g.pollsRefused.Load(),
	}
	if g.fault != nil {
		p.Fault = g.fault.Error()
	}
	return p
}

// submit sends the i-th charge. It fails where the answer is one that no load explains.
func (g *generator) submit(ctx context.Context, i int, intended, ends time.Time) error {
	g.late.Add(time.Since(intended))
	in := i % len(g.Submissions)
	a, err := g.wires.exchange(ctx, strings.ReplaceAll(g.Submissions[in], numberMark, fmt.Sprintf("%0*d", numberDigits, g.number.Add(1))))
	now := time.Now()
	if err != nil {
		g.unknown.Add(1)
		g.count(noAnswer)
		return nil //nolint:nilerr // it is counted: who is overloaded may answer nothing
	}
	g.count(strconv.Itoa(a.status))
	switch {
	case a.id != "" && (a.status == http.StatusAccepted || a.status == http.StatusOK):
	case a.overloaded || a.status == http.StatusTooManyRequests:
		g.refused.Add(now.Sub(intended))
		return nil
	case a.status >= http.StatusInternalServerError || a.status == http.StatusRequestTimeout:
		g.unknown.Add(1)
		return nil
	default:
		return fmt.Errorf("a charge was answered %d", a.status)
	}
	g.accept.Add(now.Sub(intended))
	g.taken.Add(1)
	if now.Before(ends) {
		g.inTime.Add(1)
	}
	poll := strings.ReplaceAll(g.Polls[in], idMark, a.id)
	switch {
	case !g.Follow || !followed(i):
	case a.done: // it was decided before it was answered
		g.outcome.Add(now.Sub(intended))
	default:
		g.follows.Go(func() { g.follow(ctx, poll, intended) })
	}
	if g.Storm > 0 { // apart from the submission, which has its place given back
		g.follows.Go(func() { g.storm(ctx, poll) })
	}
	return nil
}

// followed is half of all charges, and of those of each partition.
func followed(i int) bool { return bits.OnesCount(uint(i))%2 == 0 }

// follow polls for a charge until its outcome is seen.
func (g *generator) follow(ctx context.Context, poll string, intended time.Time) {
	for next := time.Now(); time.Since(intended) < followPatience; {
		if a, err := g.poll(ctx, poll); err == nil && a.done {
			g.outcome.Add(time.Since(intended))
			return
		}
		next = next.Add(followEvery)
		if err := pause(ctx, time.Until(next)); err != nil {
			break
		}
	}
	g.unseen.Add(1)
}

// storm polls as those do who do not wait.
func (g *generator) storm(ctx context.Context, own string) {
	g.mu.Lock()
	g.recent++
	i := g.recent % stormRecent
	older := g.before[(i+1)%stormRecent]
	g.before[i] = own
	g.mu.Unlock()
	if older == "" {
		older = own
	}
	for n := range g.Storm {
		poll := own
		if n%2 == 1 {
			poll = older
		}
		if _, err := g.poll(ctx, poll); ctx.Err() != nil {
			return
		} else if err != nil {
			_ = pause(ctx, followEvery) // a new connection; ctx is asked for above
		}
	}
}

// poll asks once, when there is a place.
func (g *generator) poll(ctx context.Context, request string) (reply, error) {
	select {
	case g.polling <- struct{}{}:
		defer func() { <-g.polling }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	a, err := g.wires.exchange(ctx, request)
	if err == nil {
		g.polls.Add(1)
		if !a.operation() {
			g.pollsRefused.Add(1)
		}
	}
	return a, err
}

func (g *generator) count(answer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers[answer]++
}

// reply is what the generator must know of an answer.
type reply struct {
	status     int
	id         string // of the operation
	done       bool
	overloaded bool // nothing was taken
}

// operation reports whether a poll was answered with the operation.
func (a reply) operation() bool { return a.status == http.StatusOK }

// wires are connections to one address, used again.
type wires struct {
	address string
	mu      sync.Mutex
	idle    []*wire
	busy    map[*wire]struct{}
	closed  bool
}

type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

var errWiresClosed = errors.New("the connections are closed")

// exchange sends a request and reads its answer.
func (w *wires) exchange(ctx context.Context, request string) (reply, error) {
	x, err := w.take(ctx)
	if err != nil {
		return reply{}, err
	}
	a, last, err := x.exchange(request)
	w.give(x, last || err != nil)
	return a, err
}

func (w *wires) take(ctx context.Context) (*wire, error) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		x := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.busy[x] = struct{}{}
		w.mu.Unlock()
		return x, nil
	}
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return nil, errWiresClosed
	}
	conn, err := (&net.Dialer{Timeout: trafficTimeout}).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, err
	}
	x := &wire{conn: conn, in: bufio.NewReader(conn)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.Join(errWiresClosed, conn.Close())
	}
	if w.busy == nil {
		w.busy = map[*wire]struct{}{}
	}
	w.busy[x] = struct{}{}
	return x, nil
}

func (w *wires) give(x *wire, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, x)
	if last || w.closed {
		_ = x.conn.Close() // what came over it has come
		return
	}
	w.idle = append(w.idle, x)
}

// close ends all of them; whoever waits for an answer gets none.
func (w *wires) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, x := range w.idle {
		_ = x.conn.Close()
	}
	for x := range w.busy {
		_ = x.conn.Close()
	}
	w.idle = nil
}

// exchange reports too whether the connection is of no more use.
func (x *wire) exchange(request string) (a reply, last bool, err error) {
	if err := x.conn.SetDeadline(time.Now().Add(trafficTimeout)); err != nil {
		return a, true, err
	}
	if _, err := x.conn.Write([]byte(request)); err != nil {
		return a, true, err
	}
	head, err := readAnswerHead(x.in)
	if err != nil {
		return a, true, err
	}
	body, err := x.in.Peek(min(head.length, x.in.Size()))
	if err != nil {
		return a, true, err
	}
	a = reply{
		status: head.status, done: bytes.Contains(body, []byte(isDone)), overloaded: bytes.Contains(body, []byte(`"code":"overloaded"`)),
	}
	if _, rest, found := bytes.Cut(body, []byte(`"id":"`)); found {
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		a.id = string(id)
	}
	_, err = x.in.Discard(head.length)
	return a, head.last, err
}

// send has the traffic's part send, and waits until it is through.
func (p *part) send(ctx context.Context, t traffic) (done passed, err error) {
	if err := p.tell(t); err != nil {
		return passed{}, err
	}
	if err := p.hear(ctx, &done); err != nil {
		return passed{}, err
	}
	if done.Fault != "" {
		return passed{}, errors.New(done.Fault)
	}
	return done, nil
}
