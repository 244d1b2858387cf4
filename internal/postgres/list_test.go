package postgres_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
)

// listed is a history of some wallets, in the order in which it was decided, and what a filter may ask for.
type listed struct {
	*world
	all     []outcomes.Decided
	clients []ledger.ClientID
	wallets []ledger.WalletID // the last one does not exist
	shops   []ledger.MerchantID
	opened  map[ledger.WalletID]int // which of them was opened when
	own     map[string][]ledger.OperationID
}

// newListed decides operations of all sorts, at many times.
func newListed(t *testing.T) *listed {
	t.Helper()
	l := &listed{world: newWorld(t), opened: map[ledger.WalletID]int{}, own: map[string][]ledger.OperationID{}}
	for range 2 {
		l.clients = append(l.clients, l.client())
		l.shops = append(l.shops, l.merchant(ledger.ClientID{}))
	}
	for i := range 5 {
		id := walletID(i % 2)
		l.now = l.now.Add(time.Second) // wallets are listed as they were opened
		l.apply(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: l.clients[i%2], Currency: "EUR"})
		l.opened[id] = i
		l.wallets = append(l.wallets, id)
	}
	l.wallets = append(l.wallets, walletID(0))
	for i := range 60 {
		if i%4 > 0 { // some are decided at once
			l.now = l.now.Add(time.Second)
		}
		id := l.wallets[i*7%len(l.wallets)]
		shop := l.shops[i%2]
		r := l.charge(id, shop, int64(1+i%5), []string{"", "INV-1", "INV-2"}[i%3])
		switch i % 8 {
		case 1:
			r = l.topUp(id, 3)
		case 2: // in another wallet, under the same key
			r = l.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: id, Amount: 2, Currency: "EUR", IdempotencyKey: "the same"})
		case 3:
			if i%3 == 0 && id != l.wallets[5] {
				l.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: id})
				l.apply(ledger.Request{Kind: ledger.KindUnfreeze, Wallet: id})
			}
		case 4:
			lost := l.charge(id, shop, 1, "INV-1")
			l.settle(id.Partition(partitions), refusal(lost.ID, id, "x"), request(r))
			continue
		}
		l.settle(id.Partition(partitions), request(r))
	}
	rows, err := l.schemaOwner().Query(t.Context(), "select id from operations order by decided_at, position")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []ledger.OperationID
	for rows.Next() {
		var id [16]byte
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	found, err := l.store.Decided(t.Context(), ids)
	if err != nil || len(found) != len(ids) {
		t.Fatal(len(found), err)
	}
	for _, id := range ids {
		l.all = append(l.all, found[slices.IndexFunc(found, func(d outcomes.Decided) bool { return d.ID == id })])
	}
	for _, id := range l.wallets {
		r := l.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: id, IdempotencyKey: "the same"})
		l.own[id.String()] = []ledger.OperationID{r.ID}
	}
	return l
}

