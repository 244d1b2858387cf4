package ledger_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// naiveMandate is what was granted last, and everything that was ever charged and held under it. Days are text: 2026-03-01, and
// months what they begin with.
type naiveMandate struct {
	terms ledger.Terms
	given bool
	uses  []naiveUse
}

// naiveUse is a charge, or a hold and what became of it since.
type naiveUse struct {
	day    string
	charge int64
	hold   *naiveHold
}

// amount is how much of the mandate it uses: of a hold what was captured and what is still held.
func (u naiveUse) amount() int64 {
	if u.hold == nil {
		return u.charge
	}
	return sum(u.hold.captured) + u.hold.left()
}

// use is so much used on a day.
type use struct {
	day    string
	amount int64
}

func (m *naiveMandate) used() (uses []use) {
	for _, u := range m.uses {
		uses = append(uses, use{u.day, u.amount()})
	}
	return uses
}

// tally is the last day that was used, with how much was used on it, in its month and ever.
func tally(uses []use) (day int32, ofDay, ofMonth, ever int64) {
	last := lastDay(uses, "")
	for _, u := range uses {
		if u.day == last {
			ofDay += u.amount
		}
		if u.day[:7] == last[:7] {
			ofMonth += u.amount
		}
		ever += u.amount
	}
	return dayNumber(last), ofDay, ofMonth, ever
}

// lastDay is the last of the uses' days and the day.
func lastDay(uses []use, day string) string {
	for _, u := range uses {
		day = max(day, u.day)
	}
	return day
}

// today is the day for which something counts: no day before one that was used.
func (m *naiveMandate) today(now time.Time) string { return lastDay(m.used(), dayOf(now)) }

// exceeds is which of the limits does not let the amount through, and how much it would.
func (m *naiveMandate) exceeds(amount int64, now time.Time) (ledger.Limit, int64) {
	today := m.today(now)
	_, ofDay, ofMonth, ever := tally(append(m.used(), use{day: today}))
	switch {
	case m.terms.MaxAmount > 0 && amount > m.terms.MaxAmount:
		return ledger.LimitAmount, m.terms.MaxAmount
	case m.terms.PerDay > 0 && ofDay+amount > m.terms.PerDay:
		return ledger.LimitPerDay, max(0, m.terms.PerDay-ofDay)
	case m.terms.PerMonth > 0 && ofMonth+amount > m.terms.PerMonth:
		return ledger.LimitPerMonth, max(0, m.terms.PerMonth-ofMonth)
	case m.terms.Total > 0 && ever+amount > m.terms.Total:
		return ledger.LimitTotal, max(0, m.terms.Total-ever)
	case ever+amount > ledger.MaxAmount:
		return ledger.LimitTotal, ledger.MaxAmount - ever
	}
	return "", 0
}

func dayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// dayNumber counts days since 1970-01-01; 0 for no day.
func dayNumber(day string) int32 {
	if day == "" {
		return 0
	}
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return int32(at.Sub(time.Unix(0, 0)) / (24 * time.Hour))
}

// mandate is the one that the request's merchant has of the request's wallet; an empty one if it never had one.
func (n *naive) mandate(r ledger.Request) *naiveMandate {
	if m := n.mandates[ledger.WalletMerchant{Wallet: r.Wallet, Merchant: r.Merchant}]; m != nil {
		return m
	}
	return &naiveMandate{}
}

// changeMandate is what an accepted grant or revoke does.
func (n *naive) changeMandate(r ledger.Request) {
	of := ledger.WalletMerchant{Wallet: r.Wallet, Merchant: r.Merchant}
	m := n.mandate(r)
	n.mandates[of] = m
	m.given = r.Kind == ledger.KindGrant
	if m.given {
		m.terms = r.Terms
		m.terms.ValidUntil = r.Terms.ValidUntil.Truncate(time.Microsecond)
	}
}

// use notes what was charged or held.
func (n *naive) use(r ledger.Request, day string) {
	m := n.mandate(r)
	m.uses = append(m.uses, naiveUse{day: day, charge: r.Amount, hold: n.holds[r.ID]})
}

// reasonOfMandate is why the mandate is not changed or does not let the request through.
func (n *naive) reasonOfMandate(r ledger.Request, now time.Time) ledger.Reason {
	m, mandated := n.mandate(r), n.wallets[r.Wallet].charges == ledger.ChargesMandated
	known := n.mandates[ledger.WalletMerchant{Wallet: r.Wallet, Merchant: r.Merchant}] != nil
	count := n.given[r.Wallet]
	for of := range n.mandates {
		if of.Wallet == r.Wallet {
			count++
		}
	}
	exceeds, _ := m.exceeds(r.Amount, now)
	switch {
	case r.Kind == ledger.KindRevoke && !m.given:
		return ledger.ReasonMandateNotFound
	case r.Kind == ledger.KindGrant && !mandated:
		return ledger.ReasonWalletNotMandated
	case r.Kind == ledger.KindGrant && !known && count >= 1000:
		return ledger.ReasonTooManyMandates
	case !pays(r.Kind) || !mandated:
	case !m.terms.ValidUntil.IsZero() && now.UnixMicro() >= m.terms.ValidUntil.UnixMicro():
		return ledger.ReasonMandateExpired
	case exceeds != "":
		return ledger.ReasonMandateLimit
	}
	return ""
}

