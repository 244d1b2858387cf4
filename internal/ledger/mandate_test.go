package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	required = ledger.ReasonMandateRequired
	tooMuch  = ledger.ReasonMandateLimit
)

// What a mandate lets through in all is never more than there may be of money, though nothing is said of a total: no sum of what is
// used overflows. That is the total's doing, and no other limit's.
func TestTheTotalHasABound(t *testing.T) {
	t.Parallel()
	days := []day{
		on("2026-03-01", openMandated(), topUpRequest(ledger.MaxAmount), grantRequest(ledger.Terms{}), chargeRequest(1, ledger.MaxAmount-10, "")),
		on("2026-03-01", refundRequest(3, ledger.MaxAmount-10), chargeRequest(1, 11, ""), chargeRequest(1, 10, ""), chargeRequest(1, 1, "")),
		on("2026-04-02", chargeRequest(1, ledger.MaxAmount, ""), topUpRequest(1), chargeRequest(1, 1, "")),
	}
	operations := historyOver(days...)
	checkReasons(t, operations, accepted, tooMuch, accepted, tooMuch, tooMuch, accepted, tooMuch)
	for at, left := range map[int]int64{5: 10, 7: 0, 8: 0, 10: 0} {
		if o := operations[at]; o.MandateLimit != ledger.LimitTotal || o.LeftAfter != left {
			t.Errorf("%d: %q lets %d through, want %d", at, o.MandateLimit, o.LeftAfter, left)
		}
	}
	if m := theMandate(days...); m.Used != ledger.MaxAmount || m.UsedMonth != ledger.MaxAmount || m.UsedDay != ledger.MaxAmount {
		t.Errorf("%+v", m)
	}
}

// Each limit lets through what is left of it, to the unit, and says how much that is where it does not.
func TestEachLimitAtItsEdge(t *testing.T) {
	t.Parallel()
	used := []day{
		on("2026-02-10", openMandated(), topUpRequest(1000), grantRequest(ledger.Terms{}), chargeRequest(1, 3, "")),
		on("2026-03-09", chargeRequest(1, 20, "")), on("2026-03-10", holdRequest(100, "")),
	} // of all 123, of the month 120, of the day 100
	for _, c := range []struct {
		limit ledger.Limit
		terms ledger.Terms
		at    string
		left  int64
	}{
		{ledger.LimitAmount, ledger.Terms{MaxAmount: 50}, "2026-03-10", 50},
		{ledger.LimitAmount, ledger.Terms{MaxAmount: 50}, "2026-04-11", 50},
		{ledger.LimitPerDay, ledger.Terms{PerDay: 150}, "2026-03-10", 50},
		{ledger.LimitPerDay, ledger.Terms{PerDay: 150}, "2026-03-11", 150},
		{ledger.LimitPerDay, ledger.Terms{PerDay: 100}, "2026-03-10", 0},
		{ledger.LimitPerDay, ledger.Terms{PerDay: 40}, "2026-03-10", 0}, // which was less than is used
		{ledger.LimitPerMonth, ledger.Terms{PerMonth: 150}, "2026-03-10", 30},
		{ledger.LimitPerMonth, ledger.Terms{PerMonth: 150}, "2026-03-31", 30},
		{ledger.LimitPerMonth, ledger.Terms{PerMonth: 150}, "2026-04-01", 150},
		{ledger.LimitPerMonth, ledger.Terms{PerMonth: 120}, "2026-03-11", 0},
		{ledger.LimitPerMonth, ledger.Terms{PerMonth: 1}, "2026-03-11", 0},
		{ledger.LimitTotal, ledger.Terms{Total: 150}, "2026-03-10", 27},
		{ledger.LimitTotal, ledger.Terms{Total: 150}, "2031-04-01", 27},
		{ledger.LimitTotal, ledger.Terms{Total: 123}, "2026-04-01", 0},
		{ledger.LimitTotal, ledger.Terms{Total: 5}, "2026-04-01", 0},
	} {
		for _, ask := range []func(int64) ledger.Request{
			func(amount int64) ledger.Request { return chargeRequest(1, amount, "") },
			func(amount int64) ledger.Request { return holdRequest(amount, "") },
		} {
			days := append(slices.Clone(used), on(c.at, grantRequest(c.terms), ask(c.left+1), ask(max(1, c.left)), ask(1)))
			name := fmt.Sprintf("%s of %+v on %s by a %s", c.limit, c.terms, c.at, ask(1).Kind)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				operations := historyOver(days...)
				want := []ledger.Reason{tooMuch, accepted, tooMuch}
				lefts := []int64{c.left, 0, 0}
				if c.left == 0 {
					want[1] = tooMuch
				}
				if c.limit == ledger.LimitAmount {
					want[2] = accepted
				}
				checkReasons(t, operations, want...)
				for i, o := range operations[len(operations)-3:] {
					limit := c.limit
					if want[i] == accepted {
						limit = ""
					}
					if o.MandateLimit != limit || o.LeftAfter != lefts[i] || o.Reason != accepted && o.MandateDay != 0 {
						t.Errorf("%d: %q lets %d through, want %q and %d", i, o.MandateLimit, o.LeftAfter, limit, lefts[i])
					}
				}
			})
		}
	}
}

