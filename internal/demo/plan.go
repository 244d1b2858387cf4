package demo

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// The shape of a day.
const (
	MinCharges = 50 // a smaller day does not hold one story of each sort

	waitEvery   = 8    // one story in so many waits for its outcome
	zipfS       = 1.2  // how steeply the wallets' shares fall
	zipfV       = 4.0  // how even the first few are
	lowAmount   = 50   // minor units
	highAmount  = 6000 // minor units
	lowChange   = 1000 // least that a day leaves in a wallet, minor units
	highChange  = 25000
	keyedTenths = 7 // of ten charges so many carry an Idempotency-Key, the others only their invoice
)

// planner writes the stories of a day. Day, seed and world decide all of it.
type planner struct {
	world *world
	day   int
	now   time.Time
	rng   *rand.Rand
	zipf  *rand.Zipf
	next  int // number of the next request
	told  int // so many of the world's counted wallets have their story
	given int // so many of its mandated ones do
}

// newPlan plans a day of exactly so many charges. Days have keys and invoices
// of their own: a later one on the same data meets none of an earlier one's.
func newPlan(w *world, day int, seed uint64, charges int, now time.Time) plan {
	rng := rand.New(rand.NewPCG(seed, uint64(day)))
	p := &planner{
		world: w, day: day, now: now, rng: rng,
		zipf: rand.NewZipf(rng, zipfS, zipfV, uint64(len(w.rich)-1)),
	}
	var stories []story
	for left := charges; left > 0; {
		st := p.story(len(stories), left)
		stories = append(stories, st)
		left -= st.count(ledger.KindCharge)
	}
	rng.Shuffle(len(stories), func(i, j int) { stories[i], stories[j] = stories[j], stories[i] })
	for i := range stories {
		stories[i].waits(i%waitEvery == 0)
	}
	today := plan{stories: stories, malformed: p.malformed()}
	today.topUps = p.topUps(today)
	return today
}

// waits says which steps wait for their outcome: what is asked of a mandate is decided before all that is queued, and so
// sent when what stands before it is decided; and the first one if it is to, and can.
func (st story) waits(first bool) {
	for i := range st.steps {
		queued := slices.Contains(client.Submitted(), st.steps[i].body.Kind)
		switch {
		case !queued && i > 0:
			st.steps[i-1].wait = true
		case queued && i == 0:
			st.steps[i].wait = first && st.together < len(st.steps) && st.steps[i].want.what == fresh
		}
	}
}

// genre is one sort of story and how many of a thousand are of it.
type genre struct {
	weight int
	tell   func(*planner) story
}

func genres() []genre {
	return []genre{
		{660, (*planner).ordinary},
		{30, (*planner).retried},
		{25, (*planner).retriedAtOnce},
		{15, (*planner).keyReused},
		{25, (*planner).invoiceTwice},
		{40, (*planner).poor},
		{15, (*planner).frozen},
		{5, (*planner).closed},
		{10, (*planner).unknownWallet},
		{10, (*planner).otherCurrency},
		{10, (*planner).expired},
		{5, (*planner).ownMerchant},
		{5, (*planner).noAmount},
		{5, (*planner).clientCharges},
		{5, (*planner).noKey},

		{25, (*planner).refundedInPart},
		{5, (*planner).refundedInParts},
		{20, (*planner).refundedWholly},
		{5, (*planner).refundRetried},
		{2, (*planner).refundKeyReused},
		{3, (*planner).refundedTwice},
		{5, (*planner).refundTooLarge},
		{3, (*planner).refundOfFailed},
		{2, (*planner).refundOfRefund},
		{2, (*planner).refundOfAnother},
		{2, (*planner).refundInOtherCurrency},
		{2, (*planner).refundWithoutKey},
		{4, (*planner).wrongTopUp},
		{1, (*planner).withdrawalRetried},
		{2, (*planner).withdrawalTooLarge},
		{1, (*planner).withdrawalOfFrozen},
		{1, (*planner).merchantWithdraws},

		{14, (*planner).heldAndCaptured},
		{5, (*planner).capturedInParts},
		{4, (*planner).heldAndReleased},
		{3, (*planner).releasedInPart},
		{2, (*planner).captureRetried},
		{1, (*planner).capturedTwice},
		{2, (*planner).captureTooLarge},
		{2, (*planner).captureOfReleased},
		{1, (*planner).captureOfAnother},
		{1, (*planner).captureInOtherCurrency},
		{2, (*planner).captureRefunded},
		{1, (*planner).invoiceHeld},
		{1, (*planner).holdKeyReused},
		{2, (*planner).holdWithoutMoney},
		{1, (*planner).holdOfFrozen},
		{1, (*planner).holdTooShort},
		{1, (*planner).allHeld},
		{1, (*planner).leftOpen},

		{1, (*planner).mandateUsedUp},
		{1, (*planner).mandateRevoked},
		{1, (*planner).mandateMissing},
		{1, (*planner).mandateRaised},
		{1, (*planner).mandateOfAnyone},
	}
}

// story is the day's n-th: one of each sort first, then by weight. It has at
// most left charges.
func (p *planner) story(n, left int) story {
	all := genres()
	if n < len(all) {
		return all[n].tell(p)
	}
	if left < 2 {
		return p.ordinary()
	}
	at := p.rng.IntN(1000)
	for _, g := range all {
		if at -= g.weight; at < 0 {
			return g.tell(p)
		}
	}
	return p.ordinary()
}

func (p *planner) ordinary() story { return story{name: "ordinary", steps: []step{p.paid()}} }

func (p *planner) retried() story {
	s := p.paid()
	return story{name: "retried", steps: []step{s, s.wanting(replay, 0)}}
}

