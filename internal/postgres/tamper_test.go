package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/repair"
)

// unchecked are the tables, and the columns of the others, of which verify cannot
// or need not say anything, and why.
var unchecked = map[string]string{
	"clients":          "master data, changed by people",
	"merchants":        "master data, changed by people",
	"api_keys":         "master data, changed by people",
	"deployment":       "what every service compares with its own settings before it starts",
	"verifications":    "when this was verified, and by whom",
	"goose_db_version": "the steps of the schema",

	"partition_progress.epoch":       "raised by every claim; no offset and no outcome depends on it",
	"partition_progress.moved_epoch": "a claim compares it with what is remembered outside of the database; no outcome depends on it",
	"partition_progress.owner":       "who claimed last; nobody decides by it",
	"partition_progress.updated_at":  "when somebody claimed or settled last; nobody decides by it",
	"partition_progress.halted_at":   "what the owner says of itself; nobody decides by it",
	"partition_progress.halt_cause":  "what the owner says of itself; nobody decides by it",
	"partition_progress.last_record": "a processor compares it with the log at its next claim, and halts; verify does not ask Kafka",
}

// tampered is another value of the column's type.
func tampered(column, kind string) string {
	switch kind {
	case "bigint", "integer", "numeric":
		return fmt.Sprintf("coalesce(%s, 0) + 1000", column)
	case "uuid":
		return "gen_random_uuid()"
	case "text":
		return fmt.Sprintf("'x' || coalesce(%s, '')", column)
	case "bytea":
		return fmt.Sprintf("case when octet_length(%[1]s) > 0 then set_byte(%[1]s, 0, get_byte(%[1]s, 0) # 1) else sha256('x') end", column)
	case "boolean":
		return fmt.Sprintf("%s is not true", column)
	case "timestamp with time zone":
		return fmt.Sprintf("coalesce(%s, '2026-01-01') + interval '1 microsecond'", column)
	case "jsonb":
		return fmt.Sprintf("coalesce(%s, '{}') || '[1]'", column)
	}
	return ""
}

