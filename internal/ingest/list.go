package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/ledger"
)

type listInput struct {
	Wallet   string `query:"wallet_id" doc:"Only operations of this wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Merchant string `query:"merchant_id" doc:"Only operations of this merchant. A merchant's key sees its own without saying so." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Invoice  string `query:"invoice" doc:"Only charges of this invoice, failed attempts too, within a wallet or a merchant." example:"INV-1001"`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"How many operations to show at most. A page may show fewer, or none, though has_more is true." example:"50"`
	Cursor   string `query:"cursor" doc:"next_cursor of the page before. It goes with the same filters only." example:"06vKuj_8bBJarLpFsDwj_P91T7KV6xGlYi_0vqK4oYSK7j6KDqApL6ShuXbLuQ-VBdDUUolPRGlbr60qCAMRn8XAvm8eqEq8l-uERA"`
}

type pageBody struct {
	Object     string          `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []operationBody `json:"data" nullable:"false" doc:"Decided operations."`
	HasMore    bool            `json:"has_more" doc:"Whether there is another page, however many this one shows." example:"true"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"06vKuj_8bBJarLpFsDwj_P91T7KV6xGlYi_0vqK4oYSK7j6KDqApL6ShuXbLuQ-VBdDUUolPRGlbr60qCAMRn8XAvm8eqEq8l-uERA"`
}

// operations lists decided operations: to a merchant its own, to a client those
// of its wallets, to the operator those of any wallet or merchant.
func (s *Server) operations(ctx context.Context, in *listInput) (*struct{ Body pageBody }, error) {
	f, err := in.filter(caller(ctx))
	if err != nil {
		return nil, err
	}
	cursors, err := cursorsOf(s.minter, "operations", f.Wallet.String(), f.Merchant.String(), f.Invoice)
	if err != nil {
		return nil, err
	}
	if f.After, err = cursors.parse(in.Cursor); err != nil {
		return nil, err
	}
	if err := s.visible(ctx, f); err != nil {
		return nil, err
	}
	f.Limit = in.Limit
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	page, err := s.history.List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	bytes := 0
	for _, d := range page.Operations {
		bytes += len(d.Metadata) + len(d.Description) + len(d.Note)
	}
	if err := s.holdPage(ctx, bytes); err != nil {
		return nil, err
	}
	b := pageBody{
		Object: "list", HasMore: page.Next != nil, NextCursor: cursors.text(page.Next), Data: make([]operationBody, 0, len(page.Operations)),
	}
	for _, d := range page.Operations {
		b.Data = append(b.Data, newOperation(d, caller(ctx)))
	}
	return &struct{ Body pageBody }{b}, nil
}

// filter reads the query, all but its cursor. A merchant sees its own without saying so.
func (in *listInput) filter(k ledger.Key) (f Filter, err error) {
	var faults []Fault
	add := func(field, message string) {
		faults = append(faults, Fault{Location: "query." + field, Message: message})
	}
	if in.Wallet != "" {
		if f.Wallet, err = ledger.ParseWalletID(in.Wallet); err != nil {
			add("wallet_id", "is not a wallet ID")
		}
	}
	if k.Role == ledger.RoleMerchant {
		f.Merchant = k.Merchant()
	}
	if in.Merchant != "" {
		if f.Merchant, err = ledger.ParseMerchantID(in.Merchant); err != nil {
			add("merchant_id", "is not a merchant ID")
		}
	}
	f.Invoice = written(in.Invoice)
	for _, fault := range (ledger.Request{Kind: ledger.KindCharge, Invoice: f.Invoice}).Faults() {
		if fault.Field == "invoice" {
			add("invoice", fault.Message)
		}
	}
	return f, invalid(faults)
}

// visible refuses a list that the caller may not see, and one that nothing narrows.
func (s *Server) visible(ctx context.Context, f Filter) error {
	k := caller(ctx)
	switch k.Role {
	case ledger.RoleMerchant:
		if !k.May("list-operations", ledger.Party{Role: ledger.RoleMerchant, Owner: f.Merchant}) {
			return ledger.ErrNotFound
		}
		return nil
	case ledger.RoleClient:
		if f.Wallet.IsZero() {
			return refuse(CodeFilterRequired, "a client's list needs wallet_id")
		}
	case ledger.RoleOperator:
		if f.Wallet.IsZero() && f.Merchant.IsZero() {
			return refuse(CodeFilterRequired, "the list needs wallet_id or merchant_id")
		}
	}
	if f.Wallet.IsZero() {
		return nil
	}
	_, err := s.visibleWallet(ctx, f.Wallet)
	if k.Role == ledger.RoleOperator && errors.Is(err, ledger.ErrNotFound) {
		// Charges of a wallet that never was are on record too.
		return nil
	}
	return err
}
