package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

// TestReplayOfTheWholeTopic submits every kind of thing that comes to every kind of
// end, under load, with records among them that nobody should have written. To
// settle all of it again from offset 0 changes nothing.
func TestReplayOfTheWholeTopic(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	p.processor()
	d := newDay(p)
	for _, w := range p.wallets {
		partition := w.Partition(2)
		forged := p.charge(w, "forged")
		forged.ID[3]++
		refused := p.record(p.charge(w, "refused"))
		refused.Value = append(refused.Value[:len(refused.Value)-1], `,"amount":8}`...)
		p.produce(partition, record.Record{Value: []byte("not ours")}, p.record(forged), refused)
		p.produce(1-partition, p.record(p.charge(w, "in the wrong partition")))
		p.kafka.Transaction(t, topicName, partition, true, p.record(p.charge(w, "in a transaction")))
		p.kafka.Transaction(t, topicName, partition, false, p.record(p.charge(w, "in an aborted transaction")))
	}
	seeds := make(chan uint64, loadCallers)
	for range loadCallers {
		seeds <- r.Uint64()
	}
	each(t, loadCallers, func(ctx context.Context) error {
		caller := <-seeds
		own := &memory{r: rand.New(rand.NewPCG(caller, 0))}
		for i := range 60 {
			if err := d.submit(ctx, own, fmt.Sprintf("caller %d request %d", caller, i)); err != nil {
				return err
			}
		}
		return nil
	})
	var ends [len(p.wallets)]int64
	for i := range ends {
		_, _, ends[i] = p.logOf(i)
		p.awaitNext(i, ends[i])
	}
	reasons := p.column("select distinct coalesce(reason::text, 'accepted') from operations order by 1")
	for _, want := range []ledger.Reason{
		ledger.ReasonExpired, ledger.ReasonWalletNotFound, ledger.ReasonSelfCharge, ledger.ReasonWalletClosed,
		ledger.ReasonWalletFrozen, ledger.ReasonCurrencyMismatch, ledger.ReasonDuplicateInvoice, ledger.ReasonInsufficientFunds,
		ledger.ReasonProcessingError, ledger.ReasonChargeNotFound, ledger.ReasonChargeNotAccepted, ledger.ReasonRefundExceedsCharge,
		ledger.ReasonHoldNotFound, ledger.ReasonHoldNotAccepted, ledger.ReasonHoldClosed, ledger.ReasonExceedsHold,
		ledger.ReasonMandateRequired, ledger.ReasonMandateLimit,
	} {
		if !slices.Contains(reasons, string(want)) {
			t.Errorf("nothing failed with %s: %v", want, reasons)
		}
	}
	kinds := p.column("select distinct kind from operations where reason is null order by 1")
	for _, want := range client.Asked() {
		if !slices.Contains(kinds, string(want)) {
			t.Errorf("no %s was accepted: %v", want, kinds)
		}
	}
	for what, query := range map[string]string{
		"open holds":              "select count(*) from holds",
		"mandates that were used": "select count(*) from mandates where used > 0",
		"conflicts":               "select count(*) from conflicts",
		"dead letters":            "select count(*) from dead_letters where operation_id is null",
		"duplicates":              "select sum(duplicates)::bigint from partition_progress",
		"gaps":                    "select sum(gaps)::bigint from partition_progress",
	} {
		if p.count(query) == 0 {
			t.Errorf("there are no %s", what)
		}
	}

	before := p.everything()
	for i := range ends {
		p.setProgress("--partition", fmt.Sprint(i), "--offset", "0")
	}
	for i, end := range ends {
		p.awaitNext(i, end)
	}
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		t.Errorf("settling the topic again changed\n%s", diff)
	}
	t.Log(p.monedero("verify"))
}

// day is what the callers of a replay charge.
type day struct {
	*pair
	owner   *api // with the key of a merchant that owns the wallets
	wallets []string
	fragile [2]string // frozen and unfrozen again, and closed once it holds nothing
	allows  string    // lets the merchant charge it up to dayTotal, while the mandate is not revoked
}

// dayTotal is soon used up.
const dayTotal = 100

func newDay(p *pair) *day {
	operator := p.shop.operator
	own := operator.create("/v1/merchants", map[string]any{"name": "Her own", "client_id": p.shop.client})
	key := operator.create("/v1/api-keys", map[string]any{"role": "merchant", "merchant_id": own.ID, "name": "till"})
	d := &day{pair: p, owner: operator.as(key.Secret), fragile: [2]string{p.shop.wallet(), p.shop.wallet()}}
	d.allows = p.shop.mandated(dayTotal)
	operator.topUp(d.allows, 10*dayTotal)
	unknown := p.wallets[0]
	unknown[15]++
	for _, w := range p.wallets {
		d.wallets = append(d.wallets, w.String())
	}
	closed := p.shop.wallet()
	if status, o, err := operator.call(p.t.Context(), http.MethodPost, "/v1/wallets/"+closed+"/close", nil, nil); err != nil || o.Status != "accepted" {
		p.t.Fatalf("close a wallet: %d %s, %v", status, o.Status, err)
	}
	d.wallets = append(d.wallets, unknown.String(), p.shop.wallet(), d.fragile[0], d.fragile[1], closed, d.allows)
	return d
}

