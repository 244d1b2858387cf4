package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/postgres"
)

// Every statement is one file that prepares against the schema, says what it
// locks, and uses the indexes that it names. The plan is asked for as a service
// makes it: once, for any parameters, on tables of which nothing is known, however
// many rows they have at that moment.
func TestQueries(t *testing.T) { //nolint:tparallel // the tables grow between one subtest and the next
	t.Parallel()
	w := newWorld(t)
	rows := 0
	for _, more := range []int{0, 60, 60, 80, 100, 100, 200, 400, 2000, 20000} {
		w.grow(rows, rows+more)
		rows += more
		t.Run(fmt.Sprintf("%d rows", rows), func(t *testing.T) { w.plans(t, rows > 0) })
	}
}

// grow adds rows to the tables that services look things up in, and keeps what
// there is to know of them from the planner.
func (w *world) grow(from, to int) {
	w.t.Helper()
	conn := w.schemaOwner()
	for _, table := range []string{"operations", "wallets", "account_balances", "holds", "mandates", "conflicts", "dead_letters"} {
		if _, err := conn.Exec(w.t.Context(), "alter table "+table+" set (autovacuum_enabled = false)"); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, sql := range growSQL {
		if _, err := conn.Exec(w.t.Context(), sql, from, to); err != nil {
			w.t.Fatalf("%v: %s", err, sql)
		}
	}
}

// growSQL makes rows $1 + 1 to $2 of each table.
var growSQL = []string{
	`insert into operations (position, seal, asker_role, sequence, amount, balance_after, limit_after, received_at, decided_at, partition, id, wallet_id, merchant_id, kind, reason, currency,
		status_after, fingerprint, digest, idempotency_key, invoice, invoice_key)
	select n, 3, 'operator', case when n % 10 > 0 then n end, 5, case when n % 10 > 0 then 100 end, case when n % 10 > 0 then 0 end, now(), now(), n % 4, gen_random_uuid(), md5('wallet' || n % 64)::uuid,
		md5('merchant' || n % 8)::uuid, 'charge', case when n % 10 = 0 then 'wallet_not_found' end, 'EUR', case when n % 10 > 0 then 'active' end,
		sha256('request'), sha256('row'), 'key ' || n, 'invoice ' || n, gen_random_uuid()
	from generate_series($1::int + 1, $2::int) n`,
	`insert into wallets (opened_at, partition, id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest)
	select now(), n % 4, gen_random_uuid(), md5('client' || n % 50)::uuid, 'EUR', 'active', 0, 0, 1, sha256('') from generate_series($1::int + 1, $2::int) n`,
	`insert into holds (expires_at, partition, id, wallet_id, merchant_id, invoice_key)
	select now(), n % 4, gen_random_uuid(), md5('wallet' || n % 64)::uuid, gen_random_uuid(), gen_random_uuid() from generate_series($1::int + 1, $2::int) n`,
	`insert into mandates (partition, wallet_id, merchant_id, given, day, used_on_day, used_in_month, used)
	select n % 4, md5('wallet' || n % 64)::uuid, gen_random_uuid(), true, 0, 0, 0, 0 from generate_series($1::int + 1, $2::int) n`,
	`insert into account_balances (partition, account_id, currency, balance)
	select n % 4, gen_random_uuid(), 'EUR', 1 from generate_series($1::int + 1, $2::int) n`,
	`insert into conflicts (partition, log, log_offset, operation_id, fingerprint)
	select n % 4, 1, n, gen_random_uuid(), sha256('request') from generate_series($1::int + 1, $2::int) n`,
	`insert into dead_letters (partition, log, log_offset, headers, reason)
	select n % 4, 1, n, '[]', 'of a test' from generate_series($1::int + 1, $2::int) n`,
}

// plans compares the plan of every statement with its head. Those that verify are
// planned for their parameters each time, so what they do with more rows is theirs.
func (w *world) plans(t *testing.T, more bool) {
	files, err := filepath.Glob("queries/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	service, err := w.connect("plans").Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer service.Release()
	owner := w.schemaOwner()
	if _, err := owner.Exec(t.Context(), "set plan_cache_mode = force_generic_plan; set enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sql, name := postgres.Expand(string(text)), strings.TrimSuffix(filepath.Base(file), ".sql")
		if !strings.HasPrefix(sql, "-- ") || !strings.Contains(sql, "\n-- Locks: ") {
			t.Errorf("%s: the head does not say purpose and locks", name)
		}
		if emptyList.MatchString(sql) {
			t.Errorf("%s: a select of no columns, which Citus refuses", name)
		}
		conn := service.Conn()
		if strings.HasPrefix(name, "register_") || strings.HasPrefix(name, "rebuild_") || slices.Contains(ofOwner, name) {
			conn = owner
		}
		statement, err := conn.Prepare(t.Context(), "prepared_"+name, sql)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wanted := indexes(sql)
		if len(wanted) == 0 || more && strings.HasPrefix(name, "verify_") {
			continue
		}
		plan := explain(t, conn, name, sql, len(statement.ParamOIDs))
		for _, index := range wanted {
			if !strings.Contains(plan, index) {
				t.Errorf("%s does not use %s:\n%s", name, index, plan)
			}
		}
		for _, match := range indexPattern.FindAllStringSubmatch(plan, -1) {
			index := match[1]
			if !slices.Contains(wanted, index) && !slices.Contains(besides, index) {
				t.Errorf("%s uses %s, which its head does not name:\n%s", name, index, plan)
			}
		}
		// An index that is read from one end to the other bears its name all the same.
		if filteredList.MatchString(plan) {
			t.Errorf("%s reads what is not in its list:\n%s", name, plan)
		}
		if name != "update_wallets" && strings.Contains(sql, "unnest(") && wholePartition.MatchString(plan) {
			t.Errorf("%s is given a list and reads the whole partition:\n%s", name, plan)
		}
	}
}

var indexPattern = regexp.MustCompile(`(?:using|Bitmap Index Scan on|Arbiter Indexes:) (\w+)`)

var emptyList = regexp.MustCompile(`\bselect\s+from\b`)

// filteredList is a list that rows are compared with after they were read.
var filteredList = regexp.MustCompile(`Filter: .*= ANY \(\$`)

// TestUpdateWalletsLooksUpEach: once the table was analyzed, as the server does by
// itself within minutes, the statement that has no form for every case looks up each
// wallet.
func TestUpdateWalletsLooksUpEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.schemaOwner().Exec(t.Context(), `
		insert into clients (id, name, created_at) values (gen_random_uuid(), 'Ana', now());
		insert into wallets (opened_at, partition, id, client_id, currency, status, balance, credit_limit, last_sequence, last_digest)
		select now(), i % 4, gen_random_uuid(), (select id from clients limit 1), 'EUR', 'active', 0, 0, 1, sha256('')
		from generate_series(1, 10000) i;
		analyze wallets`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	sql, err := os.ReadFile("queries/update_wallets.sql")
	if err != nil {
		t.Fatal(err)
	}
	service, err := w.store.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer service.Release()
	plan := explain(t, service.Conn(), "update", string(sql), 9)
	if wholePartition.MatchString(plan) || !strings.Contains(plan, "(partition = $1) AND (id = u.id)") {
		t.Errorf("it does not look up each wallet:\n%s", plan)
	}
}

// wholePartition is a scan of all of a partition's rows.
var wholePartition = regexp.MustCompile(`(?m)(?:wallets|operations|mandates|conflicts|dead_letters)\b.*\n\s+(?:Index|Recheck) Cond: \(partition = \$\d+\)$`)

// ofOwner are the statements that only the owner may run, besides those that register.
var ofOwner = []string{"bind_group", "make_progress", "set_progress", "release_progress", "raise_history", "remake_position"}

// besides are indexes of the small look-ups beside a statement's own purpose.
var besides = []string{"wallets_pkey", "merchants_pkey", "operations_refers_to_idx", "conflicts_operation_id_idx", "partition_progress_pkey", "deployment_pkey", "holds_wallet_idx", "holds_expires_at_idx"}

// indexes are those that the head names.
func indexes(sql string) []string {
	for line := range strings.Lines(sql) {
		if list, is := strings.CutPrefix(line, "-- Index: "); is {
			return strings.Split(strings.TrimRight(list, ".\n"), ", ")
		}
	}
	return nil
}

func explain(t *testing.T, conn *pgx.Conn, name, sql string, params int) string {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "prepare plan_"+name+" as "+sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	args := ""
	if params > 0 {
		args = "(" + strings.TrimSuffix(strings.Repeat("null, ", params), ", ") + ")"
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf("explain execute plan_%s%s", name, args), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}
