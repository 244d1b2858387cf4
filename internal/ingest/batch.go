package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"golang.org/x/sync/semaphore"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ledger"
)

// The limits of a batch.
const (
	maxBatchItems = 10_000
	maxBatchBytes = 16 << 20
	// batchInHand bytes of items are on their way at once, or have a result that is not written yet: where the
	// caller does not take results, nothing more is read. An item counts as batchLeast bytes at
	// least, so that they are 32 at most: the answer to one with many faults is larger than the item.
	batchInHand = 256 << 10
	batchLeast  = 8 << 10
	// batchTimeout is how long a batch may take as a whole. Within it, each piece must arrive, and each
	// piece of the answer must be taken, within requestTimeout.
	batchTimeout = 5 * time.Minute
	// itemPatience is how long an item waits where it gets no seat, or no room in the queue; a single request is refused
	// at once. Meanwhile nothing is read: the sender is held back.
	itemPatience = time.Second
	seatPause    = 10 * time.Millisecond
	// batchLinger is how long net/http goes on to read what nobody wants, so that a sender who does not
	// look up sees the last line before the connection ends.
	batchLinger = time.Second
)

const linesType = "application/x-ndjson"

// itemBody is a line of a batch.
type itemBody struct {
	Wallet string `json:"wallet_id" doc:"The wallet to charge." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Key    string `json:"idempotency_key,omitempty" doc:"What the Idempotency-Key of a single charge is. Required where there is no invoice." example:"order-8821"`
	chargeBody
}

// itemResultBody is a line of the answer: what the charge, sent alone, would have been answered.
type itemResultBody struct {
	Line int `json:"line" doc:"The line of the request, from 1. Results come in the order of their lines." example:"1"`
	resultBody
}

// batches registers the route of batches. It is no case of [handle]: a batch takes a place in place of a
// seat, and its items take seats; it is read while it is answered.
func (s *Server) batches() {
	schemas := s.api.OpenAPI().Components.Schemas
	rt := route{
		method: http.MethodPost, path: "/v1/charges/batch", id: "charge-batch", summary: "Charge many wallets",
		description: fmt.Sprintf("Queues up to %d charges, one a line, in up to %d MiB. While they are read, each is answered with a line, in their order: with "+
			"what it would have been answered alone. A fault in one does not touch the others. Charges of one wallet are decided in their order. "+
			"A caller reads while it sends: who does not take the answer is held back, and cut off after %d seconds. The same batch again is harmless.",
			maxBatchItems, maxBatchBytes>>20, requestTimeout/time.Second),
		status: http.StatusOK, body: reflect.TypeFor[itemBody](),
	}
	op := rt.operation(schemas)
	op.Middlewares = huma.Middlewares{s.authenticate(ledger.PermissionFor(rt.id))}
	lines := func(body reflect.Type) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{linesType: {Schema: schemaWithEmbedded(schemas, body)}}
	}
	huma.Register(s.api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: s.batch}, nil
	})
	registered := s.api.OpenAPI().Paths[rt.path].Post
	registered.RequestBody = &huma.RequestBody{Required: true, Description: "JSON objects, one a line.", Content: lines(rt.body)} // huma would read it
	registered.Responses["200"].Description = "OK: a line for each charge that was read. Where the batch ends early, the last one says why, and the lines from there on were not taken."
	registered.Responses["200"].Content = lines(reflect.TypeFor[itemResultBody]())
	rt.complete(registered)
}

// batch answers a batch, line by line.
func (s *Server) batch(c huma.Context) {
	r, w := humachi.Unwrap(c)
	if err := s.receive(c.Context(), r, w); err != nil {
		s.problem(c.Context(), err).write(w)
	}
}

// receive reads and answers a batch. An error comes before anything is answered.
func (s *Server) receive(ctx context.Context, r *http.Request, w http.ResponseWriter) error {
	owner := caller(ctx).Party
	if err := errors.Join(checkType(r.Header.Get("Content-Type"), linesType), checkCoding(r.Header)); err != nil {
		return err
	}
	if s.admission.TakeBatch(owner) != admission.Granted {
		s.metrics.shed("batch")
		return refuse(CodeOverloaded, "too many batches are on their way; this one was not taken: send it again")
	}
	defer s.admission.GiveBatch(owner)
	// Net/http ends the request where a piece of it does not arrive. What did arrive is taken, and answered.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	p := &pace{controller: http.NewResponseController(w), end: time.Now().Add(batchTimeout)}
	_ = p.controller.EnableFullDuplex() // not supported only where there is no connection, as are deadlines
	lines := bufio.NewReaderSize(&pacedBody{http.MaxBytesReader(w, r.Body, maxBatchBytes), p}, maxBodyBytes+len("\r\n"))
	// A caller who waits for "100 Continue" gets it when something is read, and only before the answer begins.
	if _, err := lines.Peek(1); errors.Is(err, io.EOF) {
		return refuse(CodeMalformedRequest, "the batch is empty")
	} else if err != nil {
		refused := unreadable(err, maxBatchBytes)
		refused.headers = http.Header{"Connection": {"close"}}
		return refused
	}
	w.Header().Set("Content-Type", linesType)
	w.WriteHeader(http.StatusOK)
	b := &batch{
		s: s, ctx: ctx, room: semaphore.NewWeighted(batchInHand), answers: make(chan *itemAnswer, batchInHand/batchLeast+1),
		left: make(chan struct{}, 1), overtaken: map[int]Code{},
	}
	b.work.Go(func() {
		b.write(w, p)
		cancel() // where nobody takes the answer, nothing more is to be read
	})
	b.work.Go(func() {
		select {
		case <-s.drain:
		case <-ctx.Done():
		}
		p.cut()
	})
	b.read(lines, p)
	b.work.Wait()
	p.linger()
	return nil
}

// batch is a batch on its way. One goroutine reads items and begins them, in their order; one for each finishes them;
// one writes what came of them, in their order. What is read and not yet answered is bounded.
type batch struct {
	s       *Server
	ctx     context.Context
	room    *semaphore.Weighted // of bytes in hand
	answers chan *itemAnswer    // in the order of the lines
	line    int                 // that is read
	items   int

	refused *refusal // of the caller, not of one item: then it holds for all that follow

	inHand atomic.Int64  // its seats
	left   chan struct{} // holds a token once one was given back

	work      sync.WaitGroup
	mu        sync.Mutex
	overtaken map[int]Code // partitions of which an item was not taken for now, and with which code
}

// itemAnswer is what is to be answered to a line.
type itemAnswer struct {
	itemResultBody
	bytes int64
	ready chan struct{} // closed once the answer is there
}

// read reads items until the batch ends. It ends early with a line that says why.
func (b *batch) read(lines *bufio.Reader, p *pace) {
	defer close(b.answers)
	for {
		text, err := nextLine(lines)
		if len(text) == 0 && errors.Is(err, io.EOF) {
			p.arrived()
			return
		}
		b.line++
		end := b.ended(err, p)
		if end == nil && len(text) == 0 {
			continue
		}
		if b.items++; b.items > maxBatchItems && end == nil {
			end = refuse(CodeBodyTooLarge, fmt.Sprintf("a batch holds %d charges at most; this one and what follows were not taken", maxBatchItems))
		}
		a := &itemAnswer{bytes: max(batchLeast, min(int64(len(text)), batchInHand)), ready: make(chan struct{})}
		a.Line = b.line
		if b.room.Acquire(b.ctx, a.bytes) != nil {
			return // nobody takes the answer
		}
		b.answers <- a
		if end != nil {
			b.answer(a, ledger.WalletID{}, nil, end)
			return
		}
		b.take(a, text, errors.Is(err, bufio.ErrBufferFull))
	}
}

// ended is why the batch ends with the line that is read, which did not arrive whole; nil: it does not.
func (b *batch) ended(err error, p *pace) *refusal {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
		select {
		case <-b.s.drain:
		default:
			return nil
		}
	case !p.isCut():
		return unreadable(err, maxBatchBytes)
	}
	return refuse(CodeDraining, "the service is stopping; this charge and what follows were not taken: send them again")
}

// nextLine is the next line, without its end. ErrBufferFull: it is longer than an item may be, and was
// read to its end. EOF: it is the last one. Any other error: it did not arrive whole.
func nextLine(lines *bufio.Reader) ([]byte, error) {
	text, err := lines.ReadSlice('\n')
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = lines.ReadSlice('\n')
	}
	text = bytes.TrimSpace(text)
	if err == nil || errors.Is(err, io.EOF) {
		if long || len(text) > maxBodyBytes {
			err = bufio.ErrBufferFull
		}
	}
	return text, err
}

// take begins an item; what comes of it is answered once that is known.
func (b *batch) take(a *itemAnswer, text []byte, long bool) {
	var sub submission
	var seat *admission.Seat
	err := b.guarded(func() (err error) {
		if seat, err = b.enter(); err != nil {
			return err
		}
		if long {
			return refuse(CodeBodyTooLarge, fmt.Sprintf("a charge must not be larger than %d bytes", maxBodyBytes))
		}
		sub, err = b.begin(text)
		return err
	})
	if err != nil {
		if seat != nil {
			b.leave(seat)
		}
		b.answer(a, sub.Wallet, nil, err)
		return
	}
	b.work.Go(func() {
		var out *operationOutput
		err := b.guarded(func() (err error) {
			defer b.leave(seat)
			out, err = b.s.finish(b.ctx, sub, 0)
			return err
		})
		b.answer(a, sub.Wallet, out, err)
	})
}

// guarded answers for what panics: an item must not touch its neighbours.
func (b *batch) guarded(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = b.s.panicked(b.ctx, cause)
		}
	}()
	return do()
}

// enter takes an item under the key's rate, and a seat. Where it gets none, the rest of the batch is refused, too:
// what came through later would overtake what did not.
func (b *batch) enter() (*admission.Seat, error) {
	if b.refused != nil {
		return nil, b.refused
	}
	if b.items > 1 { // the request itself was counted as the first
		if b.refused = b.s.overRate(caller(b.ctx)); b.refused != nil {
			return nil, b.refused
		}
	}
	var refused time.Time // for the first time
	for {
		if b.inHand.Load() < int64(b.s.admission.BatchSeats()) {
			seat, got := b.s.admission.Enter(caller(b.ctx).Party, true)
			if got == admission.Granted {
				b.inHand.Add(1)
				return seat, nil
			}
			if refused.IsZero() {
				refused = time.Now()
			}
			if time.Since(refused) > itemPatience {
				b.refused = b.s.crowded(got)
				return nil, b.refused
			}
		}
		select {
		case <-b.left:
		case <-time.After(seatPause):
		}
	}
}

// leave gives the seat of an item back.
func (b *batch) leave(seat *admission.Seat) {
	seat.Leave()
	b.inHand.Add(-1)
	select {
	case b.left <- struct{}{}:
	default:
	}
}

// begin hands the charge over, unless it would overtake one that was not taken.
func (b *batch) begin(text []byte) (submission, error) {
	item, faults, err := decode[itemBody](&b.s.bodies, text)
	if err != nil {
		return submission{}, err
	}
	wallet, faults := readWallet(item.Wallet, inBody("wallet_id"), faults)
	r, err := b.s.checked(b.ctx, item.request(b.ctx, wallet, item.Key), faults, inBody)
	if err != nil {
		return submission{}, err
	}
	if code := b.overtakes(wallet); code != "" {
		return submission{}, refuse(code, "a charge before it in the batch, in the same part of the queue, was not taken, as far as is known; this one was not, so that it does not overtake that one: send both again")
	}
	sub, err := b.s.begin(b.ctx, r, itemPatience)
	sub.Wallet = wallet
	return sub, err
}

// overtakes is why an item that a charge of the wallet would overtake was not taken; empty: there is none.
func (b *batch) overtakes(w ledger.WalletID) Code {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.overtaken[w.Partition(b.s.partitions)]
}

// answer says what came of an item. Where it was not taken for now, those behind it are not to overtake it.
func (b *batch) answer(a *itemAnswer, w ledger.WalletID, out *operationOutput, err error) {
	defer close(a.ready)
	if err == nil {
		a.Status, a.Operation = out.Status, &out.Body
		return
	}
	a.resultBody = b.s.refused(b.ctx, err)
	if a.Problem.Retryable && !w.IsZero() {
		b.mu.Lock()
		b.overtaken[w.Partition(b.s.partitions)] = a.Problem.Code
		b.mu.Unlock()
	}
}

func inBody(field string) string { return "body." + field }

// write writes answers in their order, and lets the caller see them before it waits for the next one.
func (b *batch) write(w http.ResponseWriter, p *pace) {
	out := bufio.NewWriter(&pacedAnswer{w, p})
	flush := func() {
		if out.Flush() == nil {
			_ = p.controller.Flush() // what goes wrong comes again with the next write
		}
	}
	defer flush()
	failed := false
	for {
		var a *itemAnswer
		var more bool
		select {
		case a, more = <-b.answers:
		default:
			flush()
			a, more = <-b.answers
		}
		if !more {
			return
		}
		select {
		case <-a.ready:
		default:
			flush()
			<-a.ready
		}
		if !failed {
			failed = huma.DefaultJSONFormat.Marshal(out, a.itemResultBody) != nil
		}
		if failed {
			p.cut() // nobody reads it: what is in hand is finished, and nothing more is read
		}
		b.room.Release(a.bytes)
	}
}

// pace holds both ends of a batch to their deadlines. It is safe for concurrent use.
type pace struct {
	controller *http.ResponseController
	end        time.Time

	mu    sync.Mutex
	gone  bool // nothing more is to be read
	whole bool // all of it was read
}

func (p *pace) deadline() time.Time {
	if next := time.Now().Add(requestTimeout); next.Before(p.end) {
		return next
	}
	return p.end
}

// reads gives the next piece its time.
func (p *pace) reads() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = p.controller.SetReadDeadline(p.deadline())
	}
}

// cut ends the reading, also one that is under way.
func (p *pace) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.gone = true
		_ = p.controller.SetReadDeadline(time.Unix(1, 0))
	}
}

func (p *pace) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// arrived says that all of the batch was read: a deadline left behind would end the request.
func (p *pace) arrived() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone, p.whole = true, true
	_ = p.controller.SetReadDeadline(time.Time{})
}

// linger gives net/http a little time for what is left.
func (p *pace) linger() {
	if !p.whole {
		_ = p.controller.SetReadDeadline(time.Now().Add(batchLinger))
	}
}

type pacedBody struct {
	io.Reader
	pace *pace
}

func (b *pacedBody) Read(into []byte) (int, error) {
	b.pace.reads()
	return b.Reader.Read(into)
}

type pacedAnswer struct {
	io.Writer
	pace *pace
}

func (a *pacedAnswer) Write(text []byte) (int, error) {
	_ = a.pace.controller.SetWriteDeadline(a.pace.deadline())
	return a.Writer.Write(text)
}
