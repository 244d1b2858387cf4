package system

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/recount"
)

// expireSends is how often an expire is sent again at most where nothing but processors fails.
const expireSends = 4

// verdict is what the checker found, as the operations it found it of.
type verdict struct {
	requests   int
	lost       []*taken
	twice      []*taken
	disordered []*taken
}

func (v verdict) String() string {
	return fmt.Sprintf("%d requests, %d lost, %d twice, %d out of order", v.requests, len(v.lost), len(v.twice), len(v.disordered))
}

// check ends the load and compares what the callers remember with what is on
// record: every 202 has one outcome, each wallet's operations stand in the order
// of their offsets and each caller's in the order of its calls, each history, all
// balances and all that is held are what a second decision makes of what the callers asked, nobody but Monedero itself
// ended a hold for its time, no more records are duplicates than callers repeated (unless Kafka was so slow, or failed,
// that an ingest sent a batch again), and `monedero verify` finds nothing.
func (s *stack) check(l *load) verdict {
	t := s.t
	t.Helper()
	all := l.finish()
	asked, b := byKey(all), s.books()
	v, faults := b.judge(l, all, asked)
	for _, fault := range append(faults, b.recount(l, asked)...) {
		t.Error(fault)
	}
	if n := s.count("select count(*) from operations where (kind is not distinct from 'expire') <> (asker_role is not distinct from 'system')"); n != 0 {
		t.Errorf("%d operations are expires that somebody asked for, or Monedero asked for more", n)
	}
	if n := s.count("select count(*) from (select log_offset, lag(log_offset) over (partition by wallet_id order by sequence) as before " +
		"from operations where log_offset is not null and sequence is not null) o where before >= log_offset"); n != 0 {
		t.Errorf("%d operations stand before one with a lower offset", n)
	}
	kinds := outcomes(b.history)
	// Who takes a partition over sends the expires of the holds that are due, which its predecessor may have sent too.
	most := l.repeated.Load() + expireSends*int64(kinds[string(ledger.KindExpire)])
	if n := s.count("select sum(duplicates)::bigint from partition_progress"); n > most && !l.resent && !s.resent() {
		t.Errorf("%d records were duplicates; they were repeated %d times at most", n, most)
	}
	t.Log(v, kinds)
	t.Log(s.monedero("verify"))
	if len(v.lost)+len(v.twice)+len(v.disordered) > 0 {
		list, _ := s.partitions()
		t.Errorf("not as promised: %s\n%s", v, list)
	}
	return v
}

// judge holds what is on record against what the callers remember. Only what was decided at once may be lost, and that only where the
// database was put back to a moment before.
func (b books) judge(l *load, all []*taken, asked map[string]*taken) (v verdict, faults []string) {
	v.requests = len(all)
	times, sequences := map[string]int{}, map[string]int64{}
	for _, o := range b.history {
		times[o.wallet+o.key]++
		sequences[o.wallet+o.key] = o.Sequence
		if c := asked[o.wallet+o.key]; o.loaded() && (c == nil || c.Kind != o.Kind || c.Refers() != o.Refers) {
			faults = append(faults, fmt.Sprintf("on record is a %s that no caller was told of: %s", o.Kind, o.key))
		}
	}
	for _, c := range all {
		switch n := times[c.Wallet+c.key]; {
		case n == 0 && client.Direct(c.Kind) && l.mayBeUndone(c.at):
		case n == 0:
			v.lost = append(v.lost, c)
		case n > 1:
			v.twice = append(v.twice, c)
		}
	}
	v.disordered = disordered(all, sequences)
	return v, faults
}

// byKey finds a request by its wallet and its key.
func byKey(all []*taken) map[string]*taken {
	found := make(map[string]*taken, len(all))
	for _, c := range all {
		found[c.Wallet+c.key] = c
	}
	return found
}

// outcomes counts operations by kind and reason.
func outcomes(history []recorded) map[string]int {
	n := map[string]int{}
	for _, o := range history {
		n[strings.TrimSpace(string(o.Kind)+" "+string(o.Reason))]++
	}
	return n
}

