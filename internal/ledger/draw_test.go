package ledger_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// step is a request or a refusal, and where it came from.
type step struct {
	request *ledger.Request
	refusal *ledger.Refusal
	payload string // of a refusal
	at      ledger.Place
}

func (s step) id() ledger.OperationID {
	if s.refusal != nil {
		return s.refusal.ID
	}
	return s.request.ID
}

func (s step) wallet() ledger.WalletID {
	if s.refusal != nil {
		return s.refusal.Wallet
	}
	return s.request.Wallet
}

// saying is what the step says apart from its identity and the time of its receipt;
// times count to the microsecond.
func (s step) saying() string {
	if s.refusal != nil {
		return "refused " + s.payload
	}
	r := *s.request
	r.ID, r.IdempotencyKey, r.ReceivedAt, r.Asker = ledger.OperationID{}, "", time.Time{}, ledger.Asker{}
	r.ApplyBefore, r.Terms.ValidUntil = r.ApplyBefore.Truncate(time.Microsecond), r.Terms.ValidUntil.Truncate(time.Microsecond)
	return fmt.Sprintf("%#v", r)
}

func (s step) decide(b *ledger.Book) ledger.Verdict {
	if s.refusal != nil {
		return b.Refuse(*s.refusal, s.at)
	}
	return b.Decide(*s.request, s.at)
}

// drawStart is a few merchants and wallets: wallets 1 to 3 are there, 4 and 5
// are not; merchant 4 is not.
func drawStart(t *rapid.T) *store {
	s := newStore()
	s.merchants = map[ledger.MerchantID]ledger.Merchant{{1}: {}, {2}: {Suspended: true}, {3}: {Owner: ledger.ClientID{1}}}
	statuses := []ledger.WalletStatus{ledger.WalletActive, ledger.WalletActive, ledger.WalletActive, ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed}
	for i := byte(1); i <= 3; i++ {
		w := ledger.Wallet{
			ID: ledger.WalletID{i}, Client: ledger.ClientID{i}, Currency: "EUR", Digest: ledger.Digest{i},
			Status:      rapid.SampledFrom(statuses).Draw(t, "status"),
			CreditLimit: rapid.SampledFrom([]int64{0, 300, ledger.MaxAmount}).Draw(t, "limit"),
			Sequence:    rapid.Int64Range(1, 5).Draw(t, "sequence"),
		}
		if w.Status != ledger.WalletClosed {
			w.Balance = rapid.SampledFrom([]int64{0, 500, ledger.MaxAmount - 100, ledger.MaxAmount, -w.CreditLimit}).Draw(t, "balance")
		}
		if rapid.Bool().Draw(t, "mandated") {
			w.Charges = ledger.ChargesMandated
			s.drawMandates(t, w)
		}
		s.wallets[w.ID] = w
	}
	if w := s.wallets[ledger.WalletID{1}]; w.Available() >= wornHold+ledger.MaxHolds && w.Status != ledger.WalletClosed && rapid.Bool().Draw(t, "held before") {
		s.hold(w, rapid.IntRange(ledger.MaxCaptures-2, ledger.MaxCaptures).Draw(t, "parts"))
		w = s.wallets[w.ID]
		w.Holds += rapid.SampledFrom([]int64{0, ledger.MaxHolds - 2, ledger.MaxHolds - 1}).Draw(t, "other holds")
		w.Held += w.Holds - 1
		s.wallets[w.ID] = w
	}
	return s
}

// wornHold is the amount of a hold that a history may begin with and that was released in parts.
const wornHold = 300

// hold makes a history of one hold on the wallet, and as many releases of a unit each.
func (s *store) hold(w ledger.Wallet, parts int) {
	at := propertyTime.Add(-time.Hour).Truncate(time.Microsecond)
	hold := ledger.Operation{Request: ledger.Request{
		ID: operationOf(w.ID, 0xff), Kind: ledger.KindHold, Wallet: w.ID, Merchant: ledger.MerchantID{1}, Amount: wornHold, Currency: w.Currency,
		Invoice: "i1", ExpiresIn: ledger.DefaultExpiresIn,
	}, DecidedAt: at}
	of := ledger.WalletMerchant{Wallet: w.ID, Merchant: hold.Merchant}
	m, mandated := s.mandates[of]
	if mandated {
		hold.MandateDay = max(m.Day, dayNumber(dayOf(at)))
	}
	s.operations = append([]ledger.Operation{hold}, s.operations...)
	for n := range parts {
		release := ledger.Operation{Request: hold.Request, DecidedAt: at, Moved: 1, LeftAfter: wornHold - int64(n) - 1}
		release.ID, release.Kind, release.Refers, release.Amount, release.ExpiresIn = operationOf(w.ID, byte(0x80+n)), ledger.KindRelease, hold.ID, 1, 0
		release.Invoice = ""
		s.operations = append(s.operations, release)
	}
	s.holds = holdsIn(s.operations)
	if mandated {
		m.Day, m.UsedDay, m.UsedMonth, m.Used = tally(usesIn(s.operations, of))
		s.mandates[of] = m
	}
	w.Held, w.Holds = wornHold-int64(parts), 1
	s.wallets[w.ID] = w
}

