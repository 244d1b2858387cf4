package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

// walletRow receives the columns that every query for wallets names.
type walletRow struct {
	wallet  ledger.Wallet
	charges textOrNull
	digest  []byte
}

func (r *walletRow) targets() []any {
	w := &r.wallet
	return []any{
		(*[16]byte)(&w.ID), (*[16]byte)(&w.Client), (*string)(&w.Currency), (*string)(&w.Status), &r.charges, &w.Balance, &w.CreditLimit,
		&w.Held, &w.Holds, &w.Sequence, &r.digest,
	}
}

func (r *walletRow) read() ledger.Wallet {
	w := r.wallet
	w.Charges = ledger.Charges(r.charges)
	copy(w.Digest[:], r.digest)
	return w
}

// utc is the time, or the zero time for null.
func utc(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// orNull is null for the zero time.
func orNull(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

// idOrNull is null for the zero ID.
func idOrNull[T ~[16]byte](id T) pgtype.UUID {
	return pgtype.UUID{Bytes: id, Valid: id != T{}}
}

// ids are the IDs as the driver takes them.
func ids[T ~[16]byte](list []T) pgtype.FlatArray[[16]byte] {
	out := make(pgtype.FlatArray[[16]byte], len(list))
	for i, id := range list {
		out[i] = id
	}
	return out
}

// referredRow receives what another operation refers to; nulls where there is none.
type referredRow struct {
	kind             pgtype.Text
	wallet, merchant pgtype.UUID
	accepted         pgtype.Bool
	left             pgtype.Int8
	invoice, last    pgtype.Text
	parts            pgtype.Int8
	captured         pgtype.Bool
	day              pgtype.Int4
}

func (r *referredRow) targets() []any {
	return []any{&r.kind, &r.wallet, &r.merchant, &r.accepted, &r.left, &r.invoice, &r.last, &r.parts, &r.captured, &r.day}
}

func (r *referredRow) read() ledger.Referred {
	x := ledger.Referred{
		Kind: ledger.Kind(r.kind.String), Wallet: r.wallet.Bytes, Merchant: r.merchant.Bytes, Accepted: r.accepted.Bool,
	}
	if x.Accepted {
		x.Left = r.left.Int64
	}
	if x.Kind == ledger.KindHold {
		x.Invoice, x.Last, x.Parts, x.Captured = r.invoice.String, ledger.Kind(r.last.String), int(r.parts.Int64), r.captured.Bool
		x.Day = r.day.Int32
	}
	return x
}
