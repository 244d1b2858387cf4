package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

// operationRow receives the columns that every query for operations names, in
// their order. It is used again for the next row.
type operationRow struct {
	logOffset, sequence, amount, balanceAfter      pgtype.Int8
	receivedAt, decidedAt, applyBefore             pgtype.Timestamptz
	log                                            pgtype.Int4
	id, wallet, merchant, client, duplicateOf      pgtype.UUID
	kind, reason, currency, statusAfter            pgtype.Text
	fingerprint, digest                            []byte
	idempotencyKey, invoice, description, metadata pgtype.Text
	note                                           pgtype.Text
}

func (r *operationRow) targets(more ...any) []any {
	return append([]any{
		&r.logOffset, &r.sequence, &r.amount, &r.balanceAfter, &r.receivedAt, &r.decidedAt, &r.applyBefore, &r.log, &r.id,
		&r.wallet, &r.merchant, &r.client, &r.duplicateOf, &r.kind, &r.reason, &r.currency, &r.statusAfter, &r.fingerprint,
		&r.digest, &r.idempotencyKey, &r.invoice, &r.description, &r.metadata, &r.note,
	}, more...)
}

func (r *operationRow) operation() ledger.Operation {
	o := ledger.Operation{
		Request: ledger.Request{
			ID:             r.id.Bytes,
			Kind:           ledger.Kind(r.kind.String),
			Wallet:         r.wallet.Bytes,
			Merchant:       r.merchant.Bytes,
			Client:         r.client.Bytes,
			Amount:         r.amount.Int64,
			Currency:       ledger.Currency(r.currency.String),
			Invoice:        r.invoice.String,
			Description:    r.description.String,
			Metadata:       ledger.Metadata(r.metadata.String),
			Note:           r.note.String,
			IdempotencyKey: r.idempotencyKey.String,
			ApplyBefore:    utc(r.applyBefore),
			ReceivedAt:     utc(r.receivedAt),
		},
		Place:        ledger.Place{Log: r.log.Int32, Offset: r.logOffset.Int64},
		Reason:       ledger.Reason(r.reason.String),
		DuplicateOf:  r.duplicateOf.Bytes,
		Sequence:     r.sequence.Int64,
		BalanceAfter: r.balanceAfter.Int64,
		StatusAfter:  ledger.WalletStatus(r.statusAfter.String),
		DecidedAt:    utc(r.decidedAt),
	}
	copy(o.Fingerprint[:], r.fingerprint)
	copy(o.Digest[:], r.digest)
	return o
}

// walletRow receives the columns that every query for wallets names.
type walletRow struct {
	wallet ledger.Wallet
	digest []byte
}

func (r *walletRow) targets() []any {
	w := &r.wallet
	return []any{
		(*[16]byte)(&w.ID), (*[16]byte)(&w.Client), (*string)(&w.Currency), (*string)(&w.Status), &w.Balance, &w.CreditLimit,
		&w.Sequence, &r.digest,
	}
}

func (r *walletRow) read() ledger.Wallet {
	w := r.wallet
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