// Of the limits that a request exceeds the narrowest is named, though another may let less through.
func TestPrecedenceOfLimits(t *testing.T) {
	t.Parallel()
	all := ledger.Terms{MaxAmount: 9, PerDay: 8, PerMonth: 7, Total: 6}
	for i, limit := range ledger.Limits() {
		terms := all
		for _, wider := range []*int64{&terms.MaxAmount, &terms.PerDay, &terms.PerMonth}[:i] {
			*wider = 0
		}
		for range 2 { // whether the narrower ones are not there or let it through
			operations := historyOver(on("2026-03-01", underMandate(terms, chargeRequest(1, 10, ""))...))
			o := operations[len(operations)-1]
			if o.Reason != tooMuch || o.MandateLimit != limit || o.LeftAfter != int64(9-i) {
				t.Errorf("%+v: %q, %q lets %d through, want %q", terms, o.Reason, o.MandateLimit, o.LeftAfter, limit)
			}
			for _, wider := range []*int64{&terms.MaxAmount, &terms.PerDay, &terms.PerMonth}[:i] {
				*wider = 10
			}
		}
	}
}

// Days and months are the calendar's, in UTC, of the time of the decision in microseconds.
func TestCalendarOfMandates(t *testing.T) {
	t.Parallel()
	const another, ofDay, ofMonth = "another month", "the same day", "the same month"
	for _, c := range []struct{ first, then, want string }{
		{"2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999999Z", ofDay},
		{"2026-03-01T23:59:59.999999999Z", "2026-03-02T00:00:00Z", ofMonth},
		{"2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00Z", another},
		{"2026-02-28T12:00:00Z", "2026-03-01T12:00:00Z", another},
		{"2028-02-28T12:00:00Z", "2028-02-29T12:00:00Z", ofMonth},
		{"2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z", another},
		{"2100-02-28T12:00:00Z", "2100-03-01T12:00:00Z", another},
		{"2000-02-29T12:00:00Z", "2000-02-29T13:00:00Z", ofDay},
		{"2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", another},
		{"2026-03-15T12:00:00Z", "2027-03-15T12:00:00Z", another}, // the same one of another year
		{"2026-03-31T12:00:00Z", "2026-04-30T12:00:00Z", another},
		{"2026-03-01T01:00:00+02:00", "2026-03-01T02:00:00+02:00", another}, // before and after midnight
		{"2026-03-02T01:00:00+02:00", "2026-03-01T12:00:00-11:00", ofDay},
		{"2026-02-28T19:00:00-05:00", "2026-03-31T23:59:59Z", ofMonth},
	} {
		at := func(s string) time.Time {
			at, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		operations := historyOver(
			day{at(c.first), underMandate(ledger.Terms{PerDay: 10, PerMonth: 15}, chargeRequest(1, 10, ""))},
			day{at(c.then), []ledger.Request{chargeRequest(1, 10, "")}},
		)
		o := operations[len(operations)-1]
		got := map[ledger.Limit]string{"": another, ledger.LimitPerDay: ofDay, ledger.LimitPerMonth: ofMonth}[o.MandateLimit]
		if got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.first, c.then, got, c.want)
		}
	}
}

