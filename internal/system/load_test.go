package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	loadCallers  = 16
	loadAmount   = 7  // of a charge, a hold and a withdrawal, minor units
	loadPart     = 3  // a charge can give it back twice, and a hold
	refundOne    = 10 // one of so many requests is a refund
	withdrawOne  = 20 // one of so many requests is a withdrawal
	holdOne      = 10 // one of so many requests is a hold
	poorHoldOne  = 2  // of a wallet with little money
	endOne       = 2  // where a caller looks back at a hold, it ends it, or a part of it, in one of so many cases
	invoiceOne   = 5  // and charges its invoice in one of so many
	anyOne       = 30 // one of so many times it looks back at any request, else at one of the last
	loadFunding  = 1 << 40
	poorFunding  = 5 * loadAmount // of one in poorEvery wallets: soon it hangs on the order what is accepted
	poorEvery    = 5
	loadThink    = 10 * time.Millisecond // of a caller between two requests
	loadPatience = 2 * time.Minute       // for a request to be taken and decided, once the faults are over
	mostFaults   = 20                    // that are told: what goes wrong does so a hundred thousand times
	repeatEvery  = 25                    // so many requests, one is submitted again
	lookEvery    = 10                    // so many requests, the caller looks at an earlier one

	pending = "pending" // the status of what has no outcome
)

// taken is a request that was answered 202, or decided at once, as its caller remembers it.
type taken struct {
	client.Request
	id     string
	key    string
	caller int
	at     time.Time
	view   string // what the caller saw last: pending, or the outcome
	seen   time.Time
}

// load is many callers who charge, refund, hold, capture, release and withdraw over HTTP until they are told to
// stop, and few owners who grant and revoke mandates of the wallets meanwhile. Where that takes longer than a minute, holds expire that nobody
// ended. Each submits again under the same key when it got no answer or a 503, as the API
// asks, and looks at its requests in between: what is final stays as it is. An owner waits for a database that is away; the callers do not.
type load struct {
	t         *testing.T
	gates     []*api // each an ingest, under the merchant's key
	operators []*api // the same, under an operator's
	owners    []*api // the same, under that of the client who owns the wallets
	merchant  string
	wallets   []string
	consents  consents

	stop     chan struct{}
	group    sync.WaitGroup
	cancel   context.CancelFunc
	repeated atomic.Int64 // submissions of a key that was taken before, and those without an answer
	resent   bool         // Kafka fails too: an ingest that gets no answer writes the same records again

	mu     sync.Mutex
	all    []*taken
	faults []string // what no caller may ever see
	undone []undoing
}

// startLoad opens so many wallets, tops them up, and lets the callers go, each to
// any of the ingests.
func startLoad(t *testing.T, r *rand.Rand, operators []*api, wallets int) *load {
	t.Helper()
	shop := operators[0].open()
	l := &load{t: t, stop: make(chan struct{}), operators: operators, merchant: shop.merchant}
	for _, o := range operators {
		l.gates, l.owners = append(l.gates, o.as(shop.till.key)), append(l.owners, o.as(shop.owner.key))
	}
	l.consents.grants = map[string]int64{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l.cancel = cancel
	for i := range wallets {
		w := shop.open(isMandated(i))
		l.wallets = append(l.wallets, w)
		operators[0].topUp(w, l.funding(i))
		if isMandated(i) {
			l.consents.wallets = append(l.consents.wallets, w)
			first := &taken{Request: l.consents.grant(r, w, l.merchant), key: "the first", caller: loadCallers}
			if !l.ask(ctx, r, first) || first.view != string(ledger.StatusAccepted) {
				t.Fatalf("the first mandate of a wallet is %q: %q", first.view, l.faults)
			}
		}
	}
	for i := range loadCallers + loadOwners {
		own := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
		l.group.Go(func() { l.call(ctx, i, own) })
	}
	t.Cleanup(func() {
		cancel()
		l.group.Wait()
	})
	return l
}

// funding is what the i-th wallet has to begin with.
func (l *load) funding(i int) int64 {
	if i%poorEvery == poorEvery-1 {
		return poorFunding
	}
	return loadFunding
}

// call is one caller, or, of the numbers behind theirs, an owner.
func (l *load) call(ctx context.Context, caller int, r *rand.Rand) {
	var own []*taken
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(l.think(caller, own)):
		}
		c := &taken{key: fmt.Sprintf("caller %d request %d", caller, i), caller: caller}
		if caller < loadCallers {
			c.Request = l.draw(r, own)
		} else {
			c.Request = l.consents.draw(r, l.merchant)
		}
		if (c.Kind == ledger.KindCharge || c.Kind == ledger.KindHold) && c.Invoice == "" {
			c.Invoice = "INV " + c.key
		}
		if !l.ask(ctx, r, c) {
			return
		}
		own = append(own, c)
		if r.IntN(lookEvery) == 0 {
			l.look(ctx, r, own[max(0, len(own)-1-r.IntN(50))])
		}
	}
}