// Whatever column of whatever table a person changes by hand, in a row that has a
// value there and in one that has none, verify finds it. A new column is tried
// too, or has to be listed above.
func TestVerifyFindsTamperingWithEveryColumn(t *testing.T) {
	t.Parallel()
	w := tamperWorld(t)
	conn := w.schemaOwner()
	do := func(sql string) int64 {
		t.Helper()
		tag, err := conn.Exec(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return tag.RowsAffected()
	}
	do("set session_replication_role = replica") // no triggers
	tried, seen := 0, map[string]bool{}
	for _, c := range tamperColumns(t, conn) {
		name := c.table + "." + c.column
		seen[c.table], seen[name] = true, true
		if unchecked[c.table] != "" || unchecked[name] != "" {
			continue
		}
		value := tampered(c.column, c.kind)
		if value == "" {
			t.Errorf("%s: no way to tamper with a %s", name, c.kind)
			continue
		}
		do(fmt.Sprintf("drop table if exists saved; create temporary table saved as table %s", c.table))
		rows := int64(0)
		for _, which := range []string{"is not null", "is null"} {
			n := do(fmt.Sprintf("update %[1]s set %[2]s = %[3]s where ctid = (select ctid from %[1]s where %[5]s = 1 and %[2]s %[4]s limit 1)",
				c.table, c.column, value, which, partitionColumn(c.table)))
			if n == 0 {
				continue
			}
			rows += n
			report, err := w.store.Verify(t.Context())
			if err == nil && report.OK() {
				t.Errorf("%s, where it %s: not found", name, which)
			} else if err != nil {
				t.Errorf("%s, where it %s: %v", name, which, err)
			}
			do(fmt.Sprintf("delete from %[1]s; insert into %[1]s select * from saved", c.table))
		}
		if rows == 0 {
			t.Errorf("%s: no row to tamper with", name)
		}
		tried++
	}
	for name := range unchecked {
		if !seen[name] {
			t.Errorf("%s is listed and not there", name)
		}
	}
	if tried < 70 {
		t.Errorf("only %d columns tried", tried)
	}
	w.verified()
}

// partitionColumn is the column that says of which partition a row is.
func partitionColumn(table string) string {
	if table == "changes" || table == "change_chains" {
		return "chain"
	}
	return "partition"
}

type tamperColumn struct{ table, column, kind string }

// tamperColumns lists every column, and takes the checks off that would keep
// a person from tampering.
func tamperColumns(t *testing.T, conn *pgx.Conn) []tamperColumn {
	t.Helper()
	var drop string
	if err := conn.QueryRow(t.Context(), `select string_agg(format('alter table %s drop constraint %I', conrelid::regclass, conname), '; ')
		from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace`).Scan(&drop); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), drop); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `select table_name, column_name, data_type from information_schema.columns
		join information_schema.tables using (table_schema, table_name)
		where table_schema = 'public' and table_type = 'BASE TABLE' order by table_name, ordinal_position`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c tamperColumn, err error) {
		err = row.Scan(&c.table, &c.column, &c.kind)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// tamperWorld has in partition 1 something of everything.
func tamperWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	wallet, shop := w.wallet(1), w.merchant(ledger.ClientID{})
	known := w.charge(wallet, shop, 300, "INV-1")
	open, ended := w.holdOf(wallet, shop, 40, "INV-2"), w.holdOf(wallet, shop, 50, "INV-3")
	other := *known
	other.Amount++
	bare := w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: wallet})
	w.settle(1, request(w.topUp(wallet, 1000)), request(w.charge(wallet, shop, 5000, "")), request(known),
		request(w.charge(wallet, shop, 10, "INV-1")), request(known), request(&other), refusal(bare.ID, wallet, "x"), dead(),
		request(w.charge(walletID(1), shop, 20, "")), request(open), request(w.holdOf(wallet, shop, 30, "")), request(ended),
		request(w.of(ended, ledger.KindCapture, 5, ledger.RestKept)), request(w.of(ended, ledger.KindRelease, 0, "")), request(w.refund(known, 50)), request(w.refund(known, 0)), request(w.refund(known, 1)))
	w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallet, Note: "seen before"})
	under, later := w.mandated(1), w.merchant(ledger.ClientID{})
	w.grant(under, shop, ledger.Terms{MaxAmount: 500, PerDay: 600, PerMonth: 700, Total: 800, ValidUntil: w.now.AddDate(1, 0, 0)})
	w.grant(under, later, ledger.Terms{})
	w.apply(ledger.Request{Kind: ledger.KindRevoke, Wallet: under, Merchant: later})
	held := w.holdOf(under, shop, 90, "")
	w.settle(1, request(w.topUp(under, 1000)), request(w.charge(under, shop, 100, "")), request(held), request(w.of(held, ledger.KindCapture, 40, "")),
		request(w.charge(under, shop, 501, "")), request(w.charge(under, later, 1, "")))
	of := repair.LetterPlace{Partition: 1, Place: ledger.Place{Log: 1, Offset: 7}}
	for _, r := range []repair.Resolution{
		{Of: of, Number: 1, Action: repair.ActionSubmitting, Operation: bare.ID, By: "somebody"},
		{Of: of, Number: 2, Action: repair.ActionSubmitted, Operation: bare.ID, Partition: 2, Offset: 5, By: "somebody", Reason: "why"},
	} {
		if err := w.store.Resolve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	// Of no partition, every way in which somebody can come.
	k := ledger.Key{ID: newID(), Party: ledger.Party{Role: ledger.RoleMerchant, Owner: shop}, Name: "till", CreatedAt: w.now}
	by := ledger.Author{Asker: k.Asker(), RequestID: "req_1"}
	if _, _, err := w.store.CreateKey(t.Context(), k, by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.RevokeKey(t.Context(), k.ID, w.now, by); err != nil {
		t.Fatal(err)
	}
	w.verified()
	return w
}
