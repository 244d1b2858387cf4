package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

type listInput struct {
	Wallet   string `query:"wallet_id" doc:"Only operations of this wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Merchant string `query:"merchant_id" doc:"Only operations of this merchant. A merchant's key sees its own without saying so." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Client   string `query:"client_id" doc:"Only operations of this client's wallets. A client's key sees its own without saying so." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Status   string `query:"status" enum:"accepted,failed" doc:"Only operations that came to this." example:"failed"`
	Kind     string `query:"kind" doc:"Only operations of this kind." example:"charge"`
	Reason   string `query:"reason" doc:"Only operations that failed for this reason." example:"insufficient_funds"`
	From     string `query:"from" doc:"Only operations decided at this time or later." example:"2026-01-01T00:00:00Z"`
	To       string `query:"to" doc:"Only operations decided before this time." example:"2026-02-01T00:00:00Z"`
	Invoice  string `query:"invoice" doc:"Only what was charged, captured or refused for this invoice; beside wallet_id also accepted holds." example:"INV-1001"`
	Key      string `query:"idempotency_key" doc:"Only operations that the caller itself asked for under this idempotency key, with a wallet_id." example:"order 4711"`
	Listed
}

type pageBody struct {
	Object     string          `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []operationBody `json:"data" nullable:"false" doc:"Decided operations."`
	HasMore    bool            `json:"has_more" doc:"Whether there is another page, however many this one shows." example:"true"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"rVj45R_YF2Y84ThT9NVywISpygYUeVE6hj-wAV9WBFlQvI-iQV2DTrVVGQsjFrC0CJiKoncY-fhO2ZvU8jUaMH91Fo7xmVTagr__Ow"`
}

// operations lists decided operations: to a merchant its own, to a client those
// of its wallets, to the operator those of any wallet, merchant or client.
func (s *Server) operations(ctx context.Context, in *listInput) (*tableOutput, error) {
	f, err := in.filter(caller(ctx), s.minter)
	if err != nil {
		return nil, err
	}
	cursors, err := cursorsOf(s.minter, in.list(f)...)
	if err != nil {
		return nil, err
	}
	if f.After, err = cursors.parse(in.Cursor); err != nil {
		return nil, err
	}
	some, err := s.visible(ctx, f)
	if err != nil {
		return nil, err
	}
	if f.ByMerchant, err = s.stranger(ctx, f); err != nil {
		return nil, err
	}
	if in.csv {
		f.Limit = streamRows
		return asCSV(ctx, s, func(ctx context.Context) ([]operationBody, bool, error) {
			page, data, err := s.listOperations(ctx, f, some)
			f.After = page.Next
			return data, page.Next != nil, err
		})
	}
	f.Limit = in.Limit
	page, data, err := s.listOperations(ctx, f, some)
	if err != nil {
		return nil, err
	}
	bytes := 0
	for i := range page.Operations {
		bytes += page.Operations[i].TextBytes()
	}
	if err := s.holdPage(ctx, bytes); err != nil {
		return nil, err
	}
	next := cursors.text(page.Next)
	return asJSON(in.link(next), &pageBody{Object: "list", HasMore: page.Next != nil, NextCursor: next, Data: data}), nil
}

// listOperations reads a page, and what the caller may see of it; nothing if nothing can be on the list.
func (s *Server) listOperations(ctx context.Context, f Filter, some bool) (page Page, data []operationBody, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if some {
		if page, err = s.history.List(ctx, f); err != nil {
			return Page{}, nil, fmt.Errorf("list operations: %w", err)
		}
	}
	data = make([]operationBody, 0, len(page.Operations))
	for _, d := range page.Operations {
		if caller(ctx).SeesOperation(d.Operation, d.Owner) {
			data = append(data, newOperation(d, caller(ctx)))
		}
	}
	return page, data, nil
}

// list names the list of the filter: what its cursors go with.
func (in *listInput) list(f Filter) []string {
	names := []string{
		"operations", f.Wallet.String(), f.Merchant.String(), f.Client.String(), f.Invoice, string(f.Status), string(f.Kind), string(f.Reason),
		stamp(f.From), stamp(f.To),
	}
	for _, id := range f.IDs {
		names = append(names, id.String())
	}
	return names
}

