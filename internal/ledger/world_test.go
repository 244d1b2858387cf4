package ledger_test

import (
	"slices"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// world is everything that a reason can depend on, for one request to one
// wallet. Its zero value is a charge that is accepted.
type world struct {
	kind     ledger.Kind         // empty: a charge
	late     bool                // the request is past its apply_before
	missing  bool                // there is no such wallet
	status   ledger.WalletStatus // empty: active
	balance  int64               // zero: 1000; below zero: nothing
	held     int64               // by one hold, besides the one that the request refers to
	merchant string              // a set of: unknown, suspended, own
	other    bool                // the request is in another currency
	invoiced bool                // the merchant's invoice was accepted on the wallet before
	amount   int64               // zero: 400
	owing    bool                // the wallet owes 500, which is its credit limit
	crowded  bool                // the wallet has as many open holds as it may have, on credit
	referred string              // what the request refers to, see referredOf
	kept     bool                // of a capture: the rest stays held
	mandate  string              // empty: anyone may charge the wallet; or how the merchant's mandate stands: one of standings, with what is wrong with it
}

// standings are how a mandate may stand: never given, not even where no more may be, revoked, or in force.
var standings = []string{"none", "none, no more may be", "revoked", "given"}

// worldMandates are those of a merchant of a wallet that is charged under mandates.
var worldMandates = append([]string{
	"", "revoked, no more may be", "given, no more may be", "revoked, expired", "revoked, spent", "given, expired", "given, spent", "given, expired, spent",
}, standings...)

// mandated reports what is said of the merchant's mandate.
func (w world) mandated(what string) bool { return strings.Contains(w.mandate, what) }

// mandateOf is the mandate, of which the world's request is about 400: of 700 a day something is left, or 300.
func (w world) mandateOf() ledger.Mandate {
	if w.mandate == "" || w.mandated("none") {
		return ledger.Mandate{}
	}
	const today = 20_513 // 2026-03-01
	m := ledger.Mandate{
		Wallet: worldWallet, Merchant: worldMerchant, Given: w.mandated("given"), Day: today - 40,
		Terms: ledger.Terms{PerDay: ledger.MaxAmount, ValidUntil: worldTime.Add(time.Microsecond)},
	}
	if w.mandated("expired") {
		m.Terms.ValidUntil = worldTime
	}
	if w.mandated("spent") {
		m.Terms.PerDay, m.Day, m.UsedDay, m.UsedMonth, m.Used = 700, today, 400, 400, 400
	}
	return m
}

func (w world) withDefaults() world {
	if w.kind == "" {
		w.kind = ledger.KindCharge
	}
	if w.status == "" {
		w.status = ledger.WalletActive
	}
	switch {
	case w.balance == 0:
		w.balance = 1000
	case w.balance < 0:
		w.balance = 0
	}
	if w.amount == 0 {
		w.amount = 400
	}
	if w.owing {
		w.balance = -500
	}
	return w
}

var worldTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// referredOf are the states of a charge or a hold of 1000 that a request may refer to.
func referredOf(kind ledger.Kind) map[string]ledger.Referred {
	if kind == ledger.KindRefund {
		return map[string]ledger.Referred{
			"none": {}, "": {Kind: ledger.KindCharge, Accepted: true, Left: 1000}, "spent": {Kind: ledger.KindCharge, Accepted: true, Left: 300},
			"failed": {Kind: ledger.KindCharge},
		}
	}
	if !ofHold(kind) {
		return map[string]ledger.Referred{"": {}}
	}
	hold := func(left int64, parts int, last ledger.Kind) ledger.Referred {
		return ledger.Referred{Kind: ledger.KindHold, Accepted: true, Left: left, Parts: parts, Captured: last == ledger.KindCapture, Last: last}
	}
	return map[string]ledger.Referred{
		"none": {}, "": hold(1000, 0, ""), "spent": hold(300, 1, ledger.KindCapture), "failed": {Kind: ledger.KindHold},
		"captured": hold(0, 1, ledger.KindCapture), "released": hold(0, 1, ledger.KindRelease), "expired": hold(0, 1, ledger.KindExpire),
		"worn": hold(950, ledger.MaxCaptures, ledger.KindCapture),
	}
}

// refersTo is what the request refers to.
func (w world) refersTo() ledger.Referred {
	r := referredOf(w.kind)[w.referred]
	if r.Kind != "" {
		r.Wallet, r.Merchant = worldWallet, worldMerchant
	}
	return r
}

var (
	worldWallet   = ledger.WalletID{1}
	worldMerchant = ledger.MerchantID{9}
)

// wallet is the request's wallet. What holds keep is on credit, but for what the world says is held
// of its balance.
func (w world) wallet() ledger.Wallet {
	wallet := ledger.Wallet{
		ID: worldWallet, Client: ledger.ClientID{7}, Currency: "EUR", Status: w.status, Balance: w.balance, Held: w.held, Holds: min(w.held, 1),
		Sequence: 41, Digest: ledger.Digest{41},
	}
	if w.owing {
		wallet.Balance, wallet.CreditLimit = -500, 500
	}
	if hold := w.refersTo(); ofHold(w.kind) && hold.Left > 0 {
		wallet.Held, wallet.Holds, wallet.CreditLimit = hold.Left, 1, hold.Left
	}
	if w.crowded {
		wallet.Held, wallet.Holds, wallet.CreditLimit = 1000, 1000, 1000
	}
	if w.mandate != "" {
		wallet.Charges = ledger.ChargesMandated
	}
	return wallet
}

// known is what the world's request is decided on.
func (w world) known() ledger.Known {
	wallet := w.wallet()
	known := ledger.Known{
		Wallets: map[ledger.WalletID]ledger.Wallet{}, Merchants: map[ledger.MerchantID]ledger.Merchant{},
		Invoices: map[ledger.WalletInvoice]ledger.OperationID{}, Referred: map[ledger.OperationID]ledger.Referred{},
		Mandates: map[ledger.WalletMerchant]ledger.Mandate{}, Given: map[ledger.WalletID]int{},
	}
	if !w.missing {
		known.Wallets[wallet.ID] = wallet
	}
	if m := w.mandateOf(); !m.Wallet.IsZero() {
		known.Mandates[ledger.WalletMerchant{Wallet: m.Wallet, Merchant: m.Merchant}] = m
		known.Given[m.Wallet] = 1
	}
	if w.mandated("no more may be") {
		known.Given[worldWallet] = ledger.MaxMandates
	}
	if !strings.Contains(w.merchant, "unknown") {
		m := ledger.Merchant{Suspended: strings.Contains(w.merchant, "suspended"), Owner: ledger.ClientID{8}}
		if strings.Contains(w.merchant, "own") {
			m.Owner = wallet.Client
		}
		known.Merchants[worldMerchant] = m
	}
	if w.invoiced {
		i := ledger.WalletInvoice{Wallet: wallet.ID, Invoice: ledger.NewInvoiceKey(worldMerchant, "INV-1")}
		known.Invoices[i] = ledger.OperationID{5}
	}
	return known
}

// decide lets a book decide the world's request.
func (w world) decide() ledger.Operation {
	w = w.withDefaults()
	known, wallet := w.known(), w.wallet()
	r := ledger.Request{ID: ledger.OperationID{1}, Kind: w.kind, Wallet: wallet.ID, IdempotencyKey: "k"}
	if w.kind == ledger.KindRefund || ofHold(w.kind) {
		r.Merchant, r.Refers = worldMerchant, ledger.OperationID{3}
		known.Referred[r.Refers] = w.refersTo()
	}
	if w.kept {
		r.Rest = ledger.RestKept
	}
	if pays(w.kind) {
		r.Merchant, r.Invoice = worldMerchant, "INV-1"
	}
	if w.kind == ledger.KindOpen {
		r.Client, r.Currency = wallet.Client, "EUR"
	}
	if ofMandate(w.kind) {
		r.Merchant = worldMerchant
	}
	if sized(w.kind) {
		r.Amount = w.amount
	}
	if priced(w.kind) {
		r.Currency = "EUR"
		if w.other {
			r.Currency = "USD"
		}
	}
	if w.late {
		r.ApplyBefore = worldTime.Add(-time.Second)
	}
	book := ledger.NewBook(known, worldTime)
	book.Decide(r, ledger.Place{Log: 1, Offset: 3})
	return book.Operations()[0]
}

// pays are the kinds that need money of the wallet for a merchant.
func pays(k ledger.Kind) bool { return k == ledger.KindCharge || k == ledger.KindHold }

// sized are the kinds that have an amount.
func sized(k ledger.Kind) bool {
	return k.MovesMoney() || k == ledger.KindSetLimit || k == ledger.KindHold || k == ledger.KindRelease
}

// priced are the kinds that name a currency that has to be the wallet's.
func priced(k ledger.Kind) bool { return sized(k) || k == ledger.KindGrant }

// ofMandate are the kinds that make something of a mandate.
func ofMandate(k ledger.Kind) bool { return k == ledger.KindGrant || k == ledger.KindRevoke }

// worlds are all the worlds there are, as far as a reason can tell them apart.
func worlds() []world {
	var all []world
	for _, kind := range ledger.Kinds() {
		for _, late := range []bool{false, true} {
			for _, merchant := range []string{"", "unknown", "suspended", "own", "suspended own"} {
				if merchant == "unknown" && ofHold(kind) { // a merchant that was there stays
					continue
				}
				for _, other := range []bool{false, true} {
					for _, amount := range []int64{400, ledger.MaxAmount} {
						all = append(all, world{kind: kind, late: late, merchant: merchant, other: other, amount: amount}.ofMandates()...)
					}
				}
			}
		}
	}
	return all
}

// ofMandates are the world's with every state of the merchant's mandate, where that matters, on every wallet.
func (w world) ofMandates() (all []world) {
	if !pays(w.kind) && !ofMandate(w.kind) {
		return w.ofWallets()
	}
	for _, w.mandate = range worldMandates {
		switch of := w.ofWallets(); {
		case pays(w.kind):
			all = append(all, of...)
		case w.amount == 400: // for a grant and a revoke neither money nor invoices matter
			all = append(all, slices.DeleteFunc(of, func(w world) bool { return w.invoiced || w.balance > 0 })...)
		}
	}
	return all
}

// ofWallets are the world's with every wallet and everything on it.
func (w world) ofWallets() (all []world) {
	missing := w
	missing.missing, missing.mandate = true, ""
	if w.kind == ledger.KindRefund || ofHold(w.kind) {
		missing.referred = "none" // nothing without its wallet
	}
	all = append(all, missing)
	open := []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen}
	for _, w.status = range open {
		if w.kind == ledger.KindSetLimit {
			owing := w
			owing.owing = true
			all = append(all, owing)
		}
		if w.kind == ledger.KindHold || w.kind == ledger.KindClose {
			crowded := w
			crowded.crowded = true
			for _, crowded.invoiced = range []bool{false, true} {
				for _, crowded.balance = range []int64{-1, 1000} {
					all = append(all, crowded)
				}
			}
		}
		if !ofHold(w.kind) {
			holding := w
			holding.balance, holding.held = 1000, 601
			all = append(all, holding)
		}
	}
	for _, w.invoiced = range []bool{false, true} {
		for _, w.balance = range []int64{-1, 399, 400, ledger.MaxAmount} {
			for _, w.status = range []ledger.WalletStatus{ledger.WalletActive, ledger.WalletFrozen, ledger.WalletClosed} {
				if w.status == ledger.WalletClosed && w.balance >= 0 { // a closed wallet is empty
					continue
				}
				for referred, r := range referredOf(w.kind) {
					if ofHold(w.kind) && w.status == ledger.WalletClosed && r.Left > 0 { // and has no holds
						continue
					}
					of := w
					of.referred = referred
					all = append(all, of)
					if of.kept = w.kind == ledger.KindCapture; of.kept {
						all = append(all, of)
					}
				}
			}
		}
	}
	return all
}
