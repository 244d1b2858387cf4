package ledger

import (
	"cmp"
	"time"
)

// MaxMandates is to how many merchants a wallet may ever give a mandate.
const MaxMandates = 1000

// Terms are what a mandate allows, in minor units of the wallet's currency. Zero, and no time, is no
// limit; but what a mandate lets through in all is never more than [MaxAmount].
type Terms struct {
	MaxAmount  int64     // of one charge or hold
	PerDay     int64     // of all that count for one day, in UTC
	PerMonth   int64     // of all that count for one month, in UTC
	Total      int64     // of all
	ValidUntil time.Time // from then on nothing is let through
}

// Limit names one of the amounts of [Terms]. Limits are stored and shown: never rename one.
type Limit string

// The limits.
const (
	LimitAmount   Limit = "max_amount"
	LimitPerDay   Limit = "per_day"
	LimitPerMonth Limit = "per_month"
	LimitTotal    Limit = "total"
)

// Limits lists them, in the order in which they are looked at.
func Limits() []Limit { return []Limit{LimitAmount, LimitPerDay, LimitPerMonth, LimitTotal} }

// limitOf is a limit and its amount.
type limitOf struct {
	Name Limit
	Most int64
}

func (t Terms) limits() [4]limitOf {
	return [...]limitOf{{LimitAmount, t.MaxAmount}, {LimitPerDay, t.PerDay}, {LimitPerMonth, t.PerMonth}, {LimitTotal, t.Total}}
}

// WalletMerchant names a mandate.
type WalletMerchant struct {
	Wallet   WalletID
	Merchant MerchantID
}

// Mandate is the consent of a wallet's owner that a merchant charges the wallet and holds its money, and what was used
// of it. What a hold gives back is not used; a refund gives back nothing.
//
// Its days and months are those of the decisions, in UTC, and never go back: where the clock does, the later day counts on.
type Mandate struct {
	Wallet    WalletID // zero: there never was one
	Merchant  MerchantID
	Terms     Terms // of the last grant
	Given     bool  // false: it was revoked
	Day       int32 // the last that was used, since 1970-01-01; 0: none
	UsedDay   int64 // on that day, minor units
	UsedMonth int64 // in that day's month
	Used      int64
}

// dayOf is the day for which something counts that is decided now.
func (m Mandate) dayOf(now time.Time) int32 {
	return max(m.Day, int32(now.Unix()/86_400)) //nolint:gosec // some millions
}

// On is the mandate as it stands for what is decided at the time: what was used of a day and of a month that are over
// is nothing.
func (m Mandate) On(now time.Time) Mandate { return m.on(m.dayOf(now)) }

func (m Mandate) on(day int32) Mandate {
	if day > m.Day {
		m.UsedDay = 0
		if monthOf(day) != monthOf(m.Day) {
			m.UsedMonth = 0
		}
		m.Day = day
	}
	return m
}

// monthOf counts months, for a day since 1970-01-01.
func monthOf(day int32) int {
	t := time.Unix(int64(day)*86_400, 0).UTC()
	return t.Year()*12 + int(t.Month())
}

// Expired reports whether the mandate lets nothing through any more.
func (m Mandate) Expired(now time.Time) bool {
	return !m.Terms.ValidUntil.IsZero() && !now.Before(m.Terms.ValidUntil)
}

// exceeds is the first limit that does not let the amount through now, and how much that one would; empty if all do.
func (m Mandate) exceeds(amount int64, now time.Time) (limit Limit, left int64) {
	m = m.On(now)
	used := [...]int64{0, m.UsedDay, m.UsedMonth, m.Used}
	m.Terms.Total = cmp.Or(m.Terms.Total, MaxAmount)
	for i, l := range m.Terms.limits() {
		if left := max(0, l.Most-used[i]); l.Most != 0 && amount > left {
			return l.Name, left
		}
	}
	return "", 0
}

// after is the mandate as the accepted operation leaves it. Referred is what that one refers to, as it was before.
func (m Mandate) after(o *Operation, referred Referred) Mandate {
	m.Wallet, m.Merchant = o.Wallet, o.Merchant
	kind := o.Kind.row()
	switch {
	case kind.mandate == mandateGiven:
		m.Terms, m.Given = o.Terms, true
	case kind.mandate == mandateTaken:
		m.Given = false
	case kind.uses:
		m = m.on(o.MandateDay)
		m.UsedDay += o.Amount
		m.UsedMonth += o.Amount
		m.Used += o.Amount
	default:
		m = m.unused(referred.Left-o.LeftAfter+kind.moves*o.Moved, referred.Day)
	}
	return m
}

// unused gives back what a hold that counted for the day did not use.
func (m Mandate) unused(amount int64, day int32) Mandate {
	m.Used = max(0, m.Used-amount)
	if monthOf(day) == monthOf(m.Day) {
		m.UsedMonth = max(0, m.UsedMonth-amount)
	}
	if day == m.Day {
		m.UsedDay = max(0, m.UsedDay-amount)
	}
	return m
}
