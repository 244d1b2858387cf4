package postgres_test

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// TestAnInvoiceIsOfItsFirstCapture: what comes behind a hold of which a part was captured names the capture, in
// the same batch and in the next one, while the rest is held and when nothing is any more.
func TestAnInvoiceIsOfItsFirstCapture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop := w.wallet(1), w.merchant(ledger.ClientID{})
	hold := w.holdOf(wallet, shop, 100, "INV-1")
	first, second := w.of(hold, ledger.KindCapture, 30, ledger.RestKept), w.of(hold, ledger.KindCapture, 20, ledger.RestKept)
	before, between, behind, after := w.charge(wallet, shop, 1, "INV-1"), w.charge(wallet, shop, 2, "INV-1"), w.charge(wallet, shop, 3, "INV-1"),
		w.holdOf(wallet, shop, 1, "INV-1")
	w.settle(1, request(w.topUp(wallet, 1000)), request(hold))
	w.settle(1, request(before), request(first), request(between))
	w.settle(1, request(behind), request(second))
	w.settle(1, request(w.of(hold, ledger.KindRelease, 0, "")), request(after))
	for name, c := range map[string]struct{ of, want *ledger.Request }{
		"before the capture": {before, hold}, "behind it": {between, first}, "in the next batch": {behind, first}, "after the hold's end": {after, first},
	} {
		got := w.decided(c.of)
		if got.Reason != ledger.ReasonDuplicateInvoice || got.DuplicateOf != c.want.ID {
			t.Errorf("%s: %q of %s, want of %s", name, got.Reason, got.DuplicateOf, c.want.ID)
		}
	}
	w.verified()
}

// TestHoldsOfOneInvoiceAreVerifiedInProportion: a merchant may hold for an invoice and release it any number of times.
func TestHoldsOfOneInvoiceAreVerifiedInProportion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop := w.wallet(1), w.merchant(ledger.ClientID{})
	w.settle(1, request(w.topUp(wallet, 1000)))
	conn, err := w.store.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	const cycles = 100
	cost := func() int {
		var items []processor.Item
		for range cycles {
			hold := w.holdOf(wallet, shop, 100, "INV-1")
			items = append(items, request(hold), request(w.of(hold, ledger.KindRelease, 0, "")))
		}
		w.settle(1, items...)
		last := [16]byte(bytes.Repeat([]byte{0xff}, 16))
		return (&large{world: w}).buffers(conn.Conn(), postgres.VerifyOperationsSQL, []any{1, [16]byte{}, 0, last, 10_000, pgtype.Timestamptz{}})
	}
	first := cost()
	for range 2 {
		cost()
	}
	if fourth := cost(); fourth > 6*first {
		t.Errorf("%d holds read %d buffers, and %d of them %d", cycles, first, 4*cycles, fourth)
	}
	w.verified()
}
