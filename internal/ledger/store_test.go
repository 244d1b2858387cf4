package ledger_test

import (
	"maps"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// store is what a database keeps between two books: no more than they hand out.
type store struct {
	wallets    map[ledger.WalletID]ledger.Wallet
	merchants  map[ledger.MerchantID]ledger.Merchant
	decided    map[ledger.OperationID]ledger.Fingerprint
	holds      map[ledger.OperationID]ledger.Hold // that are open
	mandates   map[ledger.WalletMerchant]ledger.Mandate
	given      map[ledger.WalletID]int // to how many merchants a wallet gave others, which no test asks for
	operations []ledger.Operation
	conflicts  []ledger.Conflict
	moved      map[ledger.Movement]int64 // by account and currency
}

func (s *store) clone() *store {
	c := *s
	c.wallets, c.decided, c.holds, c.moved = maps.Clone(s.wallets), maps.Clone(s.decided), maps.Clone(s.holds), maps.Clone(s.moved)
	c.mandates = maps.Clone(s.mandates)
	c.operations = slices.Clone(s.operations)
	return &c
}

// settle decides the steps in one book and keeps what it says is to be kept,
// taking nothing from the book that a database would not be given.
func (s *store) settle(steps []step, now time.Time) (verdicts []ledger.Verdict, book *ledger.Book) {
	book = ledger.NewBook(ledger.Known{
		Wallets: maps.Clone(s.wallets), Merchants: s.merchants, Decided: maps.Clone(s.decided), Invoices: s.invoices(steps),
		Position: int64(len(s.operations)), Referred: s.referred(steps), Mandates: s.mandated(steps), Given: s.givers(steps),
	}, now)
	for _, step := range steps {
		verdicts = append(verdicts, step.decide(book))
	}
	for _, w := range book.Wallets() {
		s.wallets[w.ID] = w
	}
	for _, op := range book.Operations() {
		s.decided[op.ID] = op.Fingerprint
	}
	opened, ended := book.Holds()
	for _, h := range opened {
		s.holds[h.ID] = h
	}
	for _, id := range ended {
		delete(s.holds, id)
	}
	for _, m := range book.Mandates() {
		s.mandates[ledger.WalletMerchant{Wallet: m.Wallet, Merchant: m.Merchant}] = m
	}
	s.operations = append(s.operations, book.Operations()...)
	s.conflicts = append(s.conflicts, book.Conflicts()...)
	for _, m := range book.Movements() {
		s.moved[ledger.Movement{Account: m.Account, Currency: m.Currency}] += m.Amount
	}
	return verdicts, book
}

// newStore is an empty one.
func newStore() *store {
	return &store{
		wallets: map[ledger.WalletID]ledger.Wallet{}, decided: map[ledger.OperationID]ledger.Fingerprint{},
		holds: map[ledger.OperationID]ledger.Hold{}, moved: map[ledger.Movement]int64{},
		mandates: map[ledger.WalletMerchant]ledger.Mandate{}, given: map[ledger.WalletID]int{},
	}
}

// mandated are the mandates that the steps use or change.
func (s *store) mandated(steps []step) map[ledger.WalletMerchant]ledger.Mandate {
	asked := map[ledger.WalletMerchant]ledger.Mandate{}
	for _, step := range steps {
		if step.request == nil {
			continue
		}
		of, can := step.request.Mandate()
		if m, is := s.mandates[of]; can && is {
			asked[of] = m
		}
	}
	return asked
}

// givers are the wallets that the steps let give a mandate, and to how many merchants they ever did.
func (s *store) givers(steps []step) map[ledger.WalletID]int {
	counts := map[ledger.WalletID]int{}
	for _, step := range steps {
		if step.request == nil || step.request.Kind != ledger.KindGrant {
			continue
		}
		w := step.request.Wallet
		counts[w] = s.given[w]
		for of := range s.mandates {
			if of.Wallet == w {
				counts[w]++
			}
		}
	}
	return counts
}

// referred is what the steps refer to.
func (s *store) referred(steps []step) map[ledger.OperationID]ledger.Referred {
	all := map[ledger.OperationID]ledger.Referred{}
	for _, step := range steps {
		if step.request != nil && !step.request.Refers.IsZero() {
			all[step.request.Refers] = referredIn(s.operations, step.request.Refers)
		}
	}
	return all
}

// invoices are which of the steps' invoices are taken, and by what: by what moved the money, or
// else by a hold that is open.
func (s *store) invoices(steps []step) map[ledger.WalletInvoice]ledger.OperationID {
	taken := s.taken()
	for _, o := range s.operations {
		if invoice, has := o.WalletInvoice(); has && o.Reason == "" && o.Kind.MovesMoney() {
			taken[invoice] = o.ID
		}
	}
	asked := map[ledger.WalletInvoice]ledger.OperationID{}
	for _, step := range steps {
		if step.request == nil {
			continue
		}
		invoice, has := step.request.WalletInvoice()
		if id, is := taken[invoice]; has && is {
			asked[invoice] = id
		}
	}
	return asked
}

// taken are the invoices that open holds have.
func (s *store) taken() map[ledger.WalletInvoice]ledger.OperationID {
	taken := map[ledger.WalletInvoice]ledger.OperationID{}
	for _, h := range s.holds {
		if h.Invoice != "" {
			taken[ledger.WalletInvoice{Wallet: h.Wallet, Invoice: ledger.NewInvoiceKey(h.Merchant, h.Invoice)}] = h.ID
		}
	}
	return taken
}

// referredIn is what the operation of the ID is in the history, as later ones left it.
func referredIn(operations []ledger.Operation, id ledger.OperationID) (r ledger.Referred) {
	for i := range operations {
		switch o := &operations[i]; {
		case o.ID == id:
			r = ledger.Referred{Kind: o.Kind, Wallet: o.Wallet, Merchant: o.Merchant, Accepted: o.Reason == ""}
			switch {
			case o.Kind == ledger.KindCapture:
				r.Left = o.Moved
			case r.Accepted:
				r.Left = o.Amount
			}
			if o.Kind == ledger.KindHold {
				r.Invoice, r.Day = o.Invoice, o.MandateDay
			}
		case o.Refers == id && o.Reason == "":
			r.Left = o.LeftAfter
			if r.Kind == ledger.KindHold {
				r.Parts, r.Captured, r.Last = r.Parts+1, r.Captured || o.Kind == ledger.KindCapture, o.Kind
			}
		}
	}
	return r
}

// holdsIn are the holds that the history leaves open.
func holdsIn(operations []ledger.Operation) map[ledger.OperationID]ledger.Hold {
	open := map[ledger.OperationID]ledger.Hold{}
	for _, o := range operations {
		if o.Kind == ledger.KindHold && referredIn(operations, o.ID).Left > 0 {
			open[o.ID] = ledger.Hold{
				ID: o.ID, Wallet: o.Wallet, Merchant: o.Merchant, Invoice: o.Invoice,
				ExpiresAt: o.DecidedAt.Add(time.Duration(o.ExpiresIn) * time.Second),
			}
		}
	}
	return open
}
