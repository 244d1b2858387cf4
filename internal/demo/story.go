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

// left is how much of what the i-th step took can still be given back before the step until.
func (st story) left(i, until int) int64 {
	if !st.steps[i].accepted() {
		return 0
	}
	left := st.moves(i)
	for k := i + 1; k < until; k++ {
		if st.steps[k].refers(i) && st.steps[k].accepted() {
			left -= st.moves(k)
		}
	}
	return left
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
func (p plan) flows() (byWallet map[string]int64, byPayee map[payee]int64) {
	byWallet, byPayee = map[string]int64{}, map[payee]int64{}
	for _, st := range p.stories {
		for i, s := range st.steps {
			if !s.accepted() {
				continue
			}
			wallet, merchant := client.Moves(s.body.Kind)
			byWallet[s.body.Wallet] += wallet * st.moves(i)
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

// takes is what the stories are to take from each wallet, whatever they give back, in
// minor units.
func (p plan) takes() map[string]int64 {
	taken := map[string]int64{}
	for _, st := range p.stories {
		for i, s := range st.steps {
			if wallet, _ := client.Moves(s.body.Kind); s.accepted() && wallet < 0 {
				taken[s.body.Wallet] += st.moves(i)
			}
		}
	}
	return taken
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
