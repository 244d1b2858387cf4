package recount

import (
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// mandate is what a merchant may take from a wallet, and each time that it did.
type mandate struct {
	given  bool
	limits client.Limits
	uses   []*use // in the order in which they were decided
}

// use is what a charge took, or what a hold took or still holds, and the day in UTC for which it counts.
type use struct {
	day    time.Time
	amount int64
}

// unuse gives back what a hold did not take; of no use it does nothing.
func (u *use) unuse(amount int64) {
	if u != nil {
		u.amount -= amount
	}
}

func (m *mandate) give(limits client.Limits) { m.given, m.limits = true, limits }

// dayOf is the day for which counts what is decided at the time: never one before that of the last use.
func (m *mandate) dayOf(at time.Time) time.Time {
	day := at.UTC().Truncate(24 * time.Hour)
	if n := len(m.uses); n > 0 && m.uses[n-1].day.After(day) {
		return m.uses[n-1].day
	}
	return day
}

// left is the first limit's that does not let the amount through, and how much it would; false: all do.
func (m *mandate) left(amount int64, at time.Time) (left int64, exceeded bool) {
	var today, month, total int64
	day := m.dayOf(at)
	for _, u := range m.uses {
		total += u.amount
		if u.day.Year() == day.Year() && u.day.Month() == day.Month() {
			month += u.amount
		}
		if u.day.Equal(day) {
			today += u.amount
		}
	}
	for _, limit := range [...]struct{ most, used int64 }{
		{m.limits.MaxAmount, 0}, {m.limits.PerDay, today}, {m.limits.PerMonth, month}, {m.limits.Total, total},
	} {
		if left := max(0, limit.most-limit.used); limit.most > 0 && amount > left {
			return left, true
		}
	}
	return 0, false
}

// lets is why the wallet does not let the merchant take what it asks for, and how much its mandate would let through.
func (w *Wallet) lets(o Operation) (left int64, reason ledger.Reason) {
	if !w.mandated {
		return 0, ""
	}
	m := w.mandates[o.Merchant]
	if m == nil || !m.given {
		return 0, ledger.ReasonMandateRequired
	}
	if until := m.limits.ValidUntil; !until.IsZero() && !o.At.Before(until) {
		return 0, ledger.ReasonMandateExpired
	}
	if left, exceeded := m.left(o.Asked, o.At); exceeded {
		return left, ledger.ReasonMandateLimit
	}
	return 0, ""
}

// used notes what an accepted charge or hold uses of the merchant's mandate; nil: it uses none.
func (w *Wallet) used(o Operation) *use {
	if !w.mandated || o.Reason != "" || o.Kind == ledger.KindCapture {
		return nil
	}
	m := w.mandate(o.Merchant)
	u := &use{m.dayOf(o.At), o.Moved}
	m.uses = append(m.uses, u)
	return u
}

// mandate is the merchant's, made where there was none.
func (w *Wallet) mandate(merchant string) *mandate {
	if w.mandates == nil {
		w.mandates = map[string]*mandate{}
	}
	if w.mandates[merchant] == nil {
		w.mandates[merchant] = &mandate{}
	}
	return w.mandates[merchant]
}
