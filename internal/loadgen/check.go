package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/recount"
)

// settlePatience is how long, after the last submission, every request that was
// taken may need to get its outcome.
const settlePatience = 10 * time.Minute

// holdTime is how long a hold can be captured where its merchant does not say.
const holdTime = 7 * 24 * time.Hour

// check finds out what became of every request, over the API, and notes what is
// not as it must be.
//
// What was left open (no answer, or one that says "unknown") is submitted once
// more under its key, until it is taken: it must be there once then, and not twice.
// What was refused for want of room must not be there at all.
func (l *load) check(ctx context.Context) error { return l.checkWithin(ctx, settlePatience) }

// checkWithin is check with another patience.
func (l *load) checkWithin(ctx context.Context, patience time.Duration) error {
	settle, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.resubmit(settle); err != nil {
		return err
	}
	l.say("read every operation and every balance")
	byWallet := make([][]int32, len(l.world.wallets))
	l.decided = map[string]int32{}
	for i, c := range l.plan.requests {
		byWallet[c.wallet] = append(byWallet[c.wallet], int32(i))
		if client.Direct(c.kind) && c.id != "" {
			l.decided[c.id] = int32(i)
		}
	}
	funds, earned := make([]client.Funds, len(byWallet)), make([]int64, merchants)
	if err := client.Each(ctx, setupCallers, len(byWallet), func(ctx context.Context, w int) error {
		history, err := l.history(ctx, settle, l.world.wallets[w], byWallet[w])
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.judge(w, byWallet[w], history)
		funds[w] = l.recount(w, history, earned)
		return nil
	}); err != nil {
		return err
	}
	return l.balances(ctx, funds, earned)
}

// resubmit submits every request of which it is not known whether it was taken.
func (l *load) resubmit(ctx context.Context) error {
	var open []int32
	for i, c := range l.plan.requests {
		if c.unknown && c.id == "" {
			open = append(open, int32(i))
		}
	}
	if len(open) > 0 {
		l.say("submit %d requests again that may have been taken", len(open))
	}
	l.resubmitted = int64(len(open))
	return client.Each(ctx, setupCallers, len(open), func(ctx context.Context, k int) error {
		call, _ := l.submission(open[k]) // it was sent before: what it refers to is known
		for {
			a, err := l.api.Once(ctx, call)
			op, _ := l.note(open[k], a, err)
			switch {
			case op.ID != "":
				return nil
			case !unavailable(a, err):
				return fmt.Errorf("%s is not taken: %w", l.told(open[k]), a.Err())
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("%s is not taken: %w", l.told(open[k]), err)
			}
		}
	})
}

// history reads every operation of the wallet, in the order in which they were decided. It
// waits for those that were taken until settle ends.
func (l *load) history(ctx, settle context.Context, wallet string, requests []int32) (all []client.Operation, err error) {
	for {
		all = nil
		found := map[int32]bool{}
		if err := l.api.List(ctx, l.options.Operator, wallet, func(op client.Operation) error {
			all = append(all, op)
			found[l.number(op)] = true
			return nil
		}); err != nil {
			return nil, err
		}
		// The last one missing is the best to wait for: the others come before it.
		pending := int32(stranger)
		for _, i := range slices.Backward(requests) {
			if l.plan.requests[i].id != "" && !found[i] {
				pending = i
				break
			}
		}
		if pending == stranger || settle.Err() != nil {
			slices.SortFunc(all, func(a, b client.Operation) int { return cmp.Compare(a.Sequence, b.Sequence) })
			return all, ctx.Err()
		}
		if _, err := l.outcome(settle, l.options.Operator, l.plan.requests[pending].id); err != nil && settle.Err() == nil {
			return nil, err
		}
	}
}

// stranger is the number of an operation that no request of the plan came to.
const stranger = -1

// number is the number of the request that came to the operation. A revocation has no room for its name: what is decided at once
// is known by its ID.
func (l *load) number(op client.Operation) int32 {
	if i, ok := l.decided[op.ID]; ok {
		return i
	}
	text, own := strings.CutPrefix(cmp.Or(op.Description, op.Invoice), l.run+"-")
	i, err := strconv.ParseInt(text, 10, 32)
	if !own || err != nil || i < 0 || i >= int64(len(l.plan.requests)) || string(l.plan.requests[i].kind) != op.Kind {
		return stranger
	}
	return int32(i)
}

