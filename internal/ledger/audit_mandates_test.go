package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
)

// mandates is a history of all that becomes of a mandate.
func mandates() []ledger.Operation {
	const capture, release = ledger.KindCapture, ledger.KindRelease
	dollars := grantRequest(ledger.Terms{})
	dollars.Currency = "USD"
	return historyOver(
		on("2026-02-28", openMandated(), topUpRequest(1000), chargeRequest(1, 1, ""), grantRequest(ledger.Terms{PerDay: 100, PerMonth: 150}), // 3
			chargeRequest(1, 60, ""), chargeRequest(1, 41, ""), holdRequest(40, "INV-1"), chargeRequest(1, 1, "")), // 7
		on("2026-03-01", chargeRequest(1, 100, ""), takeRequest(release, 6, 10, ""), chargeRequest(1, 1, "")), // 10
		on("2026-03-02", takeRequest(capture, 6, 20, ledger.RestKept), chargeRequest(1, 51, ""), chargeRequest(1, 50, ""), revokeRequest(), chargeRequest(1, 1, ""), // 15
			holdRequest(1, ""), takeRequest(capture, 6, 5, ""), revokeRequest(), grantRequest(ledger.Terms{MaxAmount: 10, ValidUntil: auditTime.AddDate(0, 0, 4)}),
			chargeRequest(1, 11, ""), chargeRequest(1, 10, "")), // 21
		on("2026-03-05", chargeRequest(1, 1, ""), by(ledger.MerchantID{9}, grantRequest(ledger.Terms{})), dollars, grantRequest(ledger.Terms{Total: 200}), // 25
			chargeRequest(1, 1, ""), refundRequest(4, 0), chargeRequest(1, 1, ""), grantRequest(ledger.Terms{Total: 246}), chargeRequest(1, 1, "")), // 30
	)
}

// notMandated is a history of a wallet that anyone may charge, with a grant.
func notMandated() []ledger.Operation { return history(openRequest(), grantRequest(ledger.Terms{})) }

// resealed seals the operation anew, and all after it, as a forger who has the whole history in hand would.
func resealed(operations []ledger.Operation, at int) {
	for i := at; i < len(operations); i++ {
		sealed(operations, i)
	}
}

func TestAuditFollowsMandates(t *testing.T) {
	t.Parallel()
	type outcome struct {
		reason ledger.Reason
		day    int32
		limit  ledger.Limit
		left   int64
	}
	const feb, mar = 20_512, 20_513
	failed := func(r ledger.Reason) outcome { return outcome{reason: r} }
	want := []outcome{
		{},
		{},
		failed(required),
		{},
		{day: feb},
		{tooMuch, 0, ledger.LimitPerDay, 40},
		{day: feb},
		{tooMuch, 0, ledger.LimitPerDay, 0},
		{day: mar},
		{left: 30},
		{tooMuch, 0, ledger.LimitPerDay, 0},
		{left: 10},
		{tooMuch, 0, ledger.LimitPerMonth, 50},
		{day: mar + 1},
		{},
		failed(required),
		failed(required),
		{}, // of the hold's 40 that counted for February it gives 5 back
		failed(ledger.ReasonMandateNotFound),
		{},
		{tooMuch, 0, ledger.LimitAmount, 10},
		{day: mar + 1},
		failed(ledger.ReasonMandateExpired),
		failed(ledger.ReasonMerchantNotFound),
		failed(ledger.ReasonCurrencyMismatch),
		{},
		{tooMuch, 0, ledger.LimitTotal, 0},
		{},
		{tooMuch, 0, ledger.LimitTotal, 0}, // a refund gives nothing back
		{},
		{day: mar + 4},
	}
	operations := mandates()
	for i, o := range operations {
		if got := (outcome{o.Reason, o.MandateDay, o.MandateLimit, o.LeftAfter}); got != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got, want[i])
		}
	}
	flaws, audit := audited(operations)
	if len(flaws) > 0 {
		t.Error(flaws)
	}
	if w, _ := audit.Wallet(); w.Charges != ledger.ChargesMandated {
		t.Errorf("%+v", w)
	}
}

