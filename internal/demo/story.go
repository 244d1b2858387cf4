package demo

import (
	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// story is what one caller does: steps in order, each sent when the one before
// was answered, so that a later step may rest on an earlier one.
type story struct {
	name     string
	steps    []step
	together int // so many of the last steps are sent at once
	// anyOrder says that of the last two steps either may have the outcome of the
	// other: nobody can tell which is decided first.
	anyOrder bool
}

// step is one request sent, and what is to come of it.
type step struct {
	key            string // the API key it is sent with
	idempotencyKey string // empty: the invoice is the charge's identity
	body           client.Request
	of             int  // the story's step that it refers to, if its kind refers to any
	wait           bool // with Prefer: wait, so that its answer is its outcome
	want           want
}

// want is what is to come of a step.
type want struct {
	what   verdict
	reason ledger.Reason // of a fresh operation; empty: accepted
	first  int           // of a replay, a reused key and a duplicate invoice: the story's step that came first
	status int           // of a refused request
	left   int64         // of what a mandate does not let through: how much it would, in minor units
}

// verdict is what kind of thing is to come of a step.
type verdict int

const (
	fresh   verdict = iota // an operation of its own
	replay                 // the first one's operation: it is the same request
	reused                 // the first one's operation, unchanged: it is another request under its key
	refused                // nothing: HTTP refuses it
)

// accepted reports whether the step is to move money.
func (s step) accepted() bool { return s.want.what == fresh && s.want.reason == "" }

// refers reports whether the step refers to the story's i-th.
func (s step) refers(i int) bool { return client.Refers(s.body.Kind) && s.of == i }

// moves is what the i-th step is to move if it is accepted, in minor units.
func (st story) moves(i int) int64 {
	if s := st.steps[i]; client.Refers(s.body.Kind) && s.body.Amount == 0 {
		return st.left(s.of, i)
	}
	return st.steps[i].body.Amount
}

// left is how much of what the i-th step took, or held, can still be moved before the step until.
func (st story) left(i, until int) int64 {
	if !st.steps[i].accepted() {
		return 0
	}
	left := st.moves(i)
	for k := i + 1; k < until; k++ {
		if s := st.steps[k]; s.refers(i) && s.accepted() {
			if left -= st.moves(k); s.body.Kind == ledger.KindCapture && !s.body.Keeps() {
				left = 0
			}
		}
	}
	return left
}

// holds is how much more the wallet's holds are to hold after the i-th step, in minor units.
func (st story) holds(i int) int64 {
	switch s := st.steps[i]; {
	case !s.accepted():
		return 0
	case s.body.Kind == ledger.KindHold:
		return st.moves(i)
	case client.Refers(s.body.Kind) && st.steps[s.of].body.Kind == ledger.KindHold:
		return st.left(s.of, i+1) - st.left(s.of, i)
	}
	return 0
}

// holding is what is to become of the i-th step, a hold that is accepted, as long as it does not expire.
func (st story) holding(i int) client.Holding {
	h := client.Holding{State: "open", Remaining: st.left(i, len(st.steps))}
	for k, s := range st.steps {
		if s.refers(i) && s.accepted() && s.body.Kind == ledger.KindCapture {
			h.Captured += st.moves(k)
		}
	}
	h.Released = st.moves(i) - h.Captured - h.Remaining
	switch {
	case h.Remaining > 0:
	case h.Captured > 0:
		h.State = "captured"
	default:
		h.State = "released"
	}
	return h
}

// invoice is what the i-th step is to show: a hold's first capture has the hold's.
func (st story) invoice(i int) string {
	s := st.steps[i]
	first := func(k int) bool {
		return st.steps[k].refers(s.of) && st.steps[k].accepted() && st.steps[k].body.Kind == ledger.KindCapture
	}
	if s.body.Kind != ledger.KindCapture || !s.accepted() {
		return s.body.Invoice
	}
	for k := range i {
		if first(k) {
			return ""
		}
	}
	return st.steps[s.of].body.Invoice
}

// conflicts is how many other requests come under the key of the i-th step.
func (st story) conflicts(i int) (n int) {
	for _, s := range st.steps {
		if s.want.what == reused && s.want.first == i {
			n++
		}
	}
	return n
}

// count is how many requests of the kind the story sends.
func (st story) count(kind ledger.Kind) (n int) {
	for _, s := range st.steps {
		if s.body.Kind == kind {
			n++
		}
	}
	return n
}

// topUp is money that comes in before the day begins.
type topUp struct {
	wallet         *wallet
	idempotencyKey string
	reference      string
	amount         int64
}

// plan is a day: what is paid in first, what is asked, and the records that
// somebody else puts into the topic.
type plan struct {
	topUps    []topUp
	stories   []story
	malformed [][]byte
}

// flows is what the stories are to add to each wallet and to each merchant, by API key
// and currency, in minor units.
func (p plan) flows() (byWallet map[string]client.Funds, byPayee map[payee]int64) {
	byWallet, byPayee = map[string]client.Funds{}, map[payee]int64{}
	for _, st := range p.stories {
		for i, s := range st.steps {
			if !s.accepted() {
				continue
			}
			wallet, merchant := client.Moves(s.body.Kind)
			byWallet[s.body.Wallet] = added(byWallet[s.body.Wallet], wallet*st.moves(i), st.holds(i))
			if merchant != 0 {
				byPayee[payee{s.key, st.currency(i)}] += merchant * st.moves(i)
			}
		}
	}
	return byWallet, byPayee
}

// currency is that of the i-th step: its own, or that of what it refers to.
func (st story) currency(i int) string {
	s := st.steps[i]
	if s.body.Currency == "" {
		return st.currency(s.of)
	}
	return s.body.Currency
}

// added is the money of a wallet without a credit limit that gets so much, and of which so much more is held.
func added(f client.Funds, balance, held int64) client.Funds {
	f.Balance += balance
	f.Held += held
	f.Available = f.Balance - f.Held
	return f
}

// needs is what each wallet must have to begin with, so that all that is to be accepted has money, in minor
// units. A story uses what it gave back before, and never what another one gives back.
func (p plan) needs() map[string]int64 {
	needed := map[string]int64{}
	for _, st := range p.stories {
		funds, least := map[string]client.Funds{}, map[string]int64{}
		for i, s := range st.steps {
			if s.accepted() {
				wallet, _ := client.Moves(s.body.Kind)
				f := added(funds[s.body.Wallet], wallet*st.moves(i), st.holds(i))
				funds[s.body.Wallet], least[s.body.Wallet] = f, min(least[s.body.Wallet], f.Available)
			}
		}
		for id, n := range least {
			needed[id] -= n
		}
	}
	return needed
}

// expiring is what holds of each wallet are to hold at the day's end, unless they expire before, in minor units.
func (p plan) expiring() map[string]int64 {
	left := map[string]int64{}
	for _, st := range p.stories {
		for i, s := range st.steps {
			if s.body.ExpiresIn != 0 && s.accepted() {
				left[s.body.Wallet] += st.left(i, len(st.steps))
			}
		}
	}
	return left
}

// payee is a merchant, by its API key, in a currency.
type payee struct{ key, currency string }

// requests is how many requests the stories send.
func (p plan) requests() (n int) {
	for _, st := range p.stories {
		n += len(st.steps)
	}
	return n
}

// counts is how many requests of each kind the stories send.
func (p plan) counts() map[ledger.Kind]int {
	n := map[ledger.Kind]int{}
	for _, st := range p.stories {
		for _, s := range st.steps {
			n[s.body.Kind]++
		}
	}
	return n
}
