package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// codeOverloaded is the problem of a request that was refused because too many
// are in hand. It was not taken, for certain.
const codeOverloaded = "overloaded"

// noAnswer is what a submission without a whole answer is counted as.
const noAnswer = "no answer"

// submission is the i-th request as it is sent, each time the same; false: it refers to one
// of which no ID is known.
func (l *load) submission(i int32) (client.Call, bool) {
	c := &l.plan.requests[i]
	r := client.Request{Kind: c.kind, Wallet: l.world.wallets[c.wallet], Amount: int64(c.amount)}
	if r.Amount != 0 || c.kind == ledger.KindGrant {
		r.Currency = currency
	}
	if client.Direct(c.kind) {
		r.Merchant, r.Limits = l.world.merchants[regranted].id, l.plan.limits[i]
	}
	r.Invoice = l.invoice(i)
	if c.kind != ledger.KindCharge {
		r.Description = l.name(i)
	}
	if c.keeps {
		r = r.Kept()
	}
	if client.Refers(c.kind) {
		l.mu.Lock()
		r = r.Of(l.plan.requests[c.of].id)
		l.mu.Unlock()
		if r.Refers() == "" {
			return client.Call{}, false
		}
	}
	return r.Call(l.key(i), l.name(i)), true
}

// key is the API key that the i-th request is sent with.
func (l *load) key(i int32) string {
	if m, ok := l.plan.merchant(i); ok {
		return l.world.merchants[m].key
	}
	return l.options.Operator
}

// invoice is that of the i-th request, of a charge or a hold.
func (l *load) invoice(i int32) string {
	switch l.plan.requests[i].kind {
	case ledger.KindCharge, ledger.KindHold:
		return l.name(i)
	default:
		return ""
	}
}

// name is the i-th request's idempotency key, and its invoice.
func (l *load) name(i int32) string { return l.run + "-" + strconv.Itoa(int(i)) }

// told is what people call the i-th request.
func (l *load) told(i int32) string { return string(l.plan.requests[i].kind) + " " + l.name(i) }

// send sends one arrival and keeps what came of it. All that it measures counts
// from the moment for which the arrival was intended.
func (l *load) send(ctx context.Context, a arrival, intended time.Time) {
	l.late.Add(time.Since(intended))
	request, known := l.submission(a.request)
	if !known {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leftOut++
		return
	}
	follow := l.plan.requests[a.request].follow && !a.again
	if follow {
		request.Prefer = patience
	}
	answer, err := l.api.Once(ctx, request)
	took := time.Since(intended)
	op, counted := l.note(a.request, answer, err)
	l.count(counted)
	switch {
	case counted == shed(answer):
		l.shed.Add(took)
	case op.ID == "":
	case client.Direct(l.plan.requests[a.request].kind):
		l.direct.Add(took)
	case !follow:
		l.accept.Add(took)
	default:
		l.follow(ctx, a.request, op, intended)
	}
}

// follow waits until the outcome is visible, if it is not yet.
func (l *load) follow(ctx context.Context, i int32, op client.Operation, intended time.Time) {
	if !op.Final() {
		ctx, cancel := context.WithTimeout(ctx, settlePatience)
		defer cancel()
		var err error
		if op, err = l.outcome(ctx, l.key(i), op.ID); err != nil {
			return // the check at the end finds that there is none
		}
	}
	l.visible.Add(time.Since(intended))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plan.requests[i].outcome = label(op)
}

// retryAfter is the Retry-After of the API's pending answers and of its 503s.
const retryAfter = time.Second

// outcome waits for the outcome of an operation. While there is none, or no answer,
// it asks again until ctx ends; it fails where the API refuses.
func (l *load) outcome(ctx context.Context, key, id string) (op client.Operation, err error) {
	for {
		a, err := l.api.Once(ctx, client.Call{Method: http.MethodGet, Path: "/v1/operations/" + id, Key: key, Prefer: patience})
		switch {
		case unavailable(a, err):
		case a.Status != http.StatusOK:
			return op, fmt.Errorf("read operation %s: %w", id, a.Err())
		default:
			if op, err = a.Operation(); err != nil || op.Final() {
				return op, err
			}
		}
		if err := pause(ctx); err != nil {
			return op, err
		}
	}
}

// unavailable reports whether the request is to be sent again later, since no
// answer came to it, or one that promises nothing.
func unavailable(a client.Answer, err error) bool {
	return err != nil || a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError
}

// pause waits for as long as the API asks its callers to wait.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(retryAfter):
		return nil
	}
}

// note keeps what a submission of the request came to, and says as what it counts.
// The operation has no ID if the submission was not taken.
func (l *load) note(i int32, a client.Answer, err error) (op client.Operation, counted string) {
	c := &l.plan.requests[i]
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		c.unknown = true
		return op, noAnswer
	}
	counted = strconv.Itoa(a.Status)
	if !client.Taken(a.Status) {
		code := a.Problem().Code
		if code != "" {
			counted += " " + code
		}
		switch {
		case code == codeOverloaded:
		case unavailable(a, err):
			c.unknown = true
		default:
			l.violation("%s was answered %v", l.told(i), a.Err())
		}
		return op, counted
	}
	if op, err = a.Operation(); err != nil || op.ID == "" {
		l.violation("%s was answered %d without an operation", l.told(i), a.Status)
		c.unknown = true
		return client.Operation{}, counted
	}
	if c.id != "" && c.id != op.ID {
		l.violation("%s is operation %s, and sent again %s", l.told(i), c.id, op.ID)
	}
	c.id = op.ID
	if op.Final() {
		c.outcome = label(op)
	}
	return op, counted
}

// shed is what a refusal for want of room counts as, with the status it came with.
func shed(a client.Answer) string { return strconv.Itoa(a.Status) + " " + codeOverloaded }

func (l *load) count(answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[answer]++
}

// violation notes something that must not be. The caller holds the mutex.
func (l *load) violation(format string, args ...any) {
	if len(l.violations) < maxListed {
		l.violations = append(l.violations, fmt.Sprintf(format, args...))
		return
	}
	l.more++
}

// label is the kind and the outcome of an operation; empty while it is pending.
func label(op client.Operation) string {
	if !op.Final() {
		return ""
	}
	if reason := op.Reason(); reason != "" {
		return op.Kind + " " + string(reason)
	}
	return op.Kind + " " + string(ledger.StatusAccepted)
}
