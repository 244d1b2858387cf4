package ingest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

type listInput struct {
	Wallet   string `query:"wallet_id" doc:"Only operations of this wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Merchant string `query:"merchant_id" doc:"Only operations of this merchant. A merchant's key sees its own without saying so." example:"mer_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Invoice  string `query:"invoice" doc:"Only charges of this invoice, failed attempts too, within a wallet or a merchant." example:"INV-1001"`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"How many operations to show at most. A page may show fewer, or none, though has_more is true." example:"50"`
	Cursor   string `query:"cursor" doc:"next_cursor of the page before. It goes with the same filters only." example:"AgAAAAAAAAACAAZHaQU6hYABkx3l6KZ6jJsnKmYoirCMjJsnKmYoipmUKTSnw8Bgrw"`
}

type pageBody struct {
	Object     string          `json:"object" doc:"What this is." enum:"list" example:"list"`
	Data       []operationBody `json:"data" nullable:"false" doc:"Decided operations."`
	HasMore    bool            `json:"has_more" doc:"Whether there is another page, however many this one shows." example:"true"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"What to send as cursor for the next page." example:"AgAAAAAAAAACAAZHaQU6hYABkx3l6KZ6jJsnKmYoirCMjJsnKmYoipmUKTSnw8Bgrw"`
}

// operations lists decided operations: to a merchant its own, to a client those
// of its wallets, to the operator those of any wallet or merchant.
func (s *Server) operations(ctx context.Context, in *listInput) (*struct{ Body pageBody }, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	if f, err = s.visible(ctx, f); err != nil {
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
		Object: "list", HasMore: page.Next != nil, NextCursor: page.Next.text(), Data: make([]operationBody, 0, len(page.Operations)),
	}
	for _, d := range page.Operations {
		b.Data = append(b.Data, newOperation(d, caller(ctx)))
	}
	return &struct{ Body pageBody }{b}, nil
}

// filter reads the query.
func (in *listInput) filter() (f Filter, err error) {
	var faults []Fault
	add := func(field, message string) {
		faults = append(faults, Fault{Location: "query." + field, Message: message})
	}
	if in.Wallet != "" {
		if f.Wallet, err = ledger.ParseWalletID(in.Wallet); err != nil {
			add("wallet_id", "is not a wallet ID")
		}
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
	if in.Cursor != "" {
		if f.After, err = parseCursor(in.Cursor); err != nil {
			add("cursor", "is not a cursor of this list")
		}
	}
	return f, invalid(faults)
}

// visible narrows the filter to what the caller may see.
func (s *Server) visible(ctx context.Context, f Filter) (Filter, error) {
	k := caller(ctx)
	switch k.Role {
	case RoleMerchant:
		if !f.Merchant.IsZero() && f.Merchant != k.Merchant {
			return f, ErrNotFound
		}
		f.Merchant = k.Merchant
		return f, nil
	case RoleClient:
		if f.Wallet.IsZero() {
			return f, refuse(CodeFilterRequired, "a client's list needs wallet_id")
		}
	case RoleOperator:
		if f.Wallet.IsZero() && f.Merchant.IsZero() {
			return f, refuse(CodeFilterRequired, "the list needs wallet_id or merchant_id")
		}
	}
	if f.Wallet.IsZero() {
		return f, nil
	}
	_, err := s.visibleWallet(ctx, f.Wallet)
	if k.Role == RoleOperator && errors.Is(err, ErrNotFound) {
		// Charges of a wallet that never was are on record too.
		return f, nil
	}
	return f, err
}

// The form of a cursor: a version, the sequence, the time of decision in
// microseconds, the wallet, the operation.
const (
	cursorVersion = 2
	cursorBytes   = 1 + 8 + 8 + 16 + 16
)

var errCursor = errors.New("not a cursor")

// text is the cursor as callers see it; empty for none.
func (c *Cursor) text() string {
	if c == nil {
		return ""
	}
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Sequence))
	b = binary.BigEndian.AppendUint64(b, uint64(c.DecidedAt.UnixMicro()))
	b = append(b, c.Wallet[:]...)
	b = append(b, c.ID[:]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) (*Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion {
		return nil, errCursor
	}
	c := &Cursor{
		Sequence:  int64(binary.BigEndian.Uint64(b[1:])),
		DecidedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:]))).UTC(),
		Wallet:    ledger.WalletID(b[17:33]),
		ID:        ledger.OperationID(b[33:]),
	}
	if y := c.DecidedAt.Year(); c.Sequence < 0 || y < 1 || y > 9999 {
		return nil, errCursor
	}
	return c, nil
}
