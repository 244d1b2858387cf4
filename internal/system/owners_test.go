package system

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

const (
	loadOwners = 2
	ownerThink = 100 * time.Millisecond // of an owner between two requests
	revokeOne  = 3                      // one of so many of its requests is a revocation
	endsOne    = 3                      // one of so many of its grants ends soon
	endsWithin = 100 * time.Millisecond
	lowOne     = 10 // one of so many others lets no charge through
	// mandatedTotal is how much more each grant of a wallet lets through than the one before: soon it is used up, and what is released gives
	// some of it back.
	mandatedTotal = 5 * loadAmount
	mandatedEvery = 4 // one of so many wallets is charged under mandates
)

// consents is what the owners of a load's wallets gave their merchant, and whether they may ask for anything at present.
type consents struct {
	wallets []string // that are mandated
	resting sync.RWMutex

	mu     sync.Mutex
	grants map[string]int64 // by wallet, how many were asked for
}

// isMandated reports whether the i-th wallet of a load is charged under mandates.
func isMandated(i int) bool { return i%mandatedEvery == 1 }

// draw makes a grant or a revocation.
func (c *consents) draw(r *rand.Rand, merchant string) client.Request {
	w := draw(r, c.wallets)
	if r.IntN(revokeOne) == 0 {
		return client.Request{Kind: ledger.KindRevoke, Wallet: w, Merchant: merchant}
	}
	return c.grant(r, w, merchant)
}

// grant makes the wallet's next grant. What is used counts on from one to the next: so each lets through more than
// the one before, of a day, of a month or in all.
func (c *consents) grant(r *rand.Rand, wallet, merchant string) client.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grants[wallet]++
	most := mandatedTotal * c.grants[wallet]
	limits := draw(r, []client.Limits{{PerDay: most}, {PerMonth: most}, {Total: most}, {PerDay: most + 1, PerMonth: most, Total: 2 * most}})
	switch {
	case c.grants[wallet] == 1: // a load begins with charges
	case r.IntN(endsOne) == 0:
		limits.ValidUntil = time.Now().UTC().Add(time.Duration(r.Int64N(int64(endsWithin)))).Truncate(time.Microsecond)
	case r.IntN(lowOne) == 0:
		limits.MaxAmount = loadAmount - 1
	}
	return client.Request{Kind: ledger.KindGrant, Wallet: wallet, Merchant: merchant, Currency: "EUR", Limits: limits}
}

// quiet lets the owners ask for nothing until the returned function is called: what is decided at once takes the locks of a
// partition too, and ends whoever is stopped with them.
func (l *load) quiet() (resume func()) {
	l.consents.resting.Lock()
	resume = sync.OnceFunc(l.consents.resting.Unlock)
	l.t.Cleanup(resume) // before the load's own
	return resume
}

// undoing is a time whose decisions the database has forgotten, or is about to.
type undoing struct{ from, to time.Time } // to is zero until it is over

// undo notes that what is decided while it runs is undone by it: it puts the database back to an earlier moment.
func (l *load) undo(do func()) {
	l.mu.Lock()
	l.undone = append(l.undone, undoing{from: time.Now()})
	l.mu.Unlock()
	do()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undone[len(l.undone)-1].to = time.Now()
}

// mayBeUndone reports whether the database may have forgotten what it showed at the time.
func (l *load) mayBeUndone(at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range l.undone {
		if !at.Before(u.from) && (u.to.IsZero() || !at.After(u.to)) {
			return true
		}
	}
	return false
}
