package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/monedero/monedero/internal/ledger"
)

type walletBody struct {
	ID       string `json:"id" doc:"The wallet's ID." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Object   string `json:"object" doc:"What this is." enum:"wallet" example:"wallet"`
	ClientID string `json:"client_id" doc:"The client that owns the wallet." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Currency string `json:"currency" doc:"The wallet's currency, ISO 4217." example:"EUR"`
	Status   string `json:"status" doc:"What may be done with the wallet." enum:"active,frozen,closed" example:"active"`
	Charges  string `json:"charges" doc:"Who may charge the wallet and hold its money: merchants that have a mandate, or anyone." enum:"mandated,anyone" example:"mandated"`
	Balance  int64  `json:"balance" doc:"What is in the wallet, in minor units; below zero: what it owes." example:"8750"`
	Held     int64  `json:"held" doc:"What its open holds keep from being charged, in minor units." example:"5000"`
	Free     int64  `json:"available" doc:"What may be charged or held: the balance and the credit limit, less what is held, in minor units." example:"8750"`
	Limit    int64  `json:"credit_limit" doc:"How far below zero the balance may go, in minor units." example:"5000"`
	Sequence int64  `json:"sequence" doc:"How many operations the wallet has seen." example:"42"`
}

func newWallet(w ledger.Wallet) walletBody {
	return walletBody{
		ID: w.ID.String(), Object: "wallet", ClientID: w.Client.String(), Currency: string(w.Currency),
		Status: string(w.Status), Charges: chargesText(w.Charges), Balance: w.Balance, Held: w.Held, Free: w.Available(), Limit: w.CreditLimit, Sequence: w.Sequence,
	}
}

// anyone is how the API calls the zero value of [ledger.Charges].
const anyone = "anyone"

func chargesText(c ledger.Charges) string { return cmp.Or(string(c), anyone) }

type openBody struct {
	ClientID string `json:"client_id" doc:"The client that is to own the wallet." example:"cli_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	Currency string `json:"currency" doc:"The wallet's currency, ISO 4217. It never changes." example:"EUR"`
	Charges  string `json:"charges,omitempty" doc:"Who may charge the wallet and hold its money: merchants that have a mandate, or anyone. It never changes. Absent: mandated." enum:"mandated,anyone" example:"mandated"`
}

type creationInput struct {
	Key     string `header:"Idempotency-Key" doc:"Makes retries safe: the same key is the same object." example:"signup-93"`
	RawBody []byte `contentType:"application/json"`
}

type walletOutput struct {
	Status   int
	Replayed string `header:"Idempotent-Replayed" doc:"true: an earlier request under the same key made it." example:"true"`
	Body     walletBody
}

// openWallet makes a wallet by its first operation.
func (s *Server) openWallet(ctx context.Context, in *creationInput) (*walletOutput, error) {
	b, faults, err := decode[openBody](&s.bodies, in.RawBody)
	if err != nil {
		return nil, err
	}
	client, faults := bodyClient("client_id", b.ClientID, faults)
	charges := ledger.Charges(cmp.Or(b.Charges, string(ledger.ChargesMandated)))
	switch charges {
	case anyone:
		charges = ""
	case ledger.ChargesMandated:
	default:
		faults = addFault(faults, "body.charges", "must be mandated or anyone")
		charges = ""
	}
	key := written(in.Key)
	id, err := s.resourceID("wallet", key)
	if err != nil {
		return nil, err
	}
	op, made, err := s.apply(ctx, ledger.Request{
		Kind: ledger.KindOpen, Wallet: id, Client: client, Currency: ledger.Currency(b.Currency), Charges: charges, IdempotencyKey: key,
	}, faults)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, invalid([]Fault{{Location: "body.client_id", Message: "is no client"}})
	case err != nil:
		return nil, err
	case op.Reason != "":
		// Cannot be: nobody else's wallet has this ID.
		return nil, fmt.Errorf("open wallet %s: %s", op.Wallet, op.Reason)
	}
	w := ledger.Wallet{ID: op.Wallet, Client: op.Client, Currency: op.Currency, Charges: op.Charges}.After(op)
	if !made {
		if w, err = s.readWallet(ctx, op.Wallet); err != nil {
			return nil, err
		}
	}
	return &walletOutput{Status: created(made), Replayed: replayed(made), Body: newWallet(w)}, nil
}

// resourceID is computed under an idempotency key, so that a retry meets the
// same row; without one it is a new UUIDv7.
func (s *Server) resourceID(resource, key string) ([16]byte, error) {
	if key != "" {
		return s.minter.ResourceID(resource, "operator", key), nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return [16]byte{}, fmt.Errorf("draw an ID: %w", err)
	}
	return id, nil
}

type walletInput struct {
	Wallet string `path:"wallet" doc:"The wallet." example:"wal_01hzy3v7k2m4n6p8q0r2s4t6v8"`
	At     string `query:"at" doc:"Show the wallet as its last operation decided at this time or before left it; absent, or ahead: as it is." example:"2026-01-31T23:59:59Z"`
}

// wallet shows a wallet as it is, or as it was at a time.
func (s *Server) wallet(ctx context.Context, in *walletInput) (*struct{ Body walletBody }, error) {
	id, faults := pathWallet(in.Wallet, nil)
	at, faults := queryTime("at", in.At, faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	w, err := s.visibleWallet(ctx, id)
	if err != nil {
		return nil, err
	}
	if !at.IsZero() {
		// Times on record have microseconds: what lies at a time or before it, lies before the next microsecond.
		if w, err = s.walletBefore(ctx, w, at.Truncate(time.Microsecond).Add(time.Microsecond)); err != nil {
			return nil, err
		}
	}
	return &struct{ Body walletBody }{newWallet(w)}, nil
}

// visibleWallet is the wallet; to whom may not see it, it is not there.
func (s *Server) visibleWallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error) {
	w, err := s.readWallet(ctx, id)
	if err != nil {
		return ledger.Wallet{}, err
	}
	if !caller(ctx).SeesWallet(w.Client) {
		return ledger.Wallet{}, ledger.ErrNotFound
	}
	return w, nil
}

func (s *Server) walletBefore(ctx context.Context, w ledger.Wallet, before time.Time) (ledger.Wallet, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	w, err := s.accounts.WalletBefore(ctx, w, before)
	if err != nil {
		return ledger.Wallet{}, fmt.Errorf("read wallet: %w", err)
	}
	return w, nil
}

func (s *Server) readWallet(ctx context.Context, id ledger.WalletID) (ledger.Wallet, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	w, err := s.accounts.Wallet(ctx, id)
	if err != nil {
		return ledger.Wallet{}, fmt.Errorf("read wallet: %w", err)
	}
	return w, nil
}
