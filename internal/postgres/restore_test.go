package postgres_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
)

// tool runs a program of Postgres to its end and returns what it wrote.
func tool(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(places) == 0 {
			t.Fatal(err)
		}
		program = places[len(places)-1]
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &said
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, said.String())
	}
	return text
}

// The data alone, of a dump, goes into a migrated database: the triggers that seal
// find their functions though a restore leaves no search_path, and seal as before.
func TestRestoreDataOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.wallet(1)
	w.settle(1, request(w.topUp(id, 5)), dead())
	if _, err := w.schemaOwner().Exec(t.Context(), "insert into conflicts (log_offset, partition, log, operation_id, fingerprint) values (99, 1, 1, gen_random_uuid(), sha256(''))"); err != nil {
		t.Fatal(err)
	}
	dump := tool(t, nil, "pg_dump", "--data-only", "--exclude-table=goose_db_version", w.url)
	restored := pgtest.New(t)
	tool(t, dump, "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--single-transaction", "--dbname="+restored)
	const seals = "select encode(digest, 'hex') from dead_letters union all select encode(digest, 'hex') from conflicts " +
		"union all select encode(digest, 'hex') from changes union all select encode(last_digest, 'hex') from change_chains order by 1"
	read := func(address string) []string {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		rows, err := conn.Query(t.Context(), seals)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := read(w.url)
	if diff := cmp.Diff(before, read(restored)); diff != "" || len(before) != 4 {
		t.Errorf("%d seals: %s", len(before), diff)
	}
	s, err := postgres.Connect(t.Context(), restored, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.CreateClient(t.Context(), ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest); err != nil {
		t.Fatal(err)
	}
	if report, err := s.Verify(t.Context()); err != nil || slices.ContainsFunc(report.Violations, func(v postgres.Violation) bool { return v.Rule == postgres.RuleChange }) {
		t.Error(err, report.Violations)
	}
}