// judge holds what is on record of a wallet against what its callers know. The caller holds
// the mutex.
func (l *load) judge(wallet int, requests []int32, history []client.Operation) {
	found := map[int32][]client.Operation{}
	for _, op := range history {
		i := l.number(op)
		switch {
		case i == stranger && !l.founding(op), i != stranger && int(l.plan.requests[i].wallet) != wallet:
			l.violation("wallet %s has operation %s, which nobody asked of it", l.world.wallets[wallet], op.ID)
		case i != stranger:
			found[i] = append(found[i], op)
		}
	}
	for _, i := range requests {
		c, ops := l.plan.requests[i], found[i]
		if c.id == "" {
			if len(ops) > 0 {
				l.violation("%s was not taken, and operation %s is on record for it", l.told(i), ops[0].ID)
			}
			continue
		}
		if len(ops) != 1 {
			l.violation("%s (%s) is on record %d times", l.told(i), c.id, len(ops))
			continue
		}
		op := ops[0]
		l.outcomes[label(op)]++
		switch {
		case op.ID != c.id:
			l.violation("%s is operation %s, and %s is on record", l.told(i), c.id, op.ID)
		case op.Currency != c.currency(op.Reason()), client.Refers(c.kind) && op.Refers() != l.plan.requests[c.of].id, c.amount != 0 && op.Amount != int64(c.amount),
			(op.EndsHold != nil) != (c.kind == ledger.KindCapture), op.EndsHold != nil && *op.EndsHold == c.keeps,
			op.Limits != l.plan.limits[i], client.Direct(c.kind) && op.Merchant != l.world.merchants[regranted].id:
			l.violation("operation %s, %s, does not show what was asked", op.ID, l.told(i))
		case c.outcome != "" && c.outcome != label(op):
			l.violation("operation %s was %s, and then %s", op.ID, c.outcome, label(op))
		case client.Refers(c.kind), client.Direct(c.kind): // what it comes to hangs on the order: the recount finds it
		case op.Reason() == ledger.ReasonTooManyHolds, op.Reason() == ledger.ReasonMandateLimit: // so does this
		case op.Reason() == ledger.ReasonMandateRequired && l.plan.hangsOnOrder(i):
		case op.Reason() != l.fate(i):
			l.violation("operation %s, %s, is %q, not %q", op.ID, l.told(i), op.Reason(), l.fate(i))
		}
	}
}

// founding reports whether the operation is one of those that came before the load.
func (l *load) founding(op client.Operation) bool {
	switch ledger.Kind(op.Kind) {
	case ledger.KindOpen, ledger.KindTopUp:
		return true
	case ledger.KindGrant:
		_, given := l.world.grants[op.ID]
		return given
	case ledger.KindHold:
		return op.Invoice == "" // those of the load have one
	default:
		return false
	}
}

// fate is why the request must fail, however its wallet's requests are ordered; empty: it
// must be accepted, where a mandate does not run out and is not revoked.
func (l *load) fate(i int32) ledger.Reason {
	switch {
	case !l.plan.lets(i):
		return ledger.ReasonMandateRequired
	case l.plan.poor[l.plan.requests[i].wallet]:
		return ledger.ReasonInsufficientFunds
	}
	return ""
}

// recount decides the wallet's history again, and returns what it must have. It adds to what
// each merchant must have. The caller holds the mutex.
func (l *load) recount(wallet int, history []client.Operation, earned []int64) client.Funds {
	var w recount.Wallet
	captured := map[string]bool{} // holds
	for _, op := range history {
		i, o := l.number(op), l.remembered(wallet, op)
		if fault := w.Next(o); fault != "" {
			l.violation("operation %s, a %s, %s", op.ID, op.Kind, fault)
		}
		if i == stranger {
			continue
		}
		if o.Kind == ledger.KindCapture && o.Reason == "" && !captured[o.Refers] { // a hold's first capture has its invoice
			captured[o.Refers], o.Invoice = true, l.invoice(l.plan.requests[i].of)
		}
		if op.Invoice != o.Invoice {
			l.violation("operation %s, a %s, shows the invoice %q, not %q", op.ID, op.Kind, op.Invoice, o.Invoice)
		}
		if m, ok := l.plan.merchant(i); ok {
			_, times := client.Moves(o.Kind)
			earned[m] += times * o.Moved
		}
	}
	for _, op := range history {
		l.became(&w, op)
	}
	return client.Funds{Balance: w.Balance(), Held: w.Held(), Available: w.Balance() - w.Held()}
}

