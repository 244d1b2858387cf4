package demo

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// paperWorld is a world that nobody founded: enough to plan on.
func paperWorld() *world {
	next := byte(0)
	some := func(n int) (pool []*wallet) {
		for range n {
			next++
			pool = append(pool, &wallet{id: ledger.WalletID{15: next}.String(), client: fmt.Sprint("client ", next), currency: euro})
		}
		return pool
	}
	return &world{
		merchants:   []*merchant{{name: "one", key: "key one"}, {name: "two", key: "key two"}},
		ownMerchant: &merchant{name: "own", key: "key own"},
		own:         some(1)[0],
		rich:        some(40), poor: some(3), frozen: some(2), closed: some(1), counted: some(4), mandated: some(5),
		clientKey: "client's key", operator: "operator's key",
	}
}

func TestPlanIsExactAndCoversEveryOutcome(t *testing.T) {
	t.Parallel()
	for _, charges := range []int{MinCharges, MinCharges + 1, 777, 5000} {
		p := newPlan(paperWorld(), 1, 7, charges, time.Now())
		if got := p.counts()[ledger.KindCharge]; got != charges {
			t.Errorf("planned %d charges, want %d", got, charges)
		}
		seen := map[string]bool{}
		for _, st := range p.stories {
			for _, s := range st.steps {
				seen[s.label()] = true
			}
		}
		for _, label := range []string{
			"charge accepted", "charge expired", "charge mandate_required", "charge self_charge_not_allowed", "charge wallet_closed",
			"charge wallet_frozen", "charge currency_mismatch", "charge duplicate_invoice", "charge insufficient_funds",
			"refund accepted", "refund refund_exceeds_charge", "refund charge_not_accepted", "refund charge_not_found", "refund currency_mismatch",
			"top_up accepted", "withdraw accepted", "withdraw insufficient_funds",
			"hold accepted", "hold insufficient_funds", "hold wallet_frozen", "hold duplicate_invoice",
			"capture accepted", "capture hold_closed", "capture exceeds_hold", "capture hold_not_found", "capture hold_not_accepted", "capture currency_mismatch",
			"charge mandate_limit_exceeded", "hold mandate_limit_exceeded", "hold mandate_required",
			"grant accepted", "grant wallet_not_mandated", "revoke accepted", "revoke mandate_not_found",
			"release accepted", "release hold_closed", "release exceeds_hold", rowReplay, rowReused, rowRefused,
		} {
			if !seen[label] {
				t.Errorf("a day of %d charges has none that ends as %q", charges, label)
			}
		}
	}
}

func TestPlanPaysInMoreThanItTakes(t *testing.T) {
	t.Parallel()
	w := paperWorld()
	p := newPlan(w, 1, 7, 5000, time.Now())
	paid := map[string]int64{}
	for _, up := range p.topUps {
		paid[up.wallet.id] += up.amount
	}
	for id, amount := range p.needs() {
		counted := slices.ContainsFunc(w.counted, func(w *wallet) bool { return w.id == id })
		if paid[id] < amount || counted != (paid[id] == amount) {
			t.Errorf("wallet %s: %d paid in, %d needed", id, paid[id], amount)
		}
	}
	for _, poor := range append(w.poor, w.closed...) {
		if paid[poor.id] != 0 {
			t.Errorf("wallet %s, which is to have nothing, gets %d", poor.id, paid[poor.id])
		}
	}
}

func TestDaysShareNoKeysAndNoInvoices(t *testing.T) {
	t.Parallel()
	type identity struct {
		kind                                 ledger.Kind
		key, wallet, idempotencyKey, invoice string
	}
	seen := map[identity]int{}
	invoices := map[string]int{}
	w := paperWorld()
	for day := 1; day <= 3; day++ {
		for _, st := range newPlan(w, day, 7, 2000, time.Now()).stories {
			if invoice := st.steps[0].body.Invoice; invoice != "" {
				if other, used := invoices[invoice]; used {
					t.Fatalf("invoice %s is charged by two stories, on days %d and %d", invoice, other, day)
				}
				invoices[invoice] = day
			}
			for _, s := range st.steps {
				if s.want.what != fresh {
					continue
				}
				id := identity{s.body.Kind, s.key, s.body.Wallet, s.idempotencyKey, ""}
				if id.idempotencyKey == "" {
					id.invoice = s.body.Invoice
				}
				if other, used := seen[id]; used {
					t.Fatalf("%+v makes an operation on day %d and on day %d", id, other, day)
				}
				seen[id] = day
			}
		}
	}
}

func TestPlanFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	of := func(seed uint64) plan { return newPlan(paperWorld(), 1, seed, 300, now) }
	all := cmp.AllowUnexported(plan{}, story{}, step{}, want{}, topUp{}, wallet{})
	if diff := cmp.Diff(of(7), of(7), all); diff != "" {
		t.Errorf("the same seed plans another day:\n%s", diff)
	}
	if cmp.Equal(of(7), of(8), all) {
		t.Error("another seed plans the same day")
	}
}