// ask submits the request until it is taken, and sometimes once more.
func (l *load) ask(ctx context.Context, r *rand.Rand, c *taken) (ok bool) {
	o, ok := l.submit(ctx, r, c)
	if !ok {
		return false
	}
	l.remember(c, o)
	if r.IntN(repeatEvery) == 0 {
		l.repeated.Add(1)
		again, ok := l.submit(ctx, r, c)
		switch {
		case ok && again.ID != c.id:
			l.fault("%s has the IDs %s and %s", c.key, c.id, again.ID)
		case ok && client.Direct(c.Kind):
			l.see(c, again)
		}
	}
	return true
}

// think is how long the caller waits now: not at all behind what refers to another request, so that another one
// of the same comes into the same batch.
func (l *load) think(caller int, own []*taken) time.Duration {
	if caller >= loadCallers {
		return ownerThink
	}
	if n := len(own); n > 0 && own[n-1].Refers() != "" {
		return 0
	}
	return loadThink
}

// draw makes a request: mostly a charge; of one of the caller's last charges, or of that which
// it has just refunded, a refund; of one of its last holds, or that which it has just taken a part of, a capture or a
// release; or a hold or a withdrawal.
func (l *load) draw(r *rand.Rand, own []*taken) client.Request {
	if of := own[max(0, len(own)-50):]; len(of) > 0 {
		last, some := of[len(of)-1], of[r.IntN(len(of))]
		if r.IntN(anyOne) == 0 { // of holds, one that expired or is about to
			some = own[r.IntN(len(own))]
		}
		switch {
		case last.Refers() != "" && r.IntN(2) == 0:
			return part(r, last.Kind, last.Wallet, last.Refers())
		case (some.Kind == ledger.KindCharge || some.Kind == ledger.KindCapture) && r.IntN(refundOne) == 0:
			return part(r, ledger.KindRefund, some.Wallet, some.id)
		case some.Kind == ledger.KindHold && r.IntN(endOne) == 0:
			return part(r, draw(r, []ledger.Kind{ledger.KindCapture, ledger.KindCapture, ledger.KindRelease}), some.Wallet, some.id)
		case some.Kind == ledger.KindHold && r.IntN(invoiceOne) == 0:
			return client.Request{Kind: ledger.KindCharge, Wallet: some.Wallet, Amount: loadAmount, Currency: "EUR", Invoice: some.Invoice}
		}
	}
	// Wallet 0 is hot: a fifth of all others.
	wallet, holds := 0, holdOne
	if r.IntN(5) > 0 {
		wallet = r.IntN(len(l.wallets))
	}
	if l.funding(wallet) == poorFunding { // where it matters what is held
		holds = poorHoldOne
	}
	q := client.Request{Kind: ledger.KindCharge, Wallet: l.wallets[wallet], Amount: loadAmount, Currency: "EUR"}
	switch {
	case r.IntN(withdrawOne) == 0:
		q.Kind = ledger.KindWithdraw
	case r.IntN(holds) == 0:
		q.Kind, q.ExpiresIn = ledger.KindHold, ledger.MinExpiresIn
	}
	return q
}

// part moves a part of what the request refers to, what is left of it, or too much.
func part(r *rand.Rand, kind ledger.Kind, wallet, of string) client.Request {
	q := client.Request{Kind: kind, Wallet: wallet}.Of(of)
	if q.Amount = draw(r, []int64{loadPart, loadPart, 0, loadAmount + 1}); q.Amount != 0 {
		q.Currency = "EUR"
	}
	if kind == ledger.KindCapture && r.IntN(2) == 0 {
		q = q.Kept()
	}
	return q
}

// submit submits until the request is taken, and returns the answer. A caller that was
// told to stop goes on until it knows: only the end of the test stops it here.
func (l *load) submit(ctx context.Context, r *rand.Rand, c *taken) (o object, ok bool) {
	if client.Direct(c.Kind) {
		l.consents.resting.RLock()
		defer l.consents.resting.RUnlock()
	}
	call := c.Call("", c.key)
	for {
		status, o, err := draw(r, l.of(c)).call(ctx, call.Method, call.Path, map[string]string{"Idempotency-Key": c.key}, call.Body)
		switch {
		case ctx.Err() != nil:
			return object{}, false
		case err != nil:
			l.repeated.Add(1) // it may have arrived
		case status == http.StatusAccepted || status == http.StatusOK:
			return o, true
		case status == http.StatusServiceUnavailable:
			l.repeated.Add(1) // so may this one
		default:
			l.fault("%s, a %s, was answered %d %s", c.key, c.Kind, status, o.Code)
			return object{}, false
		}
		if pause(ctx) != nil {
			return object{}, false
		}
	}
}