// recount decides the history of each of the load's wallets again, on what its callers asked,
// and compares what comes of it with every balance and what is held. It returns what is wrong.
func (b books) recount(l *load, asked map[string]*taken) (faults []string) {
	wrong := func(format string, args ...any) {
		if len(faults) < mostFaults {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	wallets, earned := map[string]*recount.Wallet{}, int64(0)
	funding := map[string]int64{}
	for i, id := range l.wallets {
		wallets[id], funding[id] = new(recount.Wallet), l.funding(i)
	}
	for _, o := range b.history {
		w := wallets[o.wallet]
		if w == nil {
			continue
		}
		switch c := asked[o.wallet+o.key]; {
		case c != nil:
			o.Asked, o.Keeps, o.ExpiresIn, o.Invoice, o.Limits, o.Answered = c.Amount, c.Keeps(), c.ExpiresIn, c.Invoice, c.Limits, c.at
		case o.Kind == ledger.KindTopUp:
			o.Asked = funding[o.wallet]
		case o.Kind == ledger.KindOpen:
			o.Mandated = slices.Contains(l.consents.wallets, o.wallet)
		}
		o.Merchant = l.merchant
		if len(l.undone) > 0 { // and decided anew
			o.Received = o.received
		}
		if fault := w.Next(o.Operation); fault != "" {
			wrong("operation %s of wallet %s, a %s under %q, %s", o.ID, o.wallet, o.Kind, o.key, fault)
		}
		_, times := client.Moves(o.Kind)
		earned += times * o.Moved
	}
	for id, w := range wallets {
		if want := (client.Funds{Balance: w.Balance(), Held: w.Held()}); b.wallets[id] != want {
			wrong("wallet %s has %+v; its callers expect %+v", id, b.wallets[id], want)
		}
	}
	if n := b.accounts[l.merchant]; n != earned {
		wrong("the merchant has %d; its callers expect %d", n, earned)
	}
	if b.sum != 0 {
		wrong("all accounts together hold %d", b.sum)
	}
	return faults
}

// resent reports whether an ingest that runs sent a batch once more, as it does where the
// broker has not answered in time: the callers know nothing of that.
func (s *stack) resent() bool {
	return slices.ContainsFunc(s.ingests, func(p *process) bool {
		return p.running() && p.metric("monedero_kafka_produce_retries_total") > 0
	})
}

// disordered are the requests that were decided before one that the same caller
// had submitted to the same wallet, and been answered, earlier.
func disordered(all []*taken, sequences map[string]int64) (wrong []*taken) {
	type line struct {
		caller int
		wallet string
	}
	last := map[line]int64{}
	inOrder := slices.Clone(all)
	slices.SortStableFunc(inOrder, func(a, b *taken) int { return a.at.Compare(b.at) })
	for _, c := range inOrder {
		at := line{c.caller, c.Wallet}
		sequence, found := sequences[c.Wallet+c.key]
		if found && sequence <= last[at] {
			wrong = append(wrong, c)
		}
		last[at] = max(last[at], sequence)
	}
	return wrong
}

// recorded is an operation as it is on record.
type recorded struct {
	recount.Operation
	wallet, key string
	received    time.Time
}

// loaded reports whether the operation is of a kind that only callers ask for.
func (o recorded) loaded() bool {
	return slices.Contains(client.Asked(), o.Kind) && o.Kind != ledger.KindTopUp
}

// books is all that is on record at one moment: a hold may expire at any time.
type books struct {
	history  []recorded // each wallet's in the order in which they were decided
	wallets  map[string]client.Funds
	accounts map[string]int64 // of merchants
	sum      int64            // of all that is anywhere
}

func (s *stack) books() books {
	s.t.Helper()
	b := books{wallets: map[string]client.Funds{}, accounts: map[string]int64{}}
	conn, err := pgx.Connect(s.t.Context(), s.database)
	s.must(err)
	defer conn.Close(s.t.Context())
	tx, err := conn.BeginTx(s.t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	s.must(err)
	defer tx.Rollback(s.t.Context()) //nolint:errcheck // it wrote nothing
	s.read(tx, "select id, wallet_id, coalesce(kind, ''), coalesce(idempotency_key, ''), refers_to, coalesce(sequence, 0), coalesce(reason, ''), "+
		"case when reason is null and kind <> 'set_limit' then coalesce(moved, amount, 0) else 0 end, coalesce(left_after, 0), coalesce(balance_after, 0), "+
		"coalesce(held_after, 0), decided_at, coalesce(received_at, decided_at) from operations order by wallet_id, sequence",
		func(rows pgx.Rows) error {
			var id, wallet [16]byte
			var refers *[16]byte
			var o recorded
			err := rows.Scan(&id, &wallet, &o.Kind, &o.key, &refers, &o.Sequence, &o.Reason, &o.Moved, &o.Left, &o.BalanceAfter,
				&o.HeldAfter, &o.At, &o.received)
			o.ID, o.wallet = ledger.OperationID(id).String(), ledger.WalletID(wallet).String()
			if refers != nil {
				o.Refers = ledger.OperationID(*refers).String()
			}
			b.history = append(b.history, o)
			return err
		})
	s.read(tx, "select id, balance, held from wallets", func(rows pgx.Rows) error {
		var wallet [16]byte
		var f client.Funds
		err := rows.Scan(&wallet, &f.Balance, &f.Held)
		b.wallets[ledger.WalletID(wallet).String()] = f
		b.sum += f.Balance
		return err
	})
	s.read(tx, "select account_id, sum(balance)::bigint from account_balances group by account_id", func(rows pgx.Rows) error {
		var account [16]byte
		var balance int64
		err := rows.Scan(&account, &balance)
		b.accounts[ledger.MerchantID(account).String()] = balance
		b.sum += balance
		return err
	})
	return b
}

// count runs a query that counts, as the owner.
func (s *stack) count(query string) (n int64) {
	s.t.Helper()
	s.query(query, func(rows pgx.Rows) error { return rows.Scan(&n) })
	return n
}

// query runs a query as the owner, and a function for each row.
func (s *stack) query(query string, row func(pgx.Rows) error) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.database)
	s.must(err)
	defer conn.Close(s.t.Context())
	s.read(conn, query, row)
}

// read runs a query there, and a function for each row.
func (s *stack) read(from interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, query string, row func(pgx.Rows) error,
) {
	s.t.Helper()
	rows, err := from.Query(s.t.Context(), query)
	s.must(err)
	for rows.Next() {
		s.must(row(rows))
	}
	s.must(rows.Err())
}

func (s *stack) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// mustNotFence fails the test if the processor was ever fenced: nothing that is
// done in order makes anybody settle under a claim that another one took.
func mustNotFence(t *testing.T, p *process) {
	t.Helper()
	if n := p.metric("monedero_fenced_total"); n != 0 {
		t.Errorf("%s was fenced %v times", p.name, n)
	}
}