// memory is what a caller did that it may refer to: the paths of wallets, and IDs.
type memory struct {
	r             *rand.Rand
	charges, held [][2]string
}

// submit does something, which is taken or refused as used before.
func (d *day) submit(ctx context.Context, own *memory, key string) error {
	r := own.r
	wallet := "/v1/wallets/" + d.wallets[r.IntN(len(d.wallets))]
	body := map[string]any{"amount": 1 + r.IntN(20), "currency": "EUR"}
	to, method, path := d.shop.till, http.MethodPost, wallet+"/charges"
	switch r.IntN(26) {
	case 0, 1:
		key = "one of ten " + fmt.Sprint(r.IntN(10)) // of several bodies
	case 2, 3:
		body["invoice"] = fmt.Sprint("one of two ", r.IntN(2))
	case 4:
		body["currency"] = "USD"
	case 5:
		body["apply_before"] = "2001-02-03T04:05:06Z"
	case 6:
		to = d.owner
	case 7, 8:
		to, path, body["amount"] = d.shop.operator, wallet+"/top-ups", 60 // as much as several charges take: much is accepted
	case 9:
		verb := []string{"freeze", "unfreeze", "unfreeze"}[r.IntN(3)]
		to, path, body = d.shop.operator, "/v1/wallets/"+d.fragile[0]+"/"+verb, map[string]any{}
	case 10:
		to, path, body = d.shop.operator, "/v1/wallets/"+d.fragile[1]+"/close", map[string]any{}
	case 11:
		to, path = d.shop.operator, wallet+"/withdrawals"
	case 12, 13, 14:
		path, body["expires_in"] = wallet+"/holds", ledger.MaxExpiresIn
	case 15, 16, 24:
		path = own.part(own.charges, "charge", []string{"/refunds"}, body, path)
	case 17, 18, 19:
		path = own.part(own.held, "hold", []string{"/captures", "/captures", "/releases"}, body, path)
	case 20:
		path = own.part(own.held, "charge", []string{"/refunds"}, body, path)
	case 21:
		path = own.part(own.charges, "hold", []string{"/releases"}, body, path)
	case 22, 23:
		to, path = d.shop.operator, "/v1/wallets/"+d.allows+"/mandates/"+d.shop.merchant
		if method, body = http.MethodPut, map[string]any{"currency": "EUR", "total": dayTotal}; r.IntN(3) == 0 {
			method, body = http.MethodDelete, map[string]any{}
		}
	}
	for range 2 { // and again
		status, o, err := to.call(ctx, method, path, map[string]string{"Idempotency-Key": key}, body)
		// Of charges of the wallet that does not exist no more than a hundred are taken.
		refused := o.Code == "idempotency_key_reused" || o.Code == "rate_limited"
		if err == nil && status != http.StatusAccepted && status != http.StatusOK && !refused {
			err = fmt.Errorf("%s %s: %d %s", method, path, status, o.Code)
		}
		if err == nil && !refused {
			own.remember(path, o.ID)
		}
		if err != nil || r.IntN(4) > 0 {
			return err
		}
	}
	return nil
}

func (m *memory) remember(path, id string) {
	if wallet, is := strings.CutSuffix(path, "/charges"); is {
		m.charges = append(m.charges, [2]string{wallet, id})
	} else if wallet, is := strings.CutSuffix(path, "/holds"); is {
		m.held = append(m.held, [2]string{wallet, id})
	}
}

// part makes the body one that refers to one of those, and returns its path, or the other one where there is none.
func (m *memory) part(of [][2]string, field string, to []string, body map[string]any, other string) string {
	if len(of) == 0 {
		return other
	}
	one := draw(m.r, of[max(0, len(of)-3):])
	path := one[0] + draw(m.r, to)
	if body[field] = one[1]; m.r.IntN(3) == 0 { // all that is left
		delete(body, "amount")
		delete(body, "currency")
	}
	if strings.HasSuffix(path, "/captures") {
		body["final"] = m.r.IntN(2) == 0
	}
	return path
}

// awaitNext waits until the partition is settled up to the offset.
func (p *pair) awaitNext(partition int, offset int64) {
	p.t.Helper()
	awaitThat(p.t, fmt.Sprintf("partition %d is settled up to %d", partition, offset), func() bool {
		return p.count(fmt.Sprint("select next_offset from partition_progress where partition = ", partition)) == offset
	})
}

// everything is every row that settling writes, but for the progress.
func (p *pair) everything() (rows []string) {
	p.t.Helper()
	for _, table := range []string{"operations", "wallets", "account_balances", "holds", "mandates", "dead_letters", "conflicts"} {
		rows = append(rows, p.column("select '"+table+"' || to_jsonb(t)::text from "+table+" t order by 1")...)
	}
	return rows
}