// filter reads the query, all but its cursor. Merchants and clients see their own without saying so.
func (in *listInput) filter(k ledger.Key, m *ledger.Minter) (f Filter, err error) {
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
	if k.Role == ledger.RoleClient {
		f.Client = k.Owner
	}
	if in.Client != "" {
		if f.Client, err = ledger.ParseClientID(in.Client); err != nil {
			add("client_id", "is not a client ID")
		}
	}
	f.Invoice = written(in.Invoice)
	for _, fault := range (ledger.Request{Kind: ledger.KindCharge, Invoice: f.Invoice}).Faults() {
		if fault.Field == "invoice" {
			add("invoice", fault.Message)
		}
	}
	if f.Kind = ledger.Kind(in.Kind); in.Kind != "" && !f.Kind.Known() {
		add("kind", "is not a kind of operation")
	}
	if f.Reason = ledger.Reason(in.Reason); in.Reason != "" && !slices.Contains(ledger.Reasons(), f.Reason) {
		add("reason", "is not a reason")
	}
	if f.Status = ledger.Status(in.Status); in.Reason != "" && f.Status == ledger.StatusAccepted {
		add("reason", "goes with status=failed: what is accepted has none")
	}
	f.From, f.To, faults = between(in.From, in.To, faults)
	if in.Key != "" {
		key, wrong := readKey(in.Key, nil)
		for _, fault := range wrong {
			add("idempotency_key", fault.Message)
		}
		f.IDs = idsUnder(m, k.Party, f.Wallet, key)
	}
	return f, invalid(faults)
}

// between reads the times of a query, between which something is to lie; zero where there is none.
func between(from, to string, faults []Fault) (begin, end time.Time, _ []Fault) {
	begin, faults = queryTime("from", from, faults)
	end, faults = queryTime("to", to, faults)
	if !begin.IsZero() && !end.IsZero() && end.Before(begin) {
		faults = append(faults, Fault{Location: "query.to", Message: "must not lie before from"})
	}
	// Times on record have microseconds: what lies at a time between two of them or behind it, lies at the next or behind it.
	const most = time.Microsecond - 1
	return begin.Add(most).Truncate(time.Microsecond), end.Add(most).Truncate(time.Microsecond), faults
}

// queryTime reads a time of a query; zero where there is none.
func queryTime(name, text string, faults []Fault) (time.Time, []Fault) {
	if text == "" {
		return time.Time{}, faults
	}
	t, ok := parseInstant(text)
	if !ok || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, append(faults, Fault{Location: "query." + name, Message: "must be a time as in RFC 3339, in the years 1970 to 9999"})
	}
	return t, faults
}

// idsUnder are the IDs that the party's requests to the wallet have under the idempotency key, one for
// each kind.
func idsUnder(m *ledger.Minter, asker ledger.Party, wallet ledger.WalletID, key string) []ledger.OperationID {
	kinds := ledger.Kinds()
	ids := make([]ledger.OperationID, len(kinds))
	for i, kind := range kinds {
		ids[i] = m.OperationID(ledger.Identity{Kind: kind, Asker: asker, Wallet: wallet, Source: ledger.SourceKey, Value: key})
	}
	return ids
}

// stranger reports whether the wallet of a merchant's list is not there to that: whether it exists, and how much lies in it,
// must not show in the list then, nor in the time that it takes.
func (s *Server) stranger(ctx context.Context, f Filter) (bool, error) {
	if caller(ctx).Role != ledger.RoleMerchant || f.Wallet.IsZero() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	known, err := s.accounts.KnownWallets(ctx, []ledger.WalletMerchant{{Wallet: f.Wallet, Merchant: f.Merchant}})
	if err != nil {
		return false, fmt.Errorf("look for the wallet: %w", err)
	}
	return len(known) == 0, nil
}

// visible refuses a list that the caller may not see, and one that nothing narrows. It reports whether
// anything can be on the list.
func (s *Server) visible(ctx context.Context, f Filter) (some bool, err error) {
	k := caller(ctx)
	switch {
	case k.Role == ledger.RoleMerchant && (!f.Client.IsZero() || !k.May("list-operations", ledger.Party{Role: ledger.RoleMerchant, Owner: f.Merchant})),
		k.Role == ledger.RoleClient && !k.May("list-operations", ledger.Party{Role: ledger.RoleClient, Owner: f.Client}):
		return false, ledger.ErrNotFound
	case f.IDs != nil && f.Wallet.IsZero():
		return false, refuse(CodeFilterRequired, "idempotency_key needs wallet_id: keys belong to a wallet")
	case f.Wallet.IsZero() && f.Merchant.IsZero() && f.Client.IsZero():
		return false, refuse(CodeFilterRequired, "the list needs wallet_id, merchant_id or client_id; all other filters go with any of these")
	case f.Wallet.IsZero() || k.Role == ledger.RoleMerchant:
		return true, nil
	}
	w, err := s.visibleWallet(ctx, f.Wallet)
	switch {
	case k.Role == ledger.RoleOperator && errors.Is(err, ledger.ErrNotFound):
		// Charges of a wallet that never was are on record too.
		return f.Client.IsZero(), nil
	case err != nil:
		return false, err
	}
	return f.Client.IsZero() || f.Client == w.Client, nil
}