// kindsByWeight is every kind, and some more often.
var kindsByWeight = append([]ledger.Kind{
	ledger.KindHold, ledger.KindCharge, ledger.KindCapture, ledger.KindTopUp, ledger.KindHold, ledger.KindCapture, ledger.KindRelease, ledger.KindRefund,
	ledger.KindCharge, ledger.KindHold, ledger.KindCapture, ledger.KindCharge, ledger.KindCharge, ledger.KindRefund, ledger.KindUnfreeze, ledger.KindExpire,
	ledger.KindGrant,
}, ledger.Kinds()...)

// drawSteps is a batch with repeats, conflicts and refusals among new requests.
func drawSteps(t *rapid.T, m *ledger.Minter, now time.Time, start *store) []step {
	return drawMore(t, m, now, start, nil, 60)
}

// drawMore adds to the steps, which are settled before, at most so many.
func drawMore(t *rapid.T, m *ledger.Minter, now time.Time, start *store, steps []step, most int) []step {
	n := rapid.IntRange(0, most).Draw(t, "steps")
	for i := len(steps); n > 0; i, n = i+1, n-1 {
		at := ledger.Place{Log: 1, Offset: int64(i)}
		if i > 0 && rapid.IntRange(0, 5).Draw(t, "repeat") == 5 {
			s := steps[rapid.IntRange(0, i-1).Draw(t, "which")]
			if s.request != nil {
				again := *s.request
				again.ReceivedAt = again.ReceivedAt.Add(time.Second)
				s.request = &again
			}
			s.at = at
			steps = append(steps, s)
			continue
		}
		s := step{request: drawRequest(t, m, now, start, steps), at: at}
		if rapid.IntRange(0, 19).Draw(t, "refused") == 19 {
			s.payload = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "payload")
			s.refusal = &ledger.Refusal{
				ID: s.request.ID, Kind: s.request.Kind, Wallet: s.request.Wallet, Asker: s.request.Asker, Merchant: s.request.Merchant, ReceivedAt: s.request.ReceivedAt,
				Fingerprint: ledger.RefusedFingerprint([]byte(s.payload)),
			}
			s.request = nil
		}
		steps = append(steps, s)
	}
	return steps
}