// standing are the mandates as the ledger keeps them.
func (n *naive) standing() map[ledger.WalletMerchant]ledger.Mandate {
	all := map[ledger.WalletMerchant]ledger.Mandate{}
	for of, m := range n.mandates {
		s := ledger.Mandate{Wallet: of.Wallet, Merchant: of.Merchant, Terms: m.terms, Given: m.given}
		if len(m.uses) > 0 {
			s.Day, s.UsedDay, s.UsedMonth, s.Used = tally(m.used())
		}
		all[of] = s
	}
	return all
}

// usesIn is what the history says was used of the mandate.
func usesIn(operations []ledger.Operation, of ledger.WalletMerchant) (uses []use) {
	for i := range operations {
		o := &operations[i]
		if o.MandateDay == 0 || o.Wallet != of.Wallet || o.Merchant != of.Merchant {
			continue
		}
		u := use{time.Unix(int64(o.MandateDay)*24*3600, 0).UTC().Format(time.DateOnly), o.Amount}
		if o.Kind == ledger.KindHold {
			u.amount = referredIn(operations, o.ID).Left
			for j := range operations {
				if c := &operations[j]; c.Refers == o.ID && c.Kind == ledger.KindCapture && c.Reason == "" {
					u.amount += c.Moved
				}
			}
		}
		uses = append(uses, u)
	}
	return uses
}

// drawTerms are limits near to the amounts that are drawn, or none.
func drawTerms(t *rapid.T, now time.Time) ledger.Terms {
	amount := rapid.SampledFrom([]int64{0, 0, 0, 0, 0, 100, 250, 400, 650, 1000, ledger.MaxAmount})
	terms := ledger.Terms{
		MaxAmount: amount.Draw(t, "max_amount"), PerDay: amount.Draw(t, "per_day"), PerMonth: amount.Draw(t, "per_month"), Total: amount.Draw(t, "total"),
	}
	until := rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 0, 0, -1, time.Nanosecond, time.Microsecond, time.Hour, 36 * time.Hour}).Draw(t, "valid until")
	if until != 0 {
		terms.ValidUntil = now.Add(until)
	}
	return terms
}

// drawMandates gives merchants mandates of the wallet: in force, revoked or none, and used by a charge.
func (s *store) drawMandates(t *rapid.T, w ledger.Wallet) {
	s.given[w.ID] = rapid.SampledFrom([]int{0, 0, 0, 0, ledger.MaxMandates - 3, ledger.MaxMandates - 1}).Draw(t, "others' mandates")
	for i := byte(1); i <= 3; i++ {
		standing := rapid.SampledFrom([]string{"given", "given", "given", "used", "used", "revoked", "none"}).Draw(t, fmt.Sprintf("mandate of %d", i))
		if standing == "none" {
			continue
		}
		m := ledger.Mandate{Wallet: w.ID, Merchant: ledger.MerchantID{i}, Given: standing != "revoked"}
		m.Terms = drawTerms(t, propertyTime)
		m.Terms.ValidUntil = m.Terms.ValidUntil.Truncate(time.Microsecond)
		of := ledger.WalletMerchant{Wallet: m.Wallet, Merchant: m.Merchant}
		if standing == "used" {
			at := propertyTime.AddDate(0, 0, -rapid.SampledFrom([]int{0, 1, 40}).Draw(t, "days before")).Add(-time.Hour).Truncate(time.Microsecond)
			s.operations = append(s.operations, ledger.Operation{
				Request: ledger.Request{
					ID: operationOf(w.ID, 0xf0+i), Kind: ledger.KindCharge, Wallet: w.ID, Merchant: m.Merchant, Amount: 100, Currency: w.Currency,
				},
				DecidedAt: at, MandateDay: dayNumber(dayOf(at)),
			})
			m.Day, m.UsedDay, m.UsedMonth, m.Used = tally(usesIn(s.operations, of))
		}
		s.mandates[of] = m
	}
}

// checkMandateTouched says which mandate one step may change: the one of its merchant on its wallet, and only where it is accepted.
func checkMandateTouched(t *rapid.T, s *store, made []ledger.Operation, changed []ledger.Mandate) {
	t.Helper()
	if len(made) == 0 || made[0].Reason != "" {
		if len(changed) > 0 {
			t.Fatalf("%v changed %v", made, changed)
		}
		return
	}
	o := made[0]
	underOne := o.MandateDay != 0 || ofHold(o.Kind) && referredIn(s.operations, o.Refers).Day != 0
	if want := underOne || ofMandate(o.Kind); want != (len(changed) == 1) || len(changed) > 1 {
		t.Fatalf("%+v changed %v", o, changed)
	}
	if pays(o.Kind) != (o.MandateDay != 0) && s.wallets[o.Wallet].Charges == ledger.ChargesMandated {
		t.Fatalf("%+v counts for day %d", o, o.MandateDay)
	}
	for _, m := range changed {
		if m.Wallet != o.Wallet || m.Merchant != o.Merchant {
			t.Fatalf("%+v changed %+v", o, m)
		}
	}
}
