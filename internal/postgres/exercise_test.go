package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/processor"
)

// model is a store that is obviously right: the book over maps.
type model struct {
	known      ledger.Known
	operations map[ledger.OperationID]ledger.Operation
	conflicts  map[ledger.OperationID]int
	moved      map[ledger.Movement]int64
}

func (m *model) settle(w *world, c processor.Claim, s processor.Slice) processor.Tally {
	book := ledger.NewBook(ledger.Known{
		Wallets: maps.Clone(m.known.Wallets), Merchants: m.known.Merchants, Decided: maps.Clone(m.known.Decided),
		Invoices: maps.Clone(m.known.Invoices), Position: m.known.Position, Referred: m.referred(s), Mandates: maps.Clone(m.known.Mandates),
	}, w.now)
	t := processor.Tally{Outcomes: map[processor.OutcomeLabel]int{}, Gaps: int(s.To-s.From) - len(s.Items)}
	for _, item := range s.Items {
		at := ledger.Place{Log: c.Log, Offset: item.Record.Offset}
		var v ledger.Verdict
		switch {
		case item.Request != nil:
			v = book.Decide(*item.Request, at)
		case item.Refusal != nil:
			v = book.Refuse(*item.Refusal, at)
		default:
			t.Dead++
		}
		switch v {
		case ledger.Settled:
			t.Settled++
		case ledger.Duplicate:
			t.Duplicates++
		case ledger.Conflicting:
			t.Conflicts++
		}
	}
	for _, op := range book.Operations() {
		m.take(op)
		t.Outcomes[processor.OutcomeLabel{Kind: op.Kind, Reason: op.Reason}]++
	}
	for _, wallet := range book.Wallets() {
		m.known.Wallets[wallet.ID] = wallet
	}
	for _, mandate := range book.Mandates() {
		m.known.Mandates[ledger.WalletMerchant{Wallet: mandate.Wallet, Merchant: mandate.Merchant}] = mandate
	}
	for _, conflict := range book.Conflicts() {
		m.conflicts[conflict.ID]++
	}
	return t
}

// referred is what the slice's requests refer to, with all that ever referred to it gone through.
func (m *model) referred(s processor.Slice) map[ledger.OperationID]ledger.Referred {
	all := map[ledger.OperationID]ledger.Referred{}
	for _, item := range s.Items {
		if item.Request != nil && !item.Request.Refers.IsZero() {
			all[item.Request.Refers] = m.state(item.Request.Refers)
		}
	}
	return all
}

// state is what the operation is to others that refer to it, after all that do.
func (m *model) state(id ledger.OperationID) ledger.Referred {
	o, found := m.operations[id]
	if !found {
		return ledger.Referred{}
	}
	r := ledger.Referred{Kind: o.Kind, Wallet: o.Wallet, Merchant: o.Merchant, Accepted: o.Reason == ""}
	if r.Accepted {
		r.Left = max(o.Amount, 0)
		if !o.Refers.IsZero() {
			r.Left = o.Moved
		}
	}
	if r.Kind == ledger.KindHold {
		r.Invoice, r.Day = o.Invoice, o.MandateDay
	}
	last := int64(0)
	for _, o := range m.operations {
		if o.Refers != id || o.Reason != "" {
			continue
		}
		if o.Sequence > last {
			last, r.Left = o.Sequence, o.LeftAfter
			if r.Kind == ledger.KindHold {
				r.Last = o.Kind
			}
		}
		if r.Kind == ledger.KindHold {
			r.Parts++
			r.Captured = r.Captured || o.Kind == ledger.KindCapture
		}
	}
	return r
}

// moved is how much operations of the kind moved of the operation.
func (m *model) movedOf(id ledger.OperationID, kind ledger.Kind) (sum int64) {
	for _, o := range m.operations {
		if o.Refers == id && o.Reason == "" && o.Kind == kind {
			sum += o.Moved
		}
	}
	return sum
}

// take keeps an operation and what follows from it.
func (m *model) take(op ledger.Operation) {
	m.operations[op.ID], m.known.Position = op, op.Position
	m.known.Decided[op.ID] = op.Fingerprint
	if hold, found := m.operations[op.Refers]; found && hold.Kind == ledger.KindHold && op.Reason == "" && op.LeftAfter == 0 {
		key, has := hold.InvoiceKey()
		invoice := ledger.WalletInvoice{Wallet: hold.Wallet, Invoice: key}
		if has && m.known.Invoices[invoice] == hold.ID {
			delete(m.known.Invoices, invoice)
		}
	}
	if key, has := op.InvoiceKey(); has && op.Reason == "" {
		m.known.Invoices[ledger.WalletInvoice{Wallet: op.Wallet, Invoice: key}] = op.ID
	}
	if move := op.Movement(); move.Amount != 0 {
		sum := move.Amount
		move.Amount = 0
		m.moved[move] += sum
	}
}

