package postgres

import (
	_ "embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

var (
	//go:embed queries/write_operations.sql
	writeOperationsText string
	//go:embed queries/open_wallet.sql
	openWalletSQL string
	//go:embed queries/update_wallets.sql
	updateWalletsSQL string
	//go:embed queries/write_holds.sql
	writeHoldsSQL string
	//go:embed queries/end_hold.sql
	endHoldSQL string
	//go:embed queries/write_balances.sql
	writeBalancesSQL string
	//go:embed queries/write_dead_letters.sql
	writeDeadLettersSQL string
	//go:embed queries/write_conflicts.sql
	writeConflictsSQL string
)

// maxFault is how much of a dead letter's reason is kept, in bytes.
const maxFault = 1000

// writeSet is what one transaction writes, besides where the progress then stands.
type writeSet struct {
	partition   int
	log         int32
	book        *ledger.Book
	deadLetters []deadLetter
	tally       processor.Tally
}

// deadLetter is a record to keep aside.
type deadLetter struct {
	item      processor.Item
	operation ledger.OperationID // recorded beside it; zero: none
}

// queue queues everything besides the operations.
func (w *writeSet) queue(b *pgx.Batch) {
	w.queueWallets(b)
	w.queueHolds(b)
	w.queueMandates(b)
	w.queueBalances(b)
	w.queueDeadLetters(b)
	w.queueConflicts(b)
}

func (w *writeSet) queueWallets(b *pgx.Batch) {
	opened := map[ledger.WalletID]time.Time{}
	for i := range w.book.Operations() {
		if op := &w.book.Operations()[i]; op.Sequence == 1 {
			opened[op.Wallet] = op.DecidedAt
		}
	}
	wallets := w.book.Wallets()
	n := len(wallets)
	id, status := make([]ledger.WalletID, 0, n), make(pgtype.FlatArray[string], 0, n)
	balance, limit, sequence := make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n)
	held, holds := make([]int64, 0, n), make([]int64, 0, n)
	digest := make(pgtype.FlatArray[[]byte], 0, n)
	for i := range wallets {
		x := &wallets[i]
		if at, is := opened[x.ID]; is {
			b.Queue(openWalletSQL, w.partition, at, [16]byte(x.ID), [16]byte(x.Client), string(x.Currency), string(x.Status),
				x.Balance, x.CreditLimit, x.Sequence, x.Digest[:], x.Held, x.Holds, pgtype.Text{String: string(x.Charges), Valid: x.Charges != ""})
			continue
		}
		id, status = append(id, x.ID), append(status, string(x.Status))
		balance, limit, sequence = append(balance, x.Balance), append(limit, x.CreditLimit), append(sequence, x.Sequence)
		digest = append(digest, x.Digest[:])
		held, holds = append(held, x.Held), append(holds, x.Holds)
	}
	if len(id) > 0 {
		b.Queue(updateWalletsSQL, w.partition, ids(id), status, balance, limit, sequence, digest, held, holds)
	}
}

func (w *writeSet) queueHolds(b *pgx.Batch) {
	opened, ended := w.book.Holds()
	for _, id := range ended {
		b.Queue(endHoldSQL, w.partition, [16]byte(id))
	}
	n := len(opened)
	if n == 0 {
		return
	}
	id, wallet, merchant := make([]ledger.OperationID, n), make([]ledger.WalletID, n), make([]ledger.MerchantID, n)
	invoice, expires := make(pgtype.FlatArray[pgtype.UUID], n), make(pgtype.FlatArray[pgtype.Timestamptz], n)
	for i := range opened {
		h := &opened[i]
		id[i], wallet[i], merchant[i], expires[i] = h.ID, h.Wallet, h.Merchant, orNull(h.ExpiresAt)
		if h.Invoice != "" {
			invoice[i] = idOrNull(ledger.NewInvoiceKey(h.Merchant, h.Invoice))
		}
	}
	b.Queue(writeHoldsSQL, w.partition, ids(id), ids(wallet), ids(merchant), invoice, expires)
}

func (w *writeSet) queueBalances(b *pgx.Batch) {
	movements := w.book.Movements()
	if len(movements) == 0 {
		return
	}
	account, currency := make([]ledger.AccountID, len(movements)), make(pgtype.FlatArray[string], len(movements))
	sum := make([]int64, len(movements))
	for i, m := range movements {
		account[i], currency[i], sum[i] = m.Account, string(m.Currency), m.Amount
	}
	b.Queue(writeBalancesSQL, w.partition, ids(account), currency, sum)
}

func (w *writeSet) queueConflicts(b *pgx.Batch) {
	conflicts := w.book.Conflicts()
	if len(conflicts) == 0 {
		return
	}
	offset, id := make([]int64, len(conflicts)), make([]ledger.OperationID, len(conflicts))
	fingerprint := make(pgtype.FlatArray[[]byte], len(conflicts))
	for i := range conflicts {
		offset[i], id[i], fingerprint[i] = conflicts[i].Place.Offset, conflicts[i].ID, conflicts[i].Fingerprint[:]
	}
	b.Queue(writeConflictsSQL, w.partition, w.log, offset, ids(id), fingerprint)
}

// queueDeadLetters must not fail whatever the records hold: there is no place left
// for a dead letter that is refused.
func (w *writeSet) queueDeadLetters(b *pgx.Batch) {
	n := len(w.deadLetters)
	if n == 0 {
		return
	}
	offset, at := make([]int64, n), make(pgtype.FlatArray[pgtype.Timestamptz], n)
	key, value := make(pgtype.FlatArray[[]byte], n), make(pgtype.FlatArray[[]byte], n)
	headers, reason := make(pgtype.FlatArray[string], n), make(pgtype.FlatArray[string], n)
	operation := make(pgtype.FlatArray[pgtype.UUID], n)
	for i, l := range w.deadLetters {
		r := l.item.Record
		offset[i], key[i], value[i], headers[i] = r.Offset, r.Key, r.Value, headersJSON(r.Headers)
		if storable(r.Time) {
			at[i] = orNull(r.Time)
		}
		reason[i], operation[i] = printable(l.item.Fault), idOrNull(l.operation)
	}
	b.Queue(writeDeadLettersSQL, w.partition, w.log, offset, at, key, value, headers, reason, operation)
}

// headersJSON keeps arbitrary bytes: in JSON, []byte is base64.
func headersJSON(headers []record.Header) string {
	type header struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	}
	list := make([]header, len(headers))
	for i, h := range headers {
		list[i] = header{Key: []byte(h.Key), Value: h.Value}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("a list of bytes did not encode: " + err.Error()) // cannot happen
	}
	return string(text)
}

// printable is text that any database takes.
func printable(text string) string {
	text = text[:min(len(text), maxFault)]
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