func (p *planner) retriedAtOnce() story {
	s := p.paid()
	return story{name: "retried at once", together: 2, steps: []step{s, s.wanting(replay, 0)}}
}

func (p *planner) keyReused() story {
	s := p.keyed(p.paid())
	other := s.wanting(reused, 0)
	other.body.Amount++
	return story{name: "key reused", steps: []step{s, other}}
}

func (p *planner) invoiceTwice() story {
	s := p.keyed(p.paid())
	other := s.failing(ledger.ReasonDuplicateInvoice)
	other.idempotencyKey += "-again"
	return story{name: "invoice twice", steps: []step{s, other}}
}

func (p *planner) poor() story {
	return p.failing("no money", one(p.rng, p.world.poor), ledger.ReasonInsufficientFunds)
}

func (p *planner) frozen() story {
	return p.failing("frozen", one(p.rng, p.world.frozen), ledger.ReasonWalletFrozen)
}

func (p *planner) closed() story {
	return p.failing("closed", one(p.rng, p.world.closed), ledger.ReasonWalletClosed)
}

func (p *planner) unknownWallet() story {
	var id ledger.WalletID
	for i := range id {
		id[i] = byte(p.rng.Uint32())
	}
	return p.failing("unknown wallet", &wallet{id: id.String(), currency: euro}, ledger.ReasonMandateRequired)
}

func (p *planner) otherCurrency() story {
	s := p.paid().failing(ledger.ReasonCurrencyMismatch)
	s.body.Currency = "JPY"
	return story{name: "other currency", steps: []step{s}}
}

func (p *planner) expired() story {
	s := p.paid().failing(ledger.ReasonExpired)
	yesterday := p.now.Add(-24 * time.Hour).UTC().Truncate(time.Second)
	s.body.ApplyBefore = &yesterday
	return story{name: "expired", steps: []step{s}}
}

func (p *planner) ownMerchant() story {
	s := p.charge(p.world.own, p.world.ownMerchant).failing(ledger.ReasonSelfCharge)
	return story{name: "own merchant", steps: []step{s}}
}

func (p *planner) noAmount() story {
	s := p.paid().refused(http.StatusUnprocessableEntity)
	s.body.Amount = 0
	return story{name: "no amount", steps: []step{s}}
}

func (p *planner) clientCharges() story {
	s := p.paid().refused(http.StatusForbidden)
	s.key = p.world.clientKey
	return story{name: "client charges", steps: []step{s}}
}

func (p *planner) noKey() story {
	s := p.paid().refused(http.StatusUnauthorized)
	s.key = ""
	return story{name: "no key", steps: []step{s}}
}

// failing is a story of one charge that fails.
func (p *planner) failing(name string, w *wallet, reason ledger.Reason) story {
	return story{name: name, steps: []step{p.charge(w, one(p.rng, p.world.merchants)).failing(reason)}}
}

// paid is a charge that has all it needs: its wallet is topped up with more
// than all such charges together.
func (p *planner) paid() step {
	return p.charge(p.world.rich[p.zipf.Uint64()], one(p.rng, p.world.merchants))
}

func (p *planner) charge(w *wallet, m *merchant) step {
	p.next++
	s := step{key: m.key, body: client.Request{
		Kind: ledger.KindCharge, Wallet: w.id,
		Amount:      lowAmount + p.rng.Int64N(highAmount-lowAmount+1),
		Currency:    w.currency,
		Invoice:     fmt.Sprintf("INV-%04d-%06d", p.day, p.next),
		Description: "Order at " + m.name,
		Metadata:    map[string]string{"till": fmt.Sprint(1 + p.rng.IntN(9))},
	}}
	if p.rng.IntN(10) < keyedTenths {
		s = p.keyed(s)
	}
	return s
}

// keyed is the charge under an Idempotency-Key.
func (p *planner) keyed(s step) step {
	s.idempotencyKey = "charge-of-" + s.body.Invoice
	return s
}

// wanting is the step once more: what is to come of it rests on the story's first one.
func (s step) wanting(what verdict, first int) step {
	s.want = want{what: what, first: first}
	return s
}

func (s step) failing(reason ledger.Reason) step {
	s.want = want{what: fresh, reason: reason}
	return s
}

func (s step) refused(status int) step {
	s.want = want{what: refused, status: status}
	return s
}

// topUps pays in, for each wallet that is to have money, more than the day takes; into those that
// are counted exactly that.
func (p *planner) topUps(day plan) []topUp {
	needed := day.needs()
	var paid []topUp
	pay := func(w *wallet, amount int64) {
		paid = append(paid, topUp{
			wallet: w, idempotencyKey: fmt.Sprintf("topup-%04d-%06d", p.day, len(paid)), reference: fmt.Sprintf("IN-%04d-%06d", p.day, len(paid)), amount: amount,
		})
	}
	for _, pool := range [][]*wallet{p.world.rich, p.world.frozen, {p.world.own}, p.world.mandated[:p.given]} {
		for _, w := range pool {
			pay(w, needed[w.id]+lowChange+p.rng.Int64N(highChange-lowChange+1))
		}
	}
	for _, w := range p.world.counted[:p.told] {
		pay(w, needed[w.id])
	}
	return paid
}

// malformed is what somebody who does not speak our format puts into the topic.
func (p *planner) malformed() [][]byte {
	return [][]byte{
		[]byte("this is no charge"),
		[]byte(`{"amount":1250,"currency":"EUR"}`),
		fmt.Appendf(nil, "\x00\xff\xfe day %d", p.day),
	}
}

func one[T any](rng *rand.Rand, of []T) T { return of[rng.IntN(len(of))] }