// draw is a filter.
func (l *listed) draw(t *rapid.T) (f ingest.Filter) {
	maybe := func(what string) bool { return rapid.Bool().Draw(t, what) }
	times := []time.Time{time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, d := range l.all {
		times = append(times, d.DecidedAt, d.DecidedAt.Add(time.Microsecond))
	}
	switch rapid.SampledFrom([]string{"wallet", "merchant", "client", "key"}).Draw(t, "of a") {
	case "wallet":
		f.Wallet = rapid.SampledFrom(l.wallets).Draw(t, "wallet")
		if maybe("of a merchant") {
			f.Merchant = rapid.SampledFrom(l.shops).Draw(t, "merchant")
		}
	case "merchant":
		f.Merchant = rapid.SampledFrom(l.shops).Draw(t, "merchant")
	case "client":
		f.Client = rapid.SampledFrom(l.clients).Draw(t, "client")
		if maybe("of a merchant") {
			f.Merchant = rapid.SampledFrom(l.shops).Draw(t, "merchant")
		}
	case "key":
		f.Wallet = rapid.SampledFrom(l.wallets).Draw(t, "wallet")
		f.IDs = l.own[f.Wallet.String()]
	}
	if maybe("of an invoice") {
		f.Invoice = rapid.SampledFrom([]string{"INV-1", "INV-2", "INV-3"}).Draw(t, "invoice")
	}
	if maybe("of a kind") {
		f.Kind = rapid.SampledFrom(ledger.Kinds()).Draw(t, "kind")
	}
	if maybe("of a status") {
		f.Status = rapid.SampledFrom([]ledger.Status{ledger.StatusAccepted, ledger.StatusFailed}).Draw(t, "status")
	}
	if maybe("of a reason") {
		f.Reason = rapid.SampledFrom([]ledger.Reason{ledger.ReasonInsufficientFunds, ledger.ReasonDuplicateInvoice, ledger.ReasonMandateRequired, ledger.ReasonProcessingError}).Draw(t, "reason")
	}
	if maybe("from a time") {
		f.From = rapid.SampledFrom(times).Draw(t, "from")
	}
	if maybe("to a time") {
		f.To = rapid.SampledFrom(times).Draw(t, "to")
	}
	f.ByMerchant = !f.Wallet.IsZero() && !f.Merchant.IsZero() && f.Client.IsZero() && f.IDs == nil && rapid.Bool().Draw(t, "as a stranger")
	f.Limit = rapid.IntRange(1, 12).Draw(t, "limit")
	return f
}

// want is what the filter finds, one operation after the other, in the order of its list.
func (l *listed) want(f ingest.Filter) (ids []ledger.OperationID) {
	var found []outcomes.Decided
	for _, d := range l.all {
		if (f.Wallet.IsZero() || d.Wallet == f.Wallet) && (f.Merchant.IsZero() || d.Merchant == f.Merchant) &&
			(f.Client.IsZero() || d.Owner == f.Client) && (f.IDs == nil || slices.Contains(f.IDs, d.ID)) &&
			(f.Invoice == "" || d.Invoice == f.Invoice) && (f.Kind == "" || d.Kind == f.Kind) && (f.Status == "" || d.Operation.Status() == f.Status) &&
			(f.Reason == "" || d.Reason == f.Reason) && !d.DecidedAt.Before(f.From) && (f.To.IsZero() || d.DecidedAt.Before(f.To)) {
			found = append(found, d)
		}
	}
	byID := func(a, b outcomes.Decided) int { return slices.Compare(b.ID[:], a.ID[:]) }
	slices.SortFunc(found, func(a, b outcomes.Decided) int {
		ofWallet := cmp.Or(cmp.Compare(b.Sequence, a.Sequence), byID(a, b))
		unsequenced := cmp.Compare(min(a.Sequence, 1), min(b.Sequence, 1))
		switch {
		case f.IDs != nil || f.ByMerchant:
		case !f.Merchant.IsZero() && f.Invoice != "" && f.Client.IsZero():
			return cmp.Or(slices.Compare(b.Wallet[:], a.Wallet[:]), cmp.Compare(b.Position, a.Position))
		case !f.Client.IsZero() && !f.Merchant.IsZero() && f.Invoice != "":
			return cmp.Or(cmp.Compare(l.opened[a.Wallet], l.opened[b.Wallet]), cmp.Compare(b.Position, a.Position))
		case !f.Client.IsZero():
			return cmp.Or(cmp.Compare(l.opened[a.Wallet], l.opened[b.Wallet]), unsequenced, ofWallet)
		case !f.Wallet.IsZero():
			return cmp.Or(unsequenced, ofWallet)
		}
		return cmp.Or(b.DecidedAt.Compare(a.DecidedAt), byID(a, b))
	})
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	return ids
}

// TestFilters compares lists of every filter with what a look at each operation finds.
func TestFilters(t *testing.T) {
	t.Parallel()
	l := newListed(t)
	some := 0
	rapid.Check(t, func(r *rapid.T) {
		f := l.draw(r)
		want := l.want(f)
		some += len(want)
		if diff := gocmp.Diff(want, pages(t, l.world, f)); diff != "" {
			r.Fatalf("%+v (-want +got):\n%s", f, diff)
		}
	})
	if some == 0 {
		t.Error("no filter found anything")
	}
}

// TestSequenceBefore asks at the times of every operation, and beside them.
func TestSequenceBefore(t *testing.T) {
	t.Parallel()
	l := newListed(t)
	conn := l.schemaOwner()
	for _, wallet := range l.wallets {
		for _, d := range l.all {
			for _, moment := range []time.Time{d.DecidedAt.Add(-time.Microsecond), d.DecidedAt, d.DecidedAt.Add(time.Microsecond)} {
				want := int64(0)
				for _, o := range l.all {
					if o.Wallet == wallet && o.DecidedAt.Before(moment) {
						want = max(want, o.Sequence)
					}
				}
				var got int64
				if err := conn.QueryRow(t.Context(), "select sequence_before($1, $2, $3)", wallet.Partition(partitions), [16]byte(wallet), moment).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("before %v: sequence %d, want %d", moment, got, want)
				}
			}
		}
	}
}
