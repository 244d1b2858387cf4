package system

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
)

// verdict is what the checker found, as the operations it found it of.
type verdict struct {
	charges    int
	lost       []*taken
	twice      []*taken
	disordered []*taken
}

func (v verdict) String() string {
	return fmt.Sprintf("%d charges, %d lost, %d twice, %d out of order", v.charges, len(v.lost), len(v.twice), len(v.disordered))
}

// settled is what the history says of one charge.
type settled struct {
	sequence, offset int64
	accepted         bool
	times            int
}

// check ends the load and compares what the callers remember with what is on
// record: every 202 has one outcome, each wallet's operations stand in the order
// of their offsets and each caller's in the order of its calls, the balances are
// what the callers expect, no more records are duplicates than callers repeated
// (unless Kafka was so slow, or failed, that an ingest sent a batch again), and `monedero verify` finds nothing.
func (s *stack) check(l *load) verdict {
	t := s.t
	t.Helper()
	all := l.finish()
	v := verdict{charges: len(all)}
	history, known := s.history(), map[string]bool{}
	spent := map[string]int64{}
	for _, c := range all {
		known[c.wallet+c.key] = true
		h := history[c.wallet+c.key]
		switch {
		case h.times == 0:
			v.lost = append(v.lost, c)
		case h.times > 1:
			v.twice = append(v.twice, c)
		}
		if h.accepted {
			spent[c.wallet] += loadAmount
		}
	}
	for key := range history {
		if !known[key] {
			t.Errorf("on record is a charge that no caller was told of: %s", key)
		}
	}
	v.disordered = disordered(all, history)
	for wallet, balance := range s.balances() {
		if want := loadFunding - spent[wallet]; slices.Contains(l.wallets, wallet) && balance != want {
			t.Errorf("wallet %s holds %d; its callers expect %d", wallet, balance, want)
		}
	}
	if n := s.count("select count(*) from (select log_offset, lag(log_offset) over (partition by wallet_id order by sequence) as before " +
		"from operations where log_offset is not null and sequence is not null) o where before >= log_offset"); n != 0 {
		t.Errorf("%d operations stand before one with a lower offset", n)
	}
	if n, most := s.count("select sum(duplicates)::bigint from partition_progress"), l.repeated.Load(); n > most && !l.resent && !s.resent() {
		t.Errorf("%d records were duplicates; the callers repeated %d times at most", n, most)
	}
	t.Log(v)
	t.Log(s.monedero("verify"))
	if len(v.lost)+len(v.twice)+len(v.disordered) > 0 {
		list, _ := s.partitions()
		t.Errorf("not as promised: %s\n%s", v, list)
	}
	return v
}

// resent reports whether an ingest that runs sent a batch once more, as it does where the
// broker has not answered in time: the callers know nothing of that.
func (s *stack) resent() bool {
	return slices.ContainsFunc(s.ingests, func(p *process) bool {
		return p.running() && p.metric("monedero_kafka_produce_retries_total") > 0
	})
}

// disordered are the charges that were decided before one that the same caller
// had submitted to the same wallet, and been answered, earlier.
func disordered(all []*taken, history map[string]settled) (wrong []*taken) {
	type line struct {
		caller int
		wallet string
	}
	last := map[line]int64{}
	inOrder := slices.Clone(all)
	slices.SortStableFunc(inOrder, func(a, b *taken) int { return a.at.Compare(b.at) })
	for _, c := range inOrder {
		at := line{c.caller, c.wallet}
		h := history[c.wallet+c.key]
		if h.times > 0 && h.sequence <= last[at] {
			wrong = append(wrong, c)
		}
		last[at] = max(last[at], h.sequence)
	}
	return wrong
}

// history reads every charge, by wallet and key.
func (s *stack) history() map[string]settled {
	s.t.Helper()
	found := map[string]settled{}
	s.query("select wallet_id, idempotency_key, coalesce(sequence, 0), log_offset, reason is null from operations where kind = 'charge'",
		func(rows pgx.Rows) error {
			var wallet [16]byte
			var key string
			var o settled
			err := rows.Scan(&wallet, &key, &o.sequence, &o.offset, &o.accepted)
			key = ledger.WalletID(wallet).String() + key
			o.times = found[key].times + 1
			found[key] = o
			return err
		})
	return found
}

func (s *stack) balances() map[string]int64 {
	s.t.Helper()
	found := map[string]int64{}
	s.query("select id, balance from wallets", func(rows pgx.Rows) error {
		var wallet [16]byte
		var balance int64
		err := rows.Scan(&wallet, &balance)
		found[ledger.WalletID(wallet).String()] = balance
		return err
	})
	return found
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
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(s.t.Context(), s.database)
	must(err)
	defer conn.Close(s.t.Context())
	rows, err := conn.Query(s.t.Context(), query)
	must(err)
	for rows.Next() {
		must(row(rows))
	}
	must(rows.Err())
}

// mustNotFence fails the test if the processor was ever fenced: nothing that is
// done in order makes anybody settle under a claim that another one took.
func mustNotFence(t *testing.T, p *process) {
	t.Helper()
	if n := p.metric("monedero_fenced_total"); n != 0 {
		t.Errorf("%s was fenced %v times", p.name, n)
	}
}