func (l *load) remember(c *taken, o object) {
	c.id, c.at, c.view = o.ID, time.Now(), pending
	l.see(c, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
}

// of is every ingest, under the key of who made the request.
func (l *load) of(c *taken) []*api {
	switch {
	case c.Kind == ledger.KindWithdraw:
		return l.operators
	case client.Direct(c.Kind):
		return l.owners
	}
	return l.gates
}

func draw[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// look reads a request once: what is final stays as it is.
func (l *load) look(ctx context.Context, r *rand.Rand, c *taken) {
	status, o, err := draw(r, l.of(c)).call(ctx, http.MethodGet, "/v1/operations/"+c.id, nil, nil)
	switch {
	case err != nil || status == http.StatusServiceUnavailable:
	case status != http.StatusOK:
		l.fault("%s was taken, and then answered %d %s", c.id, status, o.Code)
	default:
		l.see(c, o)
	}
}

// see compares what a caller sees with what it saw before. For which of the reasons that
// callers give a request fails hangs on the order of the log: the checker decides it again. Where the database was put
// back, what it had decided is pending again, and under other mandates it may come to something else.
func (l *load) see(c *taken, o object) {
	now := o.Status + o.Failure.Reason
	if c.view != pending && now != c.view && !(l.mayBeUndone(c.seen) && (now == pending || slices.Contains(l.consents.wallets, c.Wallet))) {
		l.fault("%s was %s, and then %s", c.id, c.view, now)
	}
	switch ledger.Reason(o.Failure.Reason) {
	case "", ledger.ReasonInsufficientFunds, ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge, ledger.ReasonDuplicateInvoice,
		ledger.ReasonTooManyHolds, ledger.ReasonHoldNotAccepted, ledger.ReasonHoldClosed, ledger.ReasonHoldExpired, ledger.ReasonExceedsHold,
		ledger.ReasonMandateLimit, ledger.ReasonMandateRequired, ledger.ReasonMandateExpired, ledger.ReasonMandateNotFound:
	default:
		l.fault("%s is %s for %q", c.id, o.Status, o.Failure.Reason)
	}
	if h := o.Holding; c.Kind == ledger.KindHold && o.Status == string(ledger.StatusAccepted) && h.Captured+h.Released+h.Expired+h.Remaining != c.Amount {
		l.fault("%s holds %d, and shows %+v", c.id, c.Amount, h)
	}
	c.view, c.seen = now, time.Now()
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

func (l *load) countFaults() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.faults)
}

// requests is how many were taken up to now.
func (l *load) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// await waits until so many more requests were taken.
func (l *load) await(more int) {
	l.t.Helper()
	until := l.requests() + more
	for deadline := time.Now().Add(loadPatience); l.requests() < until; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d requests were taken, %d were to be", l.requests(), until)
		}
	}
}

// finish ends the load: every caller gets its last request taken, and sees the
// outcome of all of its requests. It returns them.
func (l *load) finish() []*taken {
	l.t.Helper()
	close(l.stop)
	late := time.AfterFunc(loadPatience, l.cancel)
	defer late.Stop()
	l.group.Wait()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	queue := make(chan *taken, len(l.all))
	for _, c := range l.all {
		queue <- c
	}
	close(queue)
	var readers sync.WaitGroup
	for range loadCallers {
		readers.Go(func() {
			for c := range queue {
				if client.Direct(c.Kind) && l.mayBeUndone(c.at) {
					continue // nothing comes of it again by itself
				}
				if o, err := l.outcome(ctx, c); err != nil {
					l.fault("%s has no outcome: %v", c.id, err)
				} else {
					l.see(c, o)
				}
				if l.countFaults() >= mostFaults {
					cancel()
					return
				}
			}
		})
	}
	readers.Wait()
	for _, f := range l.faults[:min(len(l.faults), mostFaults)] {
		l.t.Error(f)
	}
	return slices.Clone(l.all)
}

// outcome asks one gate after the other, for loadPatience: one of them may be away.
func (l *load) outcome(ctx context.Context, c *taken) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	for i := 0; ; i++ {
		o, err := l.of(c)[i%len(l.gates)].outcome(ctx, c.id)
		if err == nil || ctx.Err() != nil {
			return o, errors.Join(err, ctx.Err())
		}
		if err := pause(ctx); err != nil {
			return o, err
		}
	}
}