// Whatever a forger changes of a mandate, and seals again to the end, something does not follow from what was decided.
func TestAuditFindsForgedMandates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at, found int
		change    func(*ledger.Operation)
	}{
		"another day":              {4, 4, func(o *ledger.Operation) { o.MandateDay++ }},
		"no day":                   {4, 4, func(o *ledger.Operation) { o.MandateDay = 0 }},
		"another day of a hold":    {6, 6, func(o *ledger.Operation) { o.MandateDay = 1 }},
		"a day back":               {13, 13, func(o *ledger.Operation) { o.MandateDay-- }},
		"a day of a capture":       {11, 11, func(o *ledger.Operation) { o.MandateDay = 20_514 }},
		"a day of what failed":     {5, 5, func(o *ledger.Operation) { o.MandateDay = 20_512 }},
		"another limit":            {5, 5, func(o *ledger.Operation) { o.MandateLimit = ledger.LimitPerMonth }},
		"no limit":                 {5, 5, func(o *ledger.Operation) { o.MandateLimit = "" }},
		"a limit of what passed":   {4, 4, func(o *ledger.Operation) { o.MandateLimit = ledger.LimitTotal }},
		"more left":                {5, 5, func(o *ledger.Operation) { o.LeftAfter++ }},
		"left of a charge":         {4, 4, func(o *ledger.Operation) { o.LeftAfter = 40 }},
		"beyond the limit":         {7, 7, func(o *ledger.Operation) { o.Reason, o.MandateLimit = "", "" }},
		"without a mandate":        {2, 2, func(o *ledger.Operation) { o.Reason = "" }},
		"refused with a mandate":   {4, 4, func(o *ledger.Operation) { o.Reason = required }},
		"after the end":            {22, 22, func(o *ledger.Operation) { o.Reason = "" }},
		"expired before its end":   {21, 21, func(o *ledger.Operation) { o.Reason = ledger.ReasonMandateExpired }},
		"revoked, and it was not":  {18, 18, func(o *ledger.Operation) { o.Reason = "" }},
		"not revoked":              {14, 14, func(o *ledger.Operation) { o.Reason = ledger.ReasonMandateNotFound }},
		"max_amount":               {19, 20, func(o *ledger.Operation) { o.Terms.MaxAmount = 11 }},
		"a max_amount where none":  {3, 4, func(o *ledger.Operation) { o.Terms.MaxAmount = 59 }},
		"per_day":                  {3, 5, func(o *ledger.Operation) { o.Terms.PerDay = 101 }},
		"no per_day":               {3, 5, func(o *ledger.Operation) { o.Terms.PerDay = 0 }},
		"per_month":                {3, 12, func(o *ledger.Operation) { o.Terms.PerMonth++ }},
		"total":                    {25, 26, func(o *ledger.Operation) { o.Terms.Total = 300 }},
		"a total where there none": {3, 6, func(o *ledger.Operation) { o.Terms.Total = 60 }},
		"valid_until":              {19, 22, func(o *ledger.Operation) { o.Terms.ValidUntil = o.Terms.ValidUntil.Add(time.Microsecond) }},
		"an end where none":        {3, 4, func(o *ledger.Operation) { o.Terms.ValidUntil = o.DecidedAt }},
		"to another merchant":      {3, 4, func(o *ledger.Operation) { o.Merchant = merchantOf(1) }},
		"anyone may charge":        {0, 2, func(o *ledger.Operation) { o.Charges = "" }},
	} {
		operations := mandates()
		c.change(&operations[c.at])
		resealed(operations, c.at)
		if flaws, _ := audited(operations); !slices.Contains(flaws, fmt.Sprintf("%d outcome", c.found)) {
			t.Errorf("%s: %v", name, flaws)
		}
	}
	for name, change := range map[string]func(*ledger.Operation){
		"max_amount": func(o *ledger.Operation) { o.Terms.MaxAmount = 1 }, "per_day": func(o *ledger.Operation) { o.Terms.PerDay++ },
		"per_month": func(o *ledger.Operation) { o.Terms.PerMonth = 0 }, "total": func(o *ledger.Operation) { o.Terms.Total = 1 },
		"valid_until": func(o *ledger.Operation) { o.Terms.ValidUntil = auditTime }, "charges": func(o *ledger.Operation) { o.Charges = ledger.ChargesMandated },
	} {
		operations := mandates()
		change(&operations[3])
		if flaws, _ := audited(operations); !slices.Contains(flaws, "3 fingerprint") || !slices.Contains(flaws, "3 digest") {
			t.Errorf("another %s that is not sealed again: %v", name, flaws)
		}
	}
}