// remembered is the operation as it is on record, and what the load knows that it asked for.
func (l *load) remembered(wallet int, op client.Operation) recount.Operation {
	o := recount.Operation{
		ID: op.ID, Kind: ledger.Kind(op.Kind), Refers: op.Refers(), Sequence: op.Sequence, Reason: op.Reason(),
		Left: cmp.Or(value(op.Left()), value(op.Failure).Left), BalanceAfter: value(op.BalanceAfter), HeldAfter: value(op.HeldAfter),
	}
	if o.Reason == "" {
		o.Moved = op.Amount
	}
	var err error
	if o.At, err = time.Parse(time.RFC3339, op.DecidedAt); err != nil {
		l.violation("operation %s, a %s, does not show when it was decided: %v", op.ID, op.Kind, err)
	}
	m := holder
	switch i := l.number(op); {
	case i != stranger && client.Direct(o.Kind):
		m, o.Limits = regranted, l.plan.limits[i]
	case i != stranger:
		o.Asked, o.Keeps, o.Invoice = int64(l.plan.requests[i].amount), l.plan.requests[i].keeps, l.invoice(i)
		m, _ = l.plan.merchant(i)
	case o.Kind == ledger.KindOpen:
		o.Mandated = l.plan.mandates[wallet] != nil
	case o.Kind == ledger.KindGrant:
		m = l.world.grants[op.ID]
		o.Limits = l.plan.mandates[wallet][m]
	case o.Kind == ledger.KindTopUp:
		o.Asked = l.world.funds[wallet]
	case o.Kind == ledger.KindHold:
		o.Asked = l.plan.held[wallet]
	}
	o.Merchant = strconv.Itoa(m)
	return o
}

// became compares what became of the operation with what its wallet's history makes of it.
func (l *load) became(w *recount.Wallet, op client.Operation) {
	if want := w.Refunded(op.ID); op.Refunded != want {
		l.violation("operation %s shows %d given back, not %d", op.ID, op.Refunded, want)
	}
	want, held := w.Holding(op.ID)
	if found := value(op.Holding); held != (op.Holding != nil) || held && found != want.Until(found.CaptureBefore) {
		l.violation("operation %s shows as what became of its hold %+v, not %+v", op.ID, found, want)
	}
	if !held {
		return
	}
	decided, err := time.Parse(time.RFC3339, op.DecidedAt)
	expires, err2 := time.Parse(time.RFC3339, op.Holding.CaptureBefore)
	if err := errors.Join(err, err2); err != nil || expires.Sub(decided) != holdTime {
		l.violation("operation %s, a hold, was decided at %s, and is to be captured before %s: %v", op.ID, op.DecidedAt, op.Holding.CaptureBefore, err)
	}
}

// value is what the pointer points to; of none zero.
func value[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// balances compares every wallet and every merchant with what they must have.
func (l *load) balances(ctx context.Context, want []client.Funds, earned []int64) error {
	var mu sync.Mutex
	funds := map[string]client.Funds{}
	if err := client.Each(ctx, setupCallers, len(l.world.clients), func(ctx context.Context, i int) error {
		own, err := l.api.WalletFunds(ctx, l.options.Operator, l.world.clients[i])
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(funds, own)
		return err
	}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range l.world.wallets {
		if funds[id] != want[i] {
			l.violation("wallet %s has %+v, not %+v", id, funds[id], want[i])
		}
	}
	for i, m := range l.world.merchants {
		own, err := l.api.MerchantBalances(ctx, l.options.Operator, m.id)
		if err != nil {
			return err
		}
		if own[currency] != earned[i] {
			l.violation("merchant %s has %d, not %d", m.id, own[currency], earned[i])
		}
	}
	return nil
}

// currency is what an operation of the request shows that came to this: of one that left it open, the wallet's, unless what it refers to failed; of a revocation none.
func (c *request) currency(r ledger.Reason) string {
	if c.kind == ledger.KindRevoke || c.amount == 0 && (r == ledger.ReasonChargeNotAccepted || r == ledger.ReasonHoldNotAccepted) {
		return ""
	}
	return currency
}
