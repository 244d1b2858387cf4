package demo

import (
	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// story is what one caller does: steps in order, each sent when the one before
// was answered, so that a later step may rest on an earlier one; or all of them
// at once.
type story struct {
	name   string
	atOnce bool
	steps  []step
}

// step is one charge sent, and what is to come of it.
type step struct {
	key            string // the API key it is sent with
	wallet         string
	idempotencyKey string // empty: the invoice is the charge's identity
	body           client.Charge
	wait           bool // with Prefer: wait, so that its answer is its outcome
	want           want
}

// want is what is to come of a step.
type want struct {
	what   verdict
	reason ledger.Reason // of a fresh operation; empty: accepted
	status int           // of a refused request
}

// verdict is what kind of thing is to come of a step.
type verdict int

const (
	fresh   verdict = iota // an operation of its own
	replay                 // the story's first operation: it is the same request
	reused                 // the story's first operation, unchanged: it is another request under its key
	refused                // nothing: HTTP refuses it
)

// topUp is money that comes in before the day begins.
type topUp struct {
	wallet         *wallet
	idempotencyKey string
	amount         int64
}

// plan is a day: what is paid in first, what is charged, and the records that
// somebody else puts into the topic.
type plan struct {
	topUps    []topUp
	stories   []story
	malformed [][]byte
}

// accepted is what the day is to take from each wallet and give to each API
// key's merchant, by currency, in minor units.
func (p plan) accepted() (byWallet map[string]int64, byKey map[payee]int64) {
	byWallet, byKey = map[string]int64{}, map[payee]int64{}
	for _, st := range p.stories {
		for _, s := range st.steps {
			if s.want.what == fresh && s.want.reason == "" {
				byWallet[s.wallet] += s.body.Amount
				byKey[payee{s.key, s.body.Currency}] += s.body.Amount
			}
		}
	}
	return byWallet, byKey
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