// exercise is one run of random batches on one world and the model.
type exercise struct {
	partition int
	world     *world
	model     *model
	wallets   []ledger.WalletID
	merchants []ledger.MerchantID
}

// exercisePartition is where an exercise is that needs one partition.
const exercisePartition = 1

func newExercise(w *world) *exercise { return newExerciseIn(w, exercisePartition) }

func newExerciseIn(w *world, partition int) *exercise {
	e := &exercise{partition: partition, world: w, model: &model{
		known: ledger.Known{
			Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: map[ledger.MerchantID]ledger.Merchant{},
			Decided: map[ledger.OperationID]ledger.Fingerprint{}, Invoices: map[ledger.WalletInvoice]ledger.OperationID{},
			Mandates: map[ledger.WalletMerchant]ledger.Mandate{},
		},
		operations: map[ledger.OperationID]ledger.Operation{}, conflicts: map[ledger.OperationID]int{},
		moved: map[ledger.Movement]int64{},
	}}
	// The database is one for all runs.
	if err := w.store.Pool().QueryRow(w.t.Context(), "select last_position from partition_progress where partition = $1",
		partition).Scan(&e.model.known.Position); err != nil {
		w.t.Fatal(err)
	}
	var owner ledger.ClientID
	for _, charges := range []ledger.Charges{"", "", ledger.ChargesMandated, ledger.ChargesMandated} {
		client, id := w.client(), walletID(partition)
		owner = client
		e.direct(ledger.Request{Kind: ledger.KindOpen, Wallet: id, Client: client, Currency: "EUR", Charges: charges})
		e.wallets = append(e.wallets, id)
	}
	for _, owner := range []ledger.ClientID{{}, owner} {
		id := w.merchant(owner)
		e.merchants = append(e.merchants, id)
		e.model.known.Merchants[id] = ledger.Merchant{Owner: owner}
	}
	e.wallets = append(e.wallets, walletID(partition)) // one that nobody opened
	e.merchants = append(e.merchants, ledger.MerchantID(newID()))
	return e
}

// direct applies to the store and the model.
func (e *exercise) direct(r ledger.Request) {
	request := e.world.minted(r)
	got, _, err := e.world.store.Apply(e.world.t.Context(), *request)
	if err != nil {
		e.world.t.Fatal(err)
	}
	known := ledger.Known{
		Wallets: maps.Clone(e.model.known.Wallets), Merchants: e.model.known.Merchants, Mandates: maps.Clone(e.model.known.Mandates),
		Position: e.model.known.Position,
	}
	book := ledger.NewBook(known, e.world.now)
	book.Decide(*request, ledger.Place{})
	want := book.Operations()[0]
	if diff := cmp.Diff(want, got); diff != "" {
		e.world.t.Fatal(diff)
	}
	e.model.take(want)
	e.model.known.Wallets[r.Wallet] = book.Wallets()[0]
	for _, mandate := range book.Mandates() {
		e.model.known.Mandates[ledger.WalletMerchant{Wallet: mandate.Wallet, Merchant: mandate.Merchant}] = mandate
	}
}