func drawRequest(t *rapid.T, m *ledger.Minter, now time.Time, start *store, before []step) *ledger.Request {
	r := ledger.Request{
		Kind:       rapid.SampledFrom(kindsByWeight).Draw(t, "kind"),
		Wallet:     ledger.WalletID{rapid.SampledFrom([]byte{1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5}).Draw(t, "wallet")},
		ReceivedAt: now.Add(-time.Minute),
		Asker:      ledger.Asker{Party: ledger.AsOperator(), Key: ledger.KeyID{rapid.ByteRange(0, 2).Draw(t, "asker's key")}},
	}
	sized := r.Kind.MovesMoney() || r.Kind == ledger.KindSetLimit || r.Kind == ledger.KindHold || r.Kind == ledger.KindRelease
	if sized {
		r.Amount = rapid.SampledFrom([]int64{1, 50, 100, 100, 250, 250, 400, ledger.MaxAmount - 50, ledger.MaxAmount}).Draw(t, "amount")
	}
	if sized || r.Kind == ledger.KindOpen || r.Kind == ledger.KindGrant {
		r.Currency = rapid.SampledFrom([]ledger.Currency{"EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "USD"}).Draw(t, "currency")
	}
	switch r.Kind {
	case ledger.KindCharge, ledger.KindHold:
		r.Merchant = ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4}).Draw(t, "merchant")}
		r.Asker.Party = ledger.AsMerchant(r.Merchant)
		r.Invoice = rapid.SampledFrom([]string{"", "i1", "i2", "i3", "i4", "i5"}).Draw(t, "invoice")
		if r.Kind == ledger.KindHold {
			r.ExpiresIn = rapid.SampledFrom([]int64{ledger.MinExpiresIn, ledger.MaxExpiresIn}).Draw(t, "expires in")
		}
	case ledger.KindRefund, ledger.KindCapture, ledger.KindRelease, ledger.KindExpire:
		drawReferring(t, &r, start, before)
	case ledger.KindOpen:
		r.Client = ledger.ClientID{rapid.ByteRange(1, 2).Draw(t, "client")}
		r.Charges = rapid.SampledFrom([]ledger.Charges{"", ledger.ChargesMandated}).Draw(t, "charges")
	case ledger.KindGrant, ledger.KindRevoke:
		r.Merchant = ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 1, 2, 3, 4}).Draw(t, "merchant")}
		if r.Kind == ledger.KindGrant {
			r.Terms = drawTerms(t, now)
		}
	case ledger.KindTopUp, ledger.KindFreeze, ledger.KindUnfreeze, ledger.KindClose, ledger.KindSetLimit,
		ledger.KindWithdraw:
	}
	limits := []time.Duration{-time.Hour, -1, 1, time.Microsecond, time.Hour}
	if limit := rapid.SampledFrom(append(make([]time.Duration, 25), limits...)).Draw(t, "limit"); limit != 0 {
		r.ApplyBefore = now.Add(limit)
	}
	if r.IdempotencyKey == "" && (r.Invoice == "" || r.Kind == ledger.KindHold || rapid.Bool().Draw(t, "keyed")) {
		r.IdempotencyKey = fmt.Sprintf("k%d", rapid.IntRange(1, 12).Draw(t, "key"))
	}
	r.ID = m.OperationID(r.Identity())
	if f := r.Faults(); f != nil {
		t.Fatalf("the generator made a request with faults: %v", f)
	}
	return &r
}

// drawReferring lets the request refer to an operation: mostly to one of the steps before, of a kind
// that it may refer to, and of its own merchant.
func drawReferring(t *rapid.T, r *ledger.Request, start *store, before []step) {
	r.Merchant = ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 1, 1, 2}).Draw(t, "merchant")}
	r.Refers = operationOf(r.Wallet, 1)
	kinds := []ledger.Kind{ledger.KindHold}
	if r.Kind == ledger.KindRefund {
		kinds = []ledger.Kind{ledger.KindCharge, ledger.KindCapture}
	}
	if rapid.IntRange(0, 19).Draw(t, "any kind") == 19 {
		kinds = ledger.Kinds()
	}
	if all := requestsAmong(start, before, kinds); len(all) > 0 && rapid.IntRange(0, 9).Draw(t, "known") < 9 {
		to := rapid.SampledFrom(all).Draw(t, "refers to")
		r.Wallet, r.Refers = to.Wallet, to.ID
		if rapid.IntRange(0, 5).Draw(t, "other's") < 5 && !to.Merchant.IsZero() {
			r.Merchant = to.Merchant
		}
		if r.Amount > 0 && to.Amount > 0 && rapid.IntRange(0, 2).Draw(t, "of its size") < 2 {
			r.Amount = min(r.Amount, to.Amount/rapid.Int64Range(1, 3).Draw(t, "part")+1)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "all that is left") == 3 {
		r.Amount, r.Currency = 0, ""
	}
	r.Asker.Party = ledger.AsMerchant(r.Merchant)
	if r.Kind == ledger.KindCapture && rapid.Bool().Draw(t, "kept") {
		r.Rest = ledger.RestKept
	}
	if r.Kind == ledger.KindExpire {
		r.Asker, r.IdempotencyKey = ledger.Asker{Party: ledger.AsSystem()}, r.Refers.String()
	}
}

// requestsAmong are the requests of the kinds: the oldest one on record, and those among the steps.
func requestsAmong(start *store, steps []step, kinds []ledger.Kind) (requests []ledger.Request) {
	if len(start.operations) > 0 && slices.Contains(kinds, ledger.KindHold) {
		requests = append(requests, start.operations[0].Request)
	}
	for _, s := range steps {
		if s.request != nil && slices.Contains(kinds, s.request.Kind) {
			requests = append(requests, *s.request)
		}
	}
	return requests
}
