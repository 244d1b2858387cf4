package loadgen

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// settlePatience is how long, after the last submission, every charge that was
// taken may need to get its outcome.
const settlePatience = 10 * time.Minute

// check finds out what became of every charge, over the API, and notes what is
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
	for i, c := range l.plan.charges {
		byWallet[c.wallet] = append(byWallet[c.wallet], int32(i))
	}
	var mu sync.Mutex
	spent, earned := make([]int64, len(byWallet)), make([]int64, merchants)
	if err := client.Each(ctx, setupCallers, len(byWallet), func(ctx context.Context, w int) error {
		found, err := l.history(ctx, settle, l.world.wallets[w], byWallet[w])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		l.judge(w, byWallet[w], found)
		for i, ops := range found {
			for _, op := range ops {
				if op.Status == string(ledger.StatusAccepted) {
					spent[w] += op.Amount
					earned[i%merchants] += op.Amount
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return l.balances(ctx, spent, earned)
}

// resubmit submits every charge of which it is not known whether it was taken.
func (l *load) resubmit(ctx context.Context) error {
	var open []int32
	for i, c := range l.plan.charges {
		if c.unknown && c.id == "" {
			open = append(open, int32(i))
		}
	}
	if len(open) > 0 {
		l.say("submit %d charges again that may have been taken", len(open))
	}
	l.resubmitted = int64(len(open))
	return client.Each(ctx, setupCallers, len(open), func(ctx context.Context, k int) error {
		for {
			a, err := l.api.Once(ctx, l.submission(open[k]))
			op, _ := l.note(open[k], a, err)
			switch {
			case op.ID != "":
				return nil
			case !unavailable(a, err):
				return fmt.Errorf("charge %s is not taken: %w", l.invoice(open[k]), a.Err())
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("charge %s is not taken: %w", l.invoice(open[k]), err)
			}
		}
	})
}

// history reads every charge on record of the wallet, by the number in its
// invoice. It waits for those that were taken until settle ends.
func (l *load) history(ctx, settle context.Context, wallet string, charges []int32) (found map[int32][]client.Operation, err error) {
	for {
		found = map[int32][]client.Operation{}
		if err := l.api.List(ctx, l.options.Operator, wallet, func(op client.Operation) error {
			if op.Kind == string(ledger.KindCharge) {
				i := l.number(op.Invoice)
				found[i] = append(found[i], op)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		// The last one missing is the best to wait for: the others come before it.
		pending := int32(stranger)
		for _, i := range slices.Backward(charges) {
			if l.plan.charges[i].id != "" && len(found[i]) == 0 {
				pending = i
				break
			}
		}
		if pending == stranger || settle.Err() != nil {
			return found, ctx.Err()
		}
		if _, err := l.outcome(settle, l.options.Operator, l.plan.charges[pending].id); err != nil && settle.Err() == nil {
			return nil, err
		}
	}
}

// stranger is the number of a charge that the run did not make.
const stranger = -1

// number is the number of the charge that has the invoice.
func (l *load) number(invoice string) int32 {
	text, own := strings.CutPrefix(invoice, l.run+"-")
	i, err := strconv.ParseInt(text, 10, 32)
	if !own || err != nil || i < 0 || i >= int64(len(l.plan.charges)) {
		return stranger
	}
	return int32(i)
}

// judge holds what is on record of a wallet against what its callers know.
func (l *load) judge(wallet int, charges []int32, found map[int32][]client.Operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := string(ledger.StatusAccepted)
	if l.plan.poor[wallet] {
		want = string(ledger.ReasonInsufficientFunds)
	}
	for _, i := range charges {
		c, ops := l.plan.charges[i], found[i]
		if c.id == "" {
			if len(ops) > 0 {
				l.violation("charge %s was not taken, and operation %s has its invoice", l.invoice(i), ops[0].ID)
			}
			continue
		}
		if len(ops) != 1 {
			l.violation("charge %s (%s) is on record %d times", l.invoice(i), c.id, len(ops))
			continue
		}
		op := ops[0]
		l.outcomes[label(op)]++
		switch {
		case op.ID != c.id:
			l.violation("charge %s is operation %s, and %s is on record", l.invoice(i), c.id, op.ID)
		case op.Amount != chargeAmount || op.Currency != currency:
			l.violation("operation %s of charge %s does not show what was asked", op.ID, l.invoice(i))
		case c.outcome != "" && c.outcome != label(op):
			l.violation("operation %s was %s, and then %s", op.ID, c.outcome, label(op))
		case label(op) != want:
			l.violation("operation %s of charge %s is %s, not %s", op.ID, l.invoice(i), label(op), want)
		}
	}
	for i, ops := range found {
		if i == stranger || int(l.plan.charges[i].wallet) != wallet {
			l.violation("wallet %s has operation %s, which nobody asked of it", l.world.wallets[wallet], ops[0].ID)
		}
	}
}

// balances compares every wallet and every merchant with what was paid in and
// what was accepted.
func (l *load) balances(ctx context.Context, spent, earned []int64) error {
	var mu sync.Mutex
	balances := map[string]int64{}
	if err := client.Each(ctx, setupCallers, len(l.world.clients), func(ctx context.Context, i int) error {
		own, err := l.api.WalletBalances(ctx, l.options.Operator, l.world.clients[i])
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(balances, own)
		return err
	}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range l.world.wallets {
		if want := l.world.funds[i] - spent[i]; balances[id] != want {
			l.violation("wallet %s holds %d, not %d", id, balances[id], want)
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