func (e *exercise) item(t *rapid.T) processor.Item {
	wallet := rapid.SampledFrom(e.wallets).Draw(t, "wallet")
	key := fmt.Sprint("key ", rapid.IntRange(1, 40).Draw(t, "key")) // few, so that they come again
	r := ledger.Request{Wallet: wallet, IdempotencyKey: key, Currency: "EUR", Amount: rapid.Int64Range(1, 100).Draw(t, "amount")}
	if rapid.IntRange(0, 20).Draw(t, "other currency") == 0 {
		r.Currency = "USD"
	}
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		return dead()
	case 1:
		r.Kind, r.Merchant = ledger.KindCharge, e.merchants[0]
		return refusal(e.world.minter.OperationID(r.Identity()), wallet, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value"))
	}
	r.Kind = rapid.SampledFrom(append(kinds(true), ledger.KindCharge, ledger.KindHold, ledger.KindTopUp)).Draw(t, "kind")
	switch {
	case r.Kind == ledger.KindHold:
		r.ExpiresIn = ledger.MinExpiresIn
		fallthrough
	case r.Kind == ledger.KindCharge:
		r.Merchant = rapid.SampledFrom(e.merchants).Draw(t, "merchant")
		if n := rapid.IntRange(0, 8).Draw(t, "invoice"); n > 0 {
			r.Invoice = fmt.Sprint("INV-", n)
		}
	case r.Kind != ledger.KindTopUp && r.Kind != ledger.KindWithdraw:
		r.Merchant = rapid.SampledFrom(e.merchants).Draw(t, "merchant")
		of := ledger.KindHold
		if r.Kind == ledger.KindRefund {
			of = rapid.SampledFrom([]ledger.Kind{ledger.KindCharge, ledger.KindCapture}).Draw(t, "of")
		}
		other := ledger.Request{Kind: of, Wallet: wallet, Merchant: r.Merchant, IdempotencyKey: fmt.Sprint("key ", rapid.IntRange(1, 40).Draw(t, "refers"))}
		r.Refers = e.world.minted(other).ID // decided before, in this batch, later, or never
		if r.Kind == ledger.KindExpire || rapid.IntRange(0, 3).Draw(t, "all") == 0 {
			r.Amount, r.Currency = 0, ""
		}
		if r.Kind == ledger.KindExpire {
			r.IdempotencyKey = r.Refers.String()
		}
		if r.Kind == ledger.KindCapture && rapid.Bool().Draw(t, "kept") {
			r.Rest = ledger.RestKept
		}
	case rapid.IntRange(0, 9).Draw(t, "much") == 0:
		r.Amount = ledger.MaxAmount
	}
	if rapid.IntRange(0, 20).Draw(t, "expired") == 0 {
		r.ApplyBefore = e.world.now
	}
	return request(e.world.minted(r))
}

// terms are limits that a few charges reach.
func (e *exercise) terms(t *rapid.T) ledger.Terms {
	limits := []int64{0, 0, 50, 150, 400}
	terms := ledger.Terms{
		MaxAmount: rapid.SampledFrom(limits).Draw(t, "max amount"), PerDay: rapid.SampledFrom(limits).Draw(t, "per day"),
		PerMonth: rapid.SampledFrom(limits).Draw(t, "per month"), Total: rapid.SampledFrom(limits).Draw(t, "total"),
	}
	if rapid.IntRange(0, 4).Draw(t, "ends") == 0 {
		terms.ValidUntil = e.world.now.AddDate(0, 0, 10)
	}
	return terms
}

// kinds are those that are queued, or those that are direct and find a wallet.
func kinds(queued bool) []ledger.Kind {
	return slices.DeleteFunc(ledger.Kinds(), func(k ledger.Kind) bool { return k.Queued() != queued || k.Opens() })
}

