package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// large is a database of a million operations: a wallet with 400,000 of them, an
// invoice with 600,000 attempts on 100,000 wallets of one client, 500,000 of which
// failed, and 100,000 operations of a wallet that does not exist. Beside each of
// these there is a small one of its kind.
type large struct {
	*world
	big, middle, small, nowhere, nobody ledger.WalletID
	shop, crowd, kiosk, stranger        ledger.MerchantID
	family, single                      ledger.ClientID
}

const popular, rare = "POPULAR", "RARE"

func newLarge(t *testing.T) *large {
	t.Helper()
	l := &large{
		world: newWorld(t), big: walletID(0), middle: walletID(0), small: walletID(0), nowhere: walletID(0), nobody: walletID(0),
		shop: newID(), crowd: newID(), kiosk: newID(), stranger: newID(), family: newID(), single: newID(),
	}
	id := func(id [16]byte) string { return "'" + uuid.UUID(id).String() + "'::uuid" }
	key := func(m ledger.MerchantID, invoice string) string { return id(ledger.NewInvoiceKey(m, invoice)) }
	words := strings.NewReplacer(
		"$big", id(l.big), "$middle", id(l.middle), "$small", id(l.small), "$nowhere", id(l.nowhere), "$nobody", id(l.nobody),
		"$shop", id(l.shop), "$crowd", id(l.crowd), "$kiosk", id(l.kiosk), "$family", id(l.family), "$single", id(l.single),
		"$popular", key(l.shop, popular), "$rare", key(l.kiosk, rare),
	)
	conn := l.schemaOwner()
	began := time.Now()
	for _, sql := range strings.Split(largeSQL, ";\n\n") {
		if _, err := conn.Exec(t.Context(), words.Replace(sql), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%v: %s", err, sql)
		}
	}
	t.Logf("stored in %v", time.Since(began).Round(time.Millisecond))
	return l
}

// Rows are stored without indexes, which are made anew behind them, and in no order,
// so that no list finds its rows together.
const largeSQL = `
set synchronous_commit = off;

alter table operations set unlogged;

alter table wallets set unlogged;

set work_mem = '64MB';

set maintenance_work_mem = '256MB';

create temporary table dropped as
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
from pg_index
where indrelid in ('operations'::regclass, 'wallets'::regclass) and not indisprimary;

do $$ declare d record; begin for d in select * from dropped loop execute 'drop index ' || d.name; end loop; end $$;

alter table operations drop constraint operations_pkey;

do $$ declare c record; begin
  for c in select conname from pg_constraint where conrelid = 'operations'::regclass and contype = 'c' loop
    execute 'alter table operations drop constraint ' || c.conname;
  end loop;
end $$;

insert into operations (
  sequence, amount, balance_after, received_at, decided_at, partition, id, wallet_id, merchant_id, kind, reason, currency,
  status_after, fingerprint, digest, invoice, invoice_key, position, seal
)
select
  case when n <= 400000 then n when n <= 800000 then 2 + (n - 400001) / 100000 when n <= 900000 then 1
    when n <= 1001500 then null when n <= 1001560 then n - 1001500 else n - 1001560 end,
  5, 100, at, at, 0, md5('operation' || n)::uuid,
  case when n <= 400000 then $big when n <= 900000 then md5('wallet' || n % 100000)::uuid when n <= 1000000 then $nowhere
    when n <= 1001500 then $nobody when n <= 1001560 then $small else $middle end,
  case invoice when 'POPULAR' then $shop when 'RARE' then $kiosk else $crowd end,
  'charge',
  case when n <= 400000 and n % 4 > 0 or n between 800001 and 900000 or n = 1001501 or n > 1001560 then null
    when n between 900001 and 1001500 then 'wallet_not_found' else 'insufficient_funds' end,
  'EUR', 'active', '\x00', '\x00', invoice, case invoice when 'POPULAR' then $popular when 'RARE' then $rare end, n, 3
from (
  select n, '2026-01-01'::timestamptz + n * interval '1 millisecond' as at,
    case when n <= 400000 and n % 4 = 0 or n between 400001 and 900000 then 'POPULAR'
      when n between 1001501 and 1001560 then 'RARE' end as invoice
  from (select n * 611953 % 1003060 + 1 as n from generate_series(1::bigint, 1003060) n) numbers
) rows;

insert into wallets (opened_at, partition, id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest)
select '2026-01-01'::timestamptz + n % 1000 * interval '1 second', 0, id, client, 'EUR', 'active', 0, 0, 1, sha256('')
from (
  select n, md5('wallet' || n)::uuid as id, $family as client from generate_series(0, 99999) n
  union all
  select n, md5('single' || n)::uuid, $single from generate_series(1, 57) n
  union all
  select n, id, $single from unnest(array[$big, $middle, $small]) with ordinality as u (id, n)
) rows
order by md5(id::text);

insert into clients (id, name, created_at) values ($family, 'Family', now()), ($single, 'Single', now());

alter table operations add constraint operations_pkey primary key (partition, id);

do $$ declare d record; begin for d in select * from dropped loop execute d.definition; end loop; end $$;
`