// A mandate as it stands on each day that may come, and what is used of it on the day before.
func TestAMandateOnEachDay(t *testing.T) {
	t.Parallel()
	at := time.Date(1970, 1, 2, 23, 59, 59, 0, time.UTC)
	for day := int32(1); at.Year() < 2410; day++ {
		m := ledger.Mandate{Wallet: auditWallet, Given: true, Day: day, UsedDay: 1, UsedMonth: 2, Used: 3}
		if got := m.On(at); got != m {
			t.Fatalf("%v on its day: %+v", at, got)
		}
		if got := m.On(at.AddDate(0, 0, -1)); got != m {
			t.Fatalf("%v on the day before: %+v", at, got)
		}
		next := at.AddDate(0, 0, 1)
		want := m
		want.Day, want.UsedDay = day+1, 0
		if next.Month() != at.Month() {
			want.UsedMonth = 0
		}
		if got := m.On(next); got != want {
			t.Fatalf("%v on the day after: %+v", at, got)
		}
		at = next
	}
}

// Where the clock goes back, the later day and month count on: nobody gets a day twice.
func TestAPeriodNeverGoesBack(t *testing.T) {
	t.Parallel()
	terms := ledger.Terms{PerDay: 100, PerMonth: 150}
	days := []day{
		on("2026-03-01", underMandate(terms, chargeRequest(1, 60, ""))...), on("2026-02-28", chargeRequest(1, 41, ""), chargeRequest(1, 30, "")),
		on("2026-01-31", holdRequest(10, "")), on("2026-03-02", chargeRequest(1, 51, ""), chargeRequest(1, 50, "")),
	}
	operations := historyOver(days...)
	checkReasons(t, operations, accepted, tooMuch, accepted, accepted, tooMuch, accepted)
	for i, o := range operations[3:] {
		if want := []int32{20_513, 0, 20_513, 20_513, 0, 20_514}[i]; o.MandateDay != want {
			t.Errorf("%d counts for day %d, want %d", i, o.MandateDay, want)
		}
	}
	if o := operations[7]; o.MandateLimit != ledger.LimitPerMonth || o.LeftAfter != 50 {
		t.Errorf("%q lets %d through", o.MandateLimit, o.LeftAfter)
	}
}

// A mandate is over from the very microsecond that it names on: for charges and holds, and for nothing else.
func TestAMandateExpires(t *testing.T) {
	t.Parallel()
	for until, want := range map[time.Duration]ledger.Reason{
		-24 * time.Hour: ledger.ReasonMandateExpired, -time.Nanosecond: ledger.ReasonMandateExpired, 0: ledger.ReasonMandateExpired,
		999 * time.Nanosecond: ledger.ReasonMandateExpired, // the same microsecond
		time.Microsecond:      accepted, time.Hour: accepted,
	} {
		at := time.Date(2026, 3, 1, 12, 0, 0, 5_000, time.FixedZone("", 3600))
		terms := ledger.Terms{PerDay: 1000, ValidUntil: at.Add(until)}
		operations := historyOver(day{at.AddDate(0, 0, -2), underMandate(terms, holdRequest(50, ""))},
			day{at, []ledger.Request{chargeRequest(1, 10, ""), holdRequest(20, ""), takeRequest(ledger.KindCapture, 3, 10, ledger.RestKept), takeRequest(ledger.KindRelease, 3, 0, "")}},
			day{at, []ledger.Request{revokeRequest(), grantRequest(ledger.Terms{}), chargeRequest(1, 1, "")}})
		checkReasons(t, operations, want, want, accepted, accepted, accepted, accepted, accepted)
		if stored := operations[2].Terms.ValidUntil; stored != at.Add(until).UTC().Truncate(time.Microsecond) {
			t.Errorf("%v is stored as %v", at.Add(until), stored)
		}
	}
}