// drawDays is what is asked of a wallet on some days, mostly of one that is charged under mandates.
func drawDays(t *rapid.T) []day {
	const capture, release, expire = ledger.KindCapture, ledger.KindRelease, ledger.KindExpire
	open := openRequest()
	open.Charges = rapid.SampledFrom([]ledger.Charges{"", ledger.ChargesMandated, ledger.ChargesMandated, ledger.ChargesMandated}).Draw(t, "charges")
	at, n, holds := rapid.SampledFrom(begins).Draw(t, "begin"), 3, []int{2}
	days := []day{{at, []ledger.Request{open, topUpRequest(2000), grantRequest(ledger.Terms{})}}}
	for range rapid.IntRange(1, 6).Draw(t, "days") {
		at = at.Add(rapid.SampledFrom(clockSteps).Draw(t, "later"))
		d := day{at: at}
		for range rapid.IntRange(0, 12).Draw(t, "requests") {
			amount, to := rapid.SampledFrom([]int64{1, 50, 100, 250}).Draw(t, "amount"), byte(rapid.IntRange(0, n).Draw(t, "refers to"))
			if rapid.IntRange(0, 4).Draw(t, "a hold") > 0 {
				to = byte(rapid.SampledFrom(holds).Draw(t, "hold"))
			}
			merchant := ledger.MerchantID{rapid.SampledFrom([]byte{1, 1, 1, 1, 3}).Draw(t, "merchant")}
			var r ledger.Request
			switch rapid.IntRange(0, 11).Draw(t, "kind") {
			case 0:
				r = topUpRequest(amount)
			case 1:
				r = by(merchant, revokeRequest())
			case 2, 3:
				r = by(merchant, grantRequest(drawTerms(t, at)))
			case 4, 5:
				r, holds = holdRequest(amount, ""), append(holds, n)
			case 6:
				r = takeRequest(capture, to, amount/4, rapid.SampledFrom([]ledger.Rest{"", ledger.RestKept}).Draw(t, "rest"))
			case 7:
				r = takeRequest(release, to, amount/4, "")
			case 8:
				r = takeRequest(expire, to, 0, "")
			case 9:
				r = refundRequest(to, amount/4)
			default:
				r = by(merchant, chargeRequest(1, amount, ""))
			}
			d.requests = append(d.requests, r)
			n++
		}
		days = append(days, d)
	}
	return days
}

// Whatever is decided under mandates, over days, the audit agrees with; and of what a mandate comes to, nothing can be forged, though
// all that follows is sealed again.
func TestAuditAgreesOnMandates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		operations := historyOver(drawDays(t)...)
		if flaws, _ := audited(operations); len(flaws) > 0 {
			t.Fatal(flaws)
		}
		at := rapid.IntRange(0, len(operations)-1).Draw(t, "which")
		for name, change := range map[string]func(*ledger.Operation){
			"day": func(o *ledger.Operation) { o.MandateDay++ }, "limit": func(o *ledger.Operation) { o.MandateLimit += "x" },
			"number left": func(o *ledger.Operation) { o.LeftAfter++ },
		} {
			forged := slices.Clone(operations)
			change(&forged[at])
			resealed(forged, at)
			if flaws, _ := audited(forged); len(flaws) == 0 {
				t.Fatalf("another %s is not found", name)
			}
		}
		for name, change := range map[string]func(*ledger.Operation){
			"max_amount": func(o *ledger.Operation) { o.Terms.MaxAmount++ }, "per_day": func(o *ledger.Operation) { o.Terms.PerDay++ },
			"per_month": func(o *ledger.Operation) { o.Terms.PerMonth++ }, "total": func(o *ledger.Operation) { o.Terms.Total++ },
			"end": func(o *ledger.Operation) { o.Terms.ValidUntil = o.DecidedAt.AddDate(5, 0, 0) }, "charges": func(o *ledger.Operation) { o.Charges += "x" },
		} {
			forged := slices.Clone(operations)
			change(&forged[at])
			if flaws, _ := audited(forged); !slices.Contains(flaws, fmt.Sprintf("%d fingerprint", at)) {
				t.Fatalf("another %s is not found: %v", name, flaws)
			}
		}
	})
}
