package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// TestCapturesThatArePassedOverAreNamed: whoever moves a progress past captures reads which ones they are, before and
// after it is done, and what is captured again under another key is accepted.
func TestCapturesThatArePassedOverAreNamed(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	h := &heldWallet{pair: p, wallet: p.wallets[0].String()}
	settler := p.processor()
	whole, part, newer := h.hold("whole"), h.hold("part"), h.hold("newer")
	settler.kill()

	tried := h.capture(p.shop.till, whole, map[string]any{"hold": whole})
	tried4 := h.capture(p.shop.till, part, map[string]any{"hold": part, "amount": 4, "currency": "EUR", "final": false})
	hold, err := ledger.ParseOperationID(newer)
	p.must(err)
	unread := ledger.Request{
		Kind: ledger.KindCapture, Wallet: p.wallets[0], Merchant: p.merchant, Refers: hold, IdempotencyKey: "newer",
		ReceivedAt: time.Now(), Asker: ledger.Asker{Party: ledger.AsMerchant(p.merchant)},
	}
	unread.ID = p.minter.OperationID(unread.Identity())
	ofNewer := p.record(unread)
	ofNewer.Value = inVersion(ofNewer.Value, record.Version+1)
	p.produce(0, ofNewer, p.record(p.charge(p.wallets[0], "no capture")))

	says := func(fail, out string) {
		t.Helper()
		named := fmt.Sprintf("3 of these operations are captures that %s; until its hold ends, each can be captured again, "+
			"under another idempotency key (amounts in minor units):\n", fail)
		for _, x := range [][3]string{{tried, whole, "all that is left"}, {tried4, part, "4 EUR"}, {unread.ID.String(), "not readable", "not readable"}} {
			named += fmt.Sprintf("  capture %s, wallet %s, hold %s, merchant %s, amount %s\n", x[0], h.wallet, x[1], p.merchant, x[2])
		}
		if !strings.Contains(out+"\n", "4 failed operations, 0 dead letters, 0 had their outcome before\n"+named) {
			t.Errorf("does not say\n%sbut\n%s", named, out)
		}
	}
	args := []string{"partitions", "set-progress", "--partition", "0", "--offset", "end", "--reason", "a test"}
	out, err := built.run(t, p.env, "monedero", args...)
	if err == nil || !strings.Contains(err.Error(), "--yes goes on") {
		t.Errorf("without a terminal and a yes: %v", err)
	}
	says("would fail", out)
	says("failed", p.monedero(append(args, "--yes")...))

	p.processor()
	again := h.capture(p.shop.till, "again", map[string]any{"hold": part, "amount": 4, "currency": "EUR", "final": false})
	for id, want := range map[string]string{tried4: string(ledger.ReasonProcessingError), again: ""} {
		if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Failure.Reason != want {
			t.Errorf("%s is %s %s, %v; want %q", id, o.Status, o.Failure.Reason, err, want)
		}
	}
	p.monedero("verify")
}