// plan is a node of the plan of a statement that was run.
type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Hit      int     `json:"Shared Hit Blocks"`
	Read     int     `json:"Shared Read Blocks"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []plan
}

// buffers is how many pages of the database were read.
func (p plan) buffers() int { return p.Hit + p.Read }

// wrong says where the plan reads a table from one end to the other, or sorts more rows than so many.
func (p plan) wrong(most float64) (faults []string) {
	if p.Node == "Seq Scan" {
		faults = append(faults, "reads all of "+p.Relation)
	}
	for _, below := range p.Plans {
		if n := below.Rows * below.Loops; strings.HasSuffix(p.Node, "Sort") && n > most {
			faults = append(faults, fmt.Sprintf("sorts %v rows", n))
		}
		faults = append(faults, below.wrong(most)...)
	}
	return faults
}

// run runs the statement as a service runs it, and returns its plan.
func (l *large) run(conn *pgx.Conn, sql string, args []any) plan {
	l.t.Helper()
	var literals []string
	for _, a := range args {
		literals = append(literals, literal(l.t, a))
	}
	run := func(sql string) pgx.Rows {
		rows, err := conn.Query(l.t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			l.t.Fatal(err)
		}
		return rows
	}
	for _, sql := range []string{"deallocate all", "prepare page as " + sql} {
		if _, err := conn.Exec(l.t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			l.t.Fatal(err)
		}
	}
	text, err := pgx.CollectExactlyOneRow(run("explain (analyze, buffers, format json) execute page ("+strings.Join(literals, ", ")+")"), pgx.RowTo[string])
	if err != nil {
		l.t.Fatalf("%v: %s", err, sql)
	}
	var plans []struct{ Plan plan }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		l.t.Fatal(err, text)
	}
	return plans[0].Plan
}

// buffers is how many pages of the database the statement reads.
func (l *large) buffers(conn *pgx.Conn, sql string, args []any) int {
	l.t.Helper()
	return l.run(conn, sql, args).buffers()
}

func literals[T any](t testing.TB, list []T, kind string) string {
	t.Helper()
	var all []string
	for _, x := range list {
		all = append(all, literal(t, x))
	}
	return "array[" + strings.Join(all, ",") + "]::" + kind + "[]"
}

func literal(t testing.TB, arg any) string {
	t.Helper()
	switch a := arg.(type) {
	case int, int64:
		return fmt.Sprint(a)
	case [16]byte:
		return "'" + uuid.UUID(a).String() + "'"
	case pgtype.UUID:
		if a.Valid {
			return "'" + uuid.UUID(a.Bytes).String() + "'"
		}
		return "null"
	case pgtype.Int8:
		if a.Valid {
			return fmt.Sprint(a.Int64)
		}
		return "null"
	case bool:
		return fmt.Sprint(a)
	case pgtype.FlatArray[pgtype.Int8]:
		return literals(t, a, "bigint")
	case pgtype.FlatArray[pgtype.Timestamptz]:
		return literals(t, a, "timestamptz")
	case pgtype.Bool:
		if a.Valid {
			return fmt.Sprint(a.Bool)
		}
		return "null"
	case []int32:
		return strings.ReplaceAll(fmt.Sprintf("array%v::integer[]", a), " ", ",")
	case pgtype.FlatArray[[16]byte]:
		return literals(t, a, "uuid")
	case pgtype.Text:
		if a.Valid {
			return "'" + a.String + "'"
		}
		return "null"
	case pgtype.Timestamptz:
		if !a.Valid {
			return "null"
		}
		if a.InfinityModifier != pgtype.Finite {
			return "'" + a.InfinityModifier.String() + "'"
		}
		return "'" + a.Time.Format(time.RFC3339Nano) + "'"
	}
	t.Fatalf("no literal for %T", arg)
	return ""
}

// TestAPageCostsAPage reads the first pages of long lists, and some from their
// middle: none reads more than twice what a short list of its kind reads, whether
// the tables were analyzed or not.
func TestAPageCostsAPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it stores a million operations")
	}
	t.Parallel()
	l := newLarge(t)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if _, err := l.schemaOwner().Exec(t.Context(), "vacuum analyze operations, wallets", pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		}
		store := l.connect("large") // its connections have made no plan yet
		conn, err := store.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Release)
		l.operations(store, conn.Conn())
		l.combinations(store, conn.Conn())
		l.wallets(store, conn.Conn())
	}
	for name, c := range map[string]struct {
		filter ingest.Filter
		want   int
	}{
		"more than is gone through for a page": {ingest.Filter{Wallet: l.middle, Merchant: l.crowd, Limit: 200}, 1500},
		"the same without sequences":           {ingest.Filter{Wallet: l.nobody, Merchant: l.crowd, Limit: 200}, 1500},
		"none of them":                         {ingest.Filter{Wallet: l.middle, Merchant: l.stranger, Limit: 200}, 0},
	} {
		if got := len(pages(t, l.world, c.filter)); got != c.want {
			t.Errorf("%s: %d operations, want %d", name, got, c.want)
		}
	}
}

func (l *large) operations(store *postgres.Store, conn *pgx.Conn) {
	l.t.Helper()
	crowded := ledger.WalletID(uuid.MustParse("ffffffff-ffff-ffff-ffff-ffffffffffff"))
	middle := &ingest.Cursor{Sequence: 200_000, Bounds: []int64{200_000}, DecidedAt: time.Date(2026, 1, 1, 0, 8, 20, 0, time.UTC), Wallet: ledger.WalletID{0x80}, ID: ledger.OperationID{0x80}}
	for _, c := range []struct {
		name         string
		small, large ingest.Filter
		found        int // operations on a full page of the large list
	}{
		{"a wallet", ingest.Filter{Wallet: l.small}, ingest.Filter{Wallet: l.big}, 50},
		{"a wallet that is not there", ingest.Filter{Wallet: l.nobody}, ingest.Filter{Wallet: l.nowhere}, 50},
		{"a merchant", ingest.Filter{Merchant: l.kiosk}, ingest.Filter{Merchant: l.shop}, 50},
		{"an invoice", ingest.Filter{Merchant: l.kiosk, Invoice: rare}, ingest.Filter{Merchant: l.shop, Invoice: popular}, 50},
		{
			"an invoice in a wallet",
			ingest.Filter{Wallet: l.small, Merchant: l.kiosk, Invoice: rare},
			ingest.Filter{Wallet: l.big, Merchant: l.shop, Invoice: popular},
			50,
		},
		{
			"an invoice that is not in the wallet",
			ingest.Filter{Wallet: l.small, Merchant: l.kiosk, Invoice: rare},
			ingest.Filter{Wallet: l.middle, Merchant: l.shop, Invoice: popular},
			0,
		},
		{
			"a popular invoice that is not in the wallet",
			ingest.Filter{Wallet: l.small, Merchant: l.kiosk, Invoice: rare},
			ingest.Filter{Wallet: crowded, Merchant: l.shop, Invoice: popular},
			0,
		},
		{
			"a merchant that is not in the wallet",
			ingest.Filter{Wallet: l.middle, Merchant: l.kiosk},
			ingest.Filter{Wallet: l.big, Merchant: l.stranger},
			0,
		},
		{
			"a merchant that is not in a wallet that is not there",
			ingest.Filter{Wallet: l.nobody, Merchant: l.kiosk},
			ingest.Filter{Wallet: l.nowhere, Merchant: l.stranger},
			0,
		},
		{
			"any merchant's invoice that is not in the wallet",
			ingest.Filter{Wallet: l.middle, Invoice: "NONE"},
			ingest.Filter{Wallet: l.big, Invoice: "NONE"},
			0,
		},
		{"any merchant's invoice in the wallet", ingest.Filter{Wallet: l.middle, Invoice: rare}, ingest.Filter{Wallet: l.big, Invoice: popular}, 50},
		{"a merchant in the wallet", ingest.Filter{Wallet: l.middle, Merchant: l.crowd}, ingest.Filter{Wallet: l.big, Merchant: l.shop}, 50},
	} {
		cost := func(f ingest.Filter) int {
			l.t.Helper()
			f.Limit = 50
			sql, args, err := store.Listing(f)
			if err != nil {
				l.t.Fatal(err)
			}
			return l.buffers(conn, sql, args)
		}
		c.large.Limit = 50
		page, err := store.List(l.t.Context(), c.large)
		if err != nil || len(page.Operations) != c.found {
			l.t.Errorf("%s: %d operations, want %d, %v", c.name, len(page.Operations), c.found, err)
		}
		most := 2 * cost(c.small)
		first := cost(c.large)
		c.large.After = page.Next
		second := cost(c.large)
		c.large.After = middle
		third := cost(c.large)
		c.large.After = &ingest.Cursor{Wallet: middle.Wallet, ID: middle.ID} // the middle of those without a sequence
		fourth := cost(c.large)
		l.t.Logf("%s: %d buffers in the small case; %d, %d, %d, %d", c.name, most/2, first, second, third, fourth)
		if max(first, second, third, fourth) > most {
			l.t.Errorf("%s: pages read %d, %d, %d and %d buffers, the small case %d", c.name, first, second, third, fourth, most/2)
		}
	}
}

// combinations tries all filters with each other on every list, at its beginning and in its middle: none reads a
// table from one end to the other, sorts more than a page goes through, or reads more than that.
func (l *large) combinations(store *postgres.Store, conn *pgx.Conn) {
	l.t.Helper()
	began := time.Now()
	noon := time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC) // behind 300,000 operations
	filters := []func(*ingest.Filter){
		func(f *ingest.Filter) { f.Kind = ledger.KindFreeze }, // there is none
		func(f *ingest.Filter) { f.Status = ledger.StatusFailed },
		func(f *ingest.Filter) { f.Reason = ledger.ReasonExpired }, // there is none
		func(f *ingest.Filter) { f.From = noon.Add(-time.Minute) },
		func(f *ingest.Filter) { f.To = noon },
		func(f *ingest.Filter) { f.Invoice = popular },
	}
	tried, most, where := 0, 0, ""
	for name, of := range map[string]ingest.Filter{
		"a wallet": {Wallet: l.big}, "a wallet that is not there": {Wallet: l.nowhere}, "a merchant": {Merchant: l.shop},
		"a merchant in a wallet": {Wallet: l.big, Merchant: l.shop}, "another merchant in a wallet": {Wallet: l.big, Merchant: l.stranger},
		"a key": {Wallet: l.big, IDs: []ledger.OperationID{{1}, {2}, ledger.OperationID(newID())}},
	} {
		for some := range 1 << len(filters) {
			f := of
			f.Limit = 50
			for i, filter := range filters {
				if some&(1<<i) != 0 {
					filter(&f)
				}
			}
			for _, after := range []*ingest.Cursor{nil, {Sequence: 200_000, Bounds: []int64{200_000}, DecidedAt: noon.Add(-time.Second), Wallet: ledger.WalletID{0x80}, ID: ledger.OperationID{0x80}}} {
				f.After = after
				sql, args, err := store.Listing(f)
				if err != nil {
					l.t.Fatal(err)
				}
				p := l.run(conn, sql, args)
				for _, fault := range p.wrong(2 * (postgres.PageWalk + 1)) { // of what has a sequence and of what has none
					l.t.Errorf("%s with %b of the filters, behind %v: it %s", name, some, after, fault)
				}
				if n := p.buffers(); n > most {
					most, where = n, fmt.Sprintf("%s with %b of the filters, behind %v", name, some, after)
				}
				tried++
			}
		}
	}
	for name, of := range map[string]struct {
		sql  string
		args []any
	}{
		"a page of a statement": {postgres.StatementSQL, []any{51, postgres.PageBytes, postgres.PageWalk, pgtype.Text{}, true, pgtype.Text{}, pgtype.Timestamptz{}, pgtype.Timestamptz{}, pgtype.UUID{}, pgtype.Text{}, pgtype.UUID{}, 0, [16]byte(l.big), 200_000, 400_000}},
		"a wallet at two times": {postgres.WalletStatesSQL, []any{0, [16]byte(l.big), pgtype.FlatArray[pgtype.Int8]{{}, {}}, pgtype.FlatArray[pgtype.Timestamptz]{{Time: noon, Valid: true}, {Time: noon.Add(-time.Minute), Valid: true}}}},
	} {
		p := l.run(conn, of.sql, of.args)
		l.t.Logf("%s: %d buffers", name, p.buffers())
		if wrong := p.wrong(postgres.PageWalk + 1); len(wrong) > 0 || p.buffers() > 2*postgres.PageWalk {
			l.t.Errorf("%s: %d buffers; it %v", name, p.buffers(), wrong)
		}
	}
	l.t.Logf("%d lists in %v; the most that one reads are %d buffers: %s", tried, time.Since(began).Round(time.Millisecond), most, where)
	// What lies in two indexes is read so far in each; and each operation of the page has what is looked up beside it.
	if bound := 2*postgres.PageWalk + 51*12; most > bound {
		l.t.Errorf("%s: %d buffers, more than %d", where, most, bound)
	}
	for _, f := range []ingest.Filter{{}, {Kind: ledger.KindFreeze}, {To: noon.Add(-time.Hour)}} {
		f.Client, f.Limit = l.family, 50
		page, err := store.List(l.t.Context(), f)
		if err != nil || page.Next == nil || f.Kind == "" && f.To.IsZero() && len(page.Operations) == 0 {
			l.t.Errorf("a client of 100,000 wallets: a page of %d, behind it %v, %v", len(page.Operations), page.Next, err)
		}
	}
}

func (l *large) wallets(store *postgres.Store, conn *pgx.Conn) {
	l.t.Helper()
	list, next, err := store.ClientWallets(l.t.Context(), l.family, 50, nil)
	if err != nil || len(list) != 50 || next == nil {
		l.t.Fatal(len(list), next, err)
	}
	cost := func(id ledger.ClientID, after *ingest.Cursor) int {
		l.t.Helper()
		sql, args := postgres.ClientWalletsListing(id, 50, after)
		return l.buffers(conn, sql, args)
	}
	middle := &ingest.Cursor{DecidedAt: time.Date(2026, 1, 1, 0, 8, 20, 0, time.UTC)}
	most := 2 * cost(l.single, nil)
	first, second, third := cost(l.family, nil), cost(l.family, next), cost(l.family, middle)
	l.t.Logf("wallets of a client: %d buffers in the small case; %d, %d, %d", most/2, first, second, third)
	if first > most || second > most || third > most {
		l.t.Errorf("pages of wallets read %d, %d and %d buffers, the small case %d", first, second, third, most/2)
	}
}
