package ledger_test

import (
	"slices"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// day is what is decided at one time of a history that takes longer.
type day struct {
	at       time.Time
	requests []ledger.Request
}

// on is a day of a history, at noon.
func on(date string, requests ...ledger.Request) day {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return day{at.Add(12 * time.Hour), requests}
}

// historyOver decides the days one after the other, as history does one; what a database would not keep is forgotten between them.
func historyOver(days ...day) []ledger.Operation { return settledOver(days...).operations }

func settledOver(days ...day) *store {
	s := newStore()
	s.merchants = auditMerchants()
	n := 0
	for _, d := range days {
		var steps []step
		for _, r := range d.requests {
			r.ID, r.Wallet, r.ReceivedAt = ledger.OperationID{byte(n >> 8), byte(n), 1}, auditWallet, auditTime
			at := ledger.Place{Log: 1, Offset: int64(n)}
			if !r.Kind.Queued() {
				at = ledger.Place{}
			}
			steps = append(steps, step{request: &r, at: at})
			n++
		}
		s.settle(steps, d.at)
	}
	return s
}

// auditMerchants are those of histories, and as many as may have a mandate, and two.
var auditMerchants = sync.OnceValue(func() map[ledger.MerchantID]ledger.Merchant {
	all := map[ledger.MerchantID]ledger.Merchant{{1}: {}, {2}: {Suspended: true}, {3}: {Owner: auditClient}}
	for i := range ledger.MaxMandates + 2 {
		all[merchantOf(i)] = ledger.Merchant{}
	}
	return all
})

// merchantOf is one of many.
func merchantOf(i int) ledger.MerchantID { return ledger.MerchantID{5, byte(i >> 8), byte(i)} }

// by is the request of another merchant, or about it.
func by(m ledger.MerchantID, r ledger.Request) ledger.Request {
	r.Merchant = m
	return r
}

// theMandate is the first merchant's, as the days left it.
func theMandate(days ...day) ledger.Mandate {
	return settledOver(days...).mandates[ledger.WalletMerchant{Wallet: auditWallet, Merchant: ledger.MerchantID{1}}]
}

func openMandated() ledger.Request {
	r := openRequest()
	r.Charges = ledger.ChargesMandated
	return r
}

// grantRequest gives the first merchant a mandate.
func grantRequest(terms ledger.Terms) ledger.Request {
	return ledger.Request{Kind: ledger.KindGrant, Merchant: ledger.MerchantID{1}, Currency: "EUR", Terms: terms}
}

// revokeRequest takes it.
func revokeRequest() ledger.Request {
	return ledger.Request{Kind: ledger.KindRevoke, Merchant: ledger.MerchantID{1}}
}

// underMandate is a mandated wallet of 1000 with a mandate of the first merchant, and what is asked of it then.
func underMandate(terms ledger.Terms, requests ...ledger.Request) []ledger.Request {
	return append([]ledger.Request{openMandated(), topUpRequest(1000), grantRequest(terms)}, requests...)
}

// with is the day with more requests.
func with(d day, requests ...ledger.Request) day {
	d.requests = slices.Concat(d.requests, requests)
	return d
}

// mandateCrowd is a history of mandates to as many merchants as may be, one of them taken and one given twice, and of more.
func mandateCrowd() []ledger.Operation {
	requests := []ledger.Request{openMandated(), topUpRequest(10)}
	for i := range ledger.MaxMandates {
		if i == 5 {
			requests = append(requests, by(merchantOf(0), revokeRequest()), by(merchantOf(1), grantRequest(ledger.Terms{Total: 5})))
		}
		requests = append(requests, by(merchantOf(i), grantRequest(ledger.Terms{})))
	}
	more := by(merchantOf(ledger.MaxMandates), grantRequest(ledger.Terms{}))
	return historyOver(on("2026-03-01", requests...), on("2026-03-02", more, by(merchantOf(0), grantRequest(ledger.Terms{})), by(merchantOf(7), revokeRequest()), more,
		by(merchantOf(7), grantRequest(ledger.Terms{})), by(merchantOf(7), chargeRequest(1, 1, "")), by(more.Merchant, chargeRequest(1, 1, "")), by(more.Merchant, revokeRequest())))
}