func (e *exercise) batch(t *rapid.T) {
	items := rapid.SliceOfN(rapid.Custom(e.item), 1, 40).Draw(t, "items")
	c := e.world.claim(e.partition)
	s := slice(c.NextOffset, items...)
	s.To += int64(rapid.IntRange(0, 2).Draw(t, "gaps"))
	want := e.model.settle(e.world, c, s)
	got, err := e.world.store.Settle(e.world.t.Context(), c, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// compare reads everything back.
func (e *exercise) compare(t *rapid.T) {
	ctx := e.world.t.Context()
	found, err := e.world.store.Decided(ctx, collect(e.model.operations))
	if err != nil {
		t.Fatal(err)
	}
	got, conflicts := map[ledger.OperationID]ledger.Operation{}, map[ledger.OperationID]int{}
	for _, d := range found {
		got[d.ID] = d.Operation
		if d.Conflicts > 0 {
			conflicts[d.ID] = d.Conflicts
		}
		state := e.model.state(d.ID)
		want := outcomes.Decided{
			Operation: d.Operation, Owner: d.Owner, MerchantName: d.MerchantName, Conflicts: d.Conflicts, Log: d.Log,
			Refunded: e.model.movedOf(d.ID, ledger.KindRefund),
		}
		if d.Kind == ledger.KindHold && d.Reason == "" {
			want.Hold = &outcomes.Hold{
				Captured: e.model.movedOf(d.ID, ledger.KindCapture), Expired: e.model.movedOf(d.ID, ledger.KindExpire), Remaining: state.Left,
			}
		}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Fatalf("%s: %s", d.ID, diff)
		}
	}
	if diff := cmp.Diff(e.model.operations, got); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(e.model.conflicts, conflicts, cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	want, movements := map[ledger.OperationID]ledger.Movement{}, e.movements(t)
	for id, op := range e.model.operations {
		if m := op.Movement(); m != (ledger.Movement{}) {
			want[id] = m
		}
	}
	if diff := cmp.Diff(want, movements, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("what the table of kinds moves, and what the view does: %s", diff)
	}
	if diff := cmp.Diff(e.model.open(), e.openHolds(t), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("open holds: %s", diff)
	}
	for _, id := range e.wallets {
		mandates, err := e.world.store.Mandates(ctx, id, ledger.MerchantID{})
		if err != nil {
			t.Fatal(err)
		}
		got, want := map[ledger.WalletMerchant]ledger.Mandate{}, map[ledger.WalletMerchant]ledger.Mandate{}
		for _, m := range mandates {
			got[ledger.WalletMerchant{Wallet: id, Merchant: m.Merchant}] = m.Mandate
		}
		for of, m := range e.model.known.Mandates {
			if of.Wallet == id {
				want[of] = m
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("mandates: %s", diff)
		}
	}
	for id, want := range e.model.known.Wallets {
		if got, err := e.world.store.Wallet(ctx, id); err != nil || got != want {
			t.Fatalf("wallet: got %+v, want %+v, %v", got, want, err)
		}
	}
	for _, id := range e.merchants {
		balances, err := e.world.store.Balances(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		for _, b := range balances {
			sums[string(b.Currency)] = b.Amount
		}
		want := map[string]string{}
		if sum, moved := e.model.moved[ledger.Movement{Account: id.Account(), Currency: "EUR"}]; moved {
			want["EUR"] = fmt.Sprint(sum)
		}
		if diff := cmp.Diff(want, sums); diff != "" {
			t.Fatal(diff)
		}
	}
}

func collect(m map[ledger.OperationID]ledger.Operation) []ledger.OperationID {
	var list []ledger.OperationID
	for id := range m {
		list = append(list, id)
	}
	return list
}

// open are the wallets' holds that are open, by what they hold.
func (m *model) open() map[ledger.OperationID]int64 {
	all := map[ledger.OperationID]int64{}
	for id, o := range m.operations {
		if left := m.state(id).Left; o.Kind == ledger.KindHold && left > 0 {
			all[id] = left
		}
	}
	return all
}

// openHolds are those of the table, by what they hold.
func (e *exercise) openHolds(t *rapid.T) map[ledger.OperationID]int64 {
	all := map[ledger.OperationID]int64{}
	rows, err := e.world.store.Pool().Query(e.world.t.Context(), "select id from holds where partition = $1 and id = any ($2)",
		e.partition, collect(e.model.operations))
	if err != nil {
		t.Fatal(err)
	}
	var id ledger.OperationID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		all[id] = e.model.state(id).Left
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// movements are what the view says that the exercise's operations moved.
func (e *exercise) movements(t *rapid.T) map[ledger.OperationID]ledger.Movement {
	all := map[ledger.OperationID]ledger.Movement{}
	rows, err := e.world.store.Pool().Query(e.world.t.Context(),
		"select operation_id, account_id, currency, amount from movements where partition = $1 and operation_id = any ($2)",
		e.partition, collect(e.model.operations))
	if err != nil {
		t.Fatal(err)
	}
	var id ledger.OperationID
	var m ledger.Movement
	if _, err := pgx.ForEachRow(rows, []any{&id, &m.Account, &m.Currency, &m.Amount}, func() error {
		all[id] = m
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Random batches go to the store and to the model; what comes back is the same,
// and holds.
func TestStoreAgainstModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(r *rapid.T) {
		e := newExercise(w) // new wallets each time, further on in the same log
		r.Repeat(map[string]func(*rapid.T){
			"batch": e.batch,
			"direct": func(r *rapid.T) {
				kind := rapid.SampledFrom(append(kinds(false), ledger.KindUnfreeze, ledger.KindGrant, ledger.KindGrant)).Draw(r, "kind")
				request := ledger.Request{Kind: kind, Wallet: rapid.SampledFrom(e.wallets[:4]).Draw(r, "wallet")}
				switch kind {
				case ledger.KindSetLimit:
					request.Amount, request.Currency = rapid.Int64Range(0, 100).Draw(r, "limit"), "EUR"
				case ledger.KindGrant:
					request.Terms, request.Currency = e.terms(r), "EUR"
					fallthrough
				case ledger.KindRevoke:
					request.Merchant = rapid.SampledFrom(e.merchants[:2]).Draw(r, "merchant")
				default:
				}
				e.direct(request)
			},
			"later": func(r *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(-1, 20*24).Draw(r, "hours")) * time.Hour)
			},
		})
		e.compare(r)
	})
	w.verified()
}