// A wallet gives mandates to so many merchants, ever: what is taken counts, and what is given again counts once.
func TestTheNumberOfMandates(t *testing.T) {
	t.Parallel()
	if ledger.MaxMandates != 1000 {
		t.Errorf("%d mandates", ledger.MaxMandates)
	}
	tooMany := ledger.ReasonTooManyMandates
	operations := mandateCrowd()
	checkReasons(t, operations, tooMany, accepted, accepted, tooMany, accepted, accepted, required, ledger.ReasonMandateNotFound)
	for i, o := range operations[:len(operations)-8] {
		if o.Reason != accepted {
			t.Fatalf("%d: %q", i, o.Reason)
		}
	}
	// In one batch as over several, and each wallet by itself.
	given := map[ledger.WalletID]int{{1}: ledger.MaxMandates - 1, {2}: ledger.MaxMandates, {4}: ledger.MaxMandates - 2}
	known := ledger.Known{Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: auditMerchants(), Given: given}
	for w := byte(1); w <= 4; w++ {
		known.Wallets[ledger.WalletID{w}] = ledger.Wallet{ID: ledger.WalletID{w}, Currency: "EUR", Status: ledger.WalletActive, Charges: ledger.ChargesMandated}
	}
	book := ledger.NewBook(known, worldTime)
	var got []ledger.Reason
	grant := grantRequest(ledger.Terms{})
	for i, c := range []struct {
		wallet byte
		to     int
		what   ledger.Request
	}{
		{1, 0, grant},
		{1, 0, grant},
		{1, 1, grant},
		{2, 0, grant},
		{3, 0, grant},
		{3, 1, grant},
		{4, 0, grant},
		{4, 0, revokeRequest()},
		{4, 0, grant},
		{4, 1, grant},
		{4, 2, grant},
	} {
		r := by(merchantOf(c.to), c.what)
		r.ID, r.Wallet = ledger.OperationID{byte(i)}, ledger.WalletID{c.wallet}
		book.Decide(r, ledger.Place{})
		got = append(got, book.Operations()[i].Reason)
	}
	want := []ledger.Reason{accepted, accepted, tooMany, tooMany, accepted, accepted, accepted, accepted, accepted, accepted, tooMany}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A new grant says what may be from now on, and forgets nothing of what was; a mandate that is taken and given again does not either.
func TestARegrantKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	wide, narrow := ledger.Terms{PerDay: 100, Total: 500}, ledger.Terms{PerDay: 80, Total: 120}
	for name, again := range map[string][]ledger.Request{
		"given again": {grantRequest(narrow)}, "taken and given": {revokeRequest(), grantRequest(narrow)},
		"given twice": {grantRequest(ledger.Terms{}), grantRequest(narrow)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asks := slices.Concat([]ledger.Request{chargeRequest(1, 60, "")}, again, []ledger.Request{chargeRequest(1, 21, ""), chargeRequest(1, 20, "")})
			days := []day{on("2026-03-01", underMandate(wide, asks...)...), on("2026-03-02", chargeRequest(1, 41, ""), chargeRequest(1, 40, ""))}
			operations := historyOver(days...)
			checkReasons(t, operations, tooMuch, accepted, tooMuch, accepted)
			for at, want := range map[int]ledger.Limit{4: ledger.LimitPerDay, 2: ledger.LimitTotal} {
				if o := operations[len(operations)-at]; o.MandateLimit != want || o.LeftAfter != map[int]int64{4: 20, 2: 40}[at] {
					t.Errorf("%q lets %d through, want %q", o.MandateLimit, o.LeftAfter, want)
				}
			}
			want := ledger.Mandate{
				Wallet: auditWallet, Merchant: ledger.MerchantID{1}, Terms: narrow, Given: true, Day: 20_514, UsedDay: 40, UsedMonth: 120, Used: 120,
			}
			if diff := cmp.Diff(want, theMandate(days...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A revoke stops what is new. What was held may be captured, released and expire, and what was taken given back.
func TestARevokeStopsWhatIsNew(t *testing.T) {
	t.Parallel()
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	notFound := ledger.ReasonMandateNotFound
	operations := historyOver(on("2026-03-01", underMandate(ledger.Terms{}, holdRequest(100, "INV-1"), holdRequest(50, ""), chargeRequest(1, 30, ""))...),
		on("2026-03-02", revokeRequest(), chargeRequest(1, 1, ""), holdRequest(1, ""), takeRequest(capture, 3, 40, ledger.RestKept), takeRequest(release, 3, 10, ""),
			takeRequest(capture, 3, 20, ""), takeRequest(expire, 4, 0, ""), refundRequest(5, 0), refundRequest(9, 0), revokeRequest(), chargeRequest(1, 1, "")))
	checkReasons(t, operations, accepted, required, required, accepted, accepted, accepted, accepted, accepted, accepted, notFound, required)
	checkWallet(t, operations, 980, 0)
	never := historyOver(on("2026-03-01", openMandated(), revokeRequest(), by(ledger.MerchantID{9}, revokeRequest())))
	checkReasons(t, never, notFound, notFound) // and of a merchant that is not there: there is nothing else to say
}

// What a hold gives back was not used: on the day and in the month for which the hold counts, and on no other. A refund gives
// nothing back.
func TestWhatAHoldGivesBack(t *testing.T) {
	t.Parallel()
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	held := on("2026-02-27", underMandate(ledger.Terms{}, chargeRequest(1, 7, ""), holdRequest(100, ""))...) // the hold is 4
	kept := takeRequest(capture, 4, 20, ledger.RestKept)
	next, soon, later := on("2026-02-28", chargeRequest(1, 5, "")), on("2026-02-27"), on("2026-03-27", chargeRequest(1, 3, ""))
	for name, c := range map[string]struct {
		days                []day
		ofDay, ofMonth, all int64
	}{
		"nothing":                       {nil, 107, 107, 107},
		"released":                      {[]day{with(soon, takeRequest(release, 4, 0, ""))}, 7, 7, 7},
		"released in part":              {[]day{with(soon, takeRequest(release, 4, 30, ""))}, 77, 77, 77},
		"captured":                      {[]day{with(soon, takeRequest(capture, 4, 0, ""))}, 107, 107, 107},
		"captured, the rest back":       {[]day{with(soon, takeRequest(capture, 4, 20, ""))}, 27, 27, 27},
		"captured, the rest kept":       {[]day{with(soon, kept)}, 107, 107, 107},
		"captured, the rest released":   {[]day{with(soon, kept, takeRequest(release, 4, 0, ""))}, 27, 27, 27},
		"captured twice":                {[]day{with(soon, kept, takeRequest(capture, 4, 30, ""))}, 57, 57, 57},
		"expired":                       {[]day{with(soon, takeRequest(expire, 4, 0, ""))}, 7, 7, 7},
		"captured, then expired":        {[]day{with(soon, kept, takeRequest(expire, 4, 0, ""))}, 27, 27, 27},
		"captured and refunded":         {[]day{with(soon, kept, refundRequest(5, 0))}, 107, 107, 107},
		"the charge refunded":           {[]day{with(soon, refundRequest(3, 0))}, 107, 107, 107},
		"of too much":                   {[]day{with(soon, takeRequest(release, 4, 101, ""))}, 107, 107, 107},
		"on the next day":               {[]day{with(next, takeRequest(release, 4, 40, ""))}, 5, 72, 72},
		"on the next day, of none yet":  {[]day{with(on("2026-02-28"), takeRequest(release, 4, 40, ""))}, 67, 67, 67},
		"the rest on the next day":      {[]day{with(next, takeRequest(capture, 4, 20, ""))}, 5, 32, 32},
		"in the next month":             {[]day{with(later, takeRequest(release, 4, 40, ""))}, 3, 3, 70},
		"the rest in the next month":    {[]day{with(later, takeRequest(capture, 4, 20, ""))}, 3, 3, 30},
		"expired in the next month":     {[]day{with(later, takeRequest(expire, 4, 0, ""))}, 3, 3, 10},
		"on an earlier day":             {[]day{next, with(on("2026-02-26"), takeRequest(release, 4, 40, ""))}, 5, 72, 72},
		"of a hold that counts forward": {[]day{next, with(on("2026-02-26"), holdRequest(50, "")), with(on("2026-02-25"), takeRequest(release, 6, 0, ""))}, 5, 112, 112},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			days := append([]day{held}, c.days...)
			m := theMandate(days...)
			if m.UsedDay != c.ofDay || m.UsedMonth != c.ofMonth || m.Used != c.all {
				t.Errorf("%d, %d and %d are used, want %d, %d and %d", m.UsedDay, m.UsedMonth, m.Used, c.ofDay, c.ofMonth, c.all)
			}
			if flaws, _ := audited(historyOver(days...)); len(flaws) > 0 {
				t.Error(flaws)
			}
		})
	}
	// What was given back may be used again, at once.
	operations := historyOver(on("2026-03-01", underMandate(ledger.Terms{PerDay: 100, Total: 100}, holdRequest(100, ""), chargeRequest(1, 1, ""),
		takeRequest(ledger.KindCapture, 3, 40, ""), chargeRequest(1, 61, ""), chargeRequest(1, 60, ""), chargeRequest(1, 1, ""))...))
	checkReasons(t, operations, accepted, tooMuch, accepted, tooMuch, accepted, tooMuch)
}

// Who has no mandate learns nothing of a wallet, whatever it is like, not even that it is there: what is decided is the same for a
// wallet that is not, but for what stands in the wallet's own history, which it is not shown.
func TestWhoHasNoMandateLearnsNothing(t *testing.T) {
	t.Parallel()
	seen := func(w world) ledger.Operation {
		o := w.decide()
		o.Sequence, o.BalanceAfter, o.HeldAfter, o.LimitAfter, o.StatusAfter, o.Digest = 0, 0, 0, 0, "", ledger.Digest{}
		return o
	}
	n := 0
	for _, w := range worlds() {
		switch {
		case pays(w.kind) && (strings.HasPrefix(w.mandate, "none") || strings.HasPrefix(w.mandate, "revoked")):
		case w.kind == ledger.KindRefund, ofHold(w.kind):
			if w.referred != "none" && w.referred != "failed" {
				continue // it has money of the wallet
			}
		default:
			continue
		}
		n++
		nowhere := world{kind: w.kind, late: w.late, merchant: w.merchant, other: w.other, amount: w.amount, referred: w.referred, kept: w.kept, missing: true}
		if there, not := seen(w), seen(nowhere); there != not {
			t.Fatalf("%+v (-no wallet +this one):\n%s", w, cmp.Diff(not, there))
		}
	}
	if n < 1000 {
		t.Errorf("%d worlds", n)
	}
}

// A mandate is of one merchant and one wallet.
func TestAMandateIsOfTwo(t *testing.T) {
	t.Parallel()
	a, b := merchantOf(1), merchantOf(2)
	operations := historyOver(on("2026-03-01", openMandated(), topUpRequest(100), by(a, grantRequest(ledger.Terms{Total: 10})), by(a, chargeRequest(1, 10, "")),
		by(b, chargeRequest(1, 1, "")), by(b, grantRequest(ledger.Terms{Total: 20})), by(b, chargeRequest(1, 20, "")), by(a, revokeRequest()),
		by(a, chargeRequest(1, 1, "")), by(b, grantRequest(ledger.Terms{})), by(b, chargeRequest(1, 1, ""))))
	checkReasons(t, operations, accepted, accepted, required, accepted, accepted, accepted, required, accepted, accepted)

	known := ledger.Known{
		Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: auditMerchants(),
		Mandates: map[ledger.WalletMerchant]ledger.Mandate{{Wallet: ledger.WalletID{1}, Merchant: a}: {Wallet: ledger.WalletID{1}, Merchant: a, Given: true}},
	}
	for i := byte(1); i <= 2; i++ {
		known.Wallets[ledger.WalletID{i}] = ledger.Wallet{ID: ledger.WalletID{i}, Currency: "EUR", Status: ledger.WalletActive, Balance: 9, Charges: ledger.ChargesMandated}
	}
	book := ledger.NewBook(known, worldTime)
	for i := byte(1); i <= 2; i++ {
		r := by(a, chargeRequest(1, 1, ""))
		r.ID, r.Wallet = ledger.OperationID{i}, ledger.WalletID{i}
		book.Decide(r, ledger.Place{Log: 1, Offset: int64(i)})
	}
	if o := book.Operations(); o[0].Reason != accepted || o[1].Reason != required {
		t.Errorf("%q and %q", o[0].Reason, o[1].Reason)
	}
}

// Where anyone may charge, mandates are nothing: none is asked for, none limits, and nothing is used.
func TestAnyoneMayCharge(t *testing.T) {
	t.Parallel()
	operations := historyOver(on("2026-03-01", openRequest(), topUpRequest(100), chargeRequest(1, 10, ""), holdRequest(10, ""), grantRequest(ledger.Terms{Total: 1}),
		chargeRequest(1, 10, ""), revokeRequest(), takeRequest(ledger.KindCapture, 3, 5, "")))
	checkReasons(t, operations, accepted, accepted, ledger.ReasonWalletNotMandated, accepted, ledger.ReasonMandateNotFound, accepted)
	for _, o := range operations {
		if o.MandateDay != 0 || o.MandateLimit != "" {
			t.Errorf("%+v", o)
		}
	}
	for _, state := range []string{"revoked", "given, expired, spent"} { // though one should be on record
		w := world{mandate: state}.withDefaults()
		known := w.known()
		wallet := known.Wallets[worldWallet]
		wallet.Charges = ""
		known.Wallets[worldWallet] = wallet
		book := ledger.NewBook(known, worldTime)
		r := by(worldMerchant, chargeRequest(1, 400, ""))
		r.ID, r.Wallet = ledger.OperationID{1}, worldWallet
		book.Decide(r, ledger.Place{Log: 1})
		if o := book.Operations()[0]; o.Reason != accepted || o.MandateDay != 0 || len(book.Mandates()) > 0 {
			t.Errorf("%s: %q, %v", state, o.Reason, book.Mandates())
		}
	}
}
