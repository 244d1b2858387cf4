package postgres_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/postgres/pgtest"
)

var update = flag.Bool("update", false, "write migrations/schema.sql anew (needs pg_dump)")

const schemaFile = "../../migrations/schema.sql"

// The migrations and the dump make the same schema. The catalogs of the two
// are compared, not the text, so that any version of the server will do.
func TestSchemaDump(t *testing.T) {
	t.Parallel()
	migrated := pgtest.New(t)
	if *update {
		if err := os.WriteFile(schemaFile, pgDump(t, migrated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	dumped := pgtest.Empty(t)
	conn, err := pgx.Connect(t.Context(), dumped)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.PgConn().Exec(t.Context(), string(text)).ReadAll(); err != nil {
		t.Fatalf("load %s: %v", schemaFile, err)
	}
	got, want := catalog(t, dumped), catalog(t, migrated)
	if len(want) < 100 {
		t.Fatalf("the catalog has only %d lines", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what the migrations make (make it anew with -update):\n%s", schemaFile, diff)
	}
}

// catalog describes everything that the schema consists of, a line for each.
func catalog(t *testing.T, url string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `
with tables as (
  select c.oid, c.relname, c.reloptions, c.relacl, c.relkind
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'S') and c.relname not like 'goose%'
)
select format('table %s %s %s', relname, reloptions, obj_description(oid, 'pg_class')) from tables
union all
select format('grant %s %s %s', relname, a.grantee::regrole, a.privilege_type)
from tables, aclexplode(relacl) a where a.grantee = 'monedero_service'::regrole
union all
select format('column %s.%s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull,
  pg_get_expr(adbin, adrelid), col_description(t.oid, attnum))
from tables t join pg_attribute a on a.attrelid = t.oid and attnum > 0 and not attisdropped
left join pg_attrdef d on d.adrelid = t.oid and d.adnum = attnum
union all
select format('position %s.%s %s', relname, attname, row_number() over (partition by relname order by attnum))
from tables t join pg_attribute a on a.attrelid = t.oid and attnum > 0 and not attisdropped
union all
select format('constraint %s %s %s', relname, conname, pg_get_constraintdef(c.oid)) from tables t join pg_constraint c on conrelid = t.oid
union all
select format('index %s', pg_get_indexdef(indexrelid)) from tables t join pg_index i on indrelid = t.oid
union all
select format('trigger %s %s', pg_get_triggerdef(g.oid), tgenabled) from tables t join pg_trigger g on tgrelid = t.oid and not tgisinternal
union all
select format('function %s', pg_get_functiondef(oid)) from pg_proc where pronamespace = 'public'::regnamespace
union all
select format('schema grant %s %s', a.grantee::regrole, a.privilege_type)
from pg_namespace, aclexplode(nspacl) a where nspname = 'public' and a.grantee = 'monedero_service'::regrole
order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

var (
	// What differs from server to server and from dump to dump.
	noise = regexp.MustCompile(`(?m)^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*|)\n`)
	// What gets an empty line before it.
	statement = regexp.MustCompile(`;\n(CREATE|ALTER|COMMENT|GRANT)`)
)

func pgDump(t *testing.T, url string) []byte {
	t.Helper()
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
		if len(places) == 0 {
			t.Fatal(err)
		}
		program = places[len(places)-1]
	}
	var said bytes.Buffer
	dump := exec.CommandContext(t.Context(), program, "--schema-only", "--no-owner", "--exclude-table=goose_db_version*", url)
	dump.Stderr = &said
	text, err := dump.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, said.String())
	}
	head := "-- What the migrations add up to. Made from them; do not edit.\n-- Roles are not part of a dump: monedero_service must exist.\n\n"
	text = noise.ReplaceAll(text, nil)
	return append([]byte(head), statement.ReplaceAll(text, []byte(";\n\n$1"))...)
}
