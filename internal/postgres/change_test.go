package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/repair"
)

// The database knows every action, and no other.
func TestActionsInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	insert := func(a ledger.Action) error {
		_, err := w.schemaOwner().Exec(t.Context(), `insert into changes (chain, role, action, about, operation_id, after)
			values (0, 'operator', $1, '0/1/' || $2::text, case when $1 in ('dead_letter_submitting', 'dead_letter_submitted') then gen_random_uuid() end,
				'{"step": "1", "log": "1", "offset": "1", "epoch": "1"}')`, string(a), fmt.Sprint(slices.Index(ledger.Actions(), a)))
		return err
	}
	for _, a := range ledger.Actions() {
		if err := insert(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := insert("made_up"); state(err) != "23514" {
		t.Errorf("an action that is none: %v", err)
	}
}

// changes is a page of the audit log without operations.
func (w *world) changes(about string, limit int, after *ingest.Cursor) ([]ledger.Change, *ingest.Cursor, error) {
	page, err := w.store.Audit(w.t.Context(), ingest.AuditFilter{About: about, ChangesOnly: true, Limit: limit, After: after})
	var list []ledger.Change
	for _, e := range page.Entries {
		list = append(list, *e.Change)
	}
	return list, page.Next, err
}

// Every change of master data is one row, with who, before and after, and no secret; what
// changes nothing leaves none.
func TestChangesOfMasterData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	person := ledger.Person("ana@host", "we grow")
	c := ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}
	m := ledger.Merchant{ID: newID(), Owner: c.ID, Name: "Bodega", CreatedAt: w.now}
	k := ledger.Key{
		ID: newID(), Party: ledger.Party{Role: ledger.RoleMerchant, Owner: m.ID}, Name: "till", Rate: 5, SecretHash: [32]byte{1}, CreatedAt: w.now,
		ExpiresAt: w.now.Add(time.Hour),
	}
	owner := ledger.Author{Asker: k.Asker(), RequestID: "req_1"}
	next := ledger.Key{ID: newID(), SecretHash: [32]byte{2}, CreatedAt: w.now}
	for range 2 { // the second time changes nothing
		steps := []func() error{
			func() error { _, _, err := w.store.CreateClient(ctx, c, person); return err },
			func() error { _, _, err := w.store.CreateMerchant(ctx, m, person); return err },
			func() error { _, _, err := w.store.RotateKey(ctx, k.ID, next, time.Minute, owner); return err },
			func() error { _, err := w.store.RevokeKey(ctx, next.ID, w.now, owner); return err },
			func() error { _, err := w.store.Suspend(ctx, m.ID, true, person); return err },
		}
		if made, _, err := w.changes(k.ID.String(), 1, nil); err != nil || len(made) == 0 {
			steps = slices.Insert(steps, 2, func() error { _, _, err := w.store.CreateKey(ctx, k, person); return err })
		}
		for i, step := range steps {
			if err := step(); err != nil {
				t.Fatal(i, err)
			}
		}
	}
	if _, err := w.store.Suspend(ctx, m.ID, false, person); err != nil {
		t.Fatal(err)
	}
	type row struct {
		Action        ledger.Action
		About         string
		By            ledger.Author
		Before, After ledger.Facts
	}
	till := ledger.Facts{"role": "merchant", "merchant_id": m.ID.String(), "name": "till", "rate": "5", "expires_at": "2026-03-01T13:00:00Z"}
	with := func(f ledger.Facts, more ...string) ledger.Facts {
		f = maps.Clone(f)
		for i := 0; i < len(more); i += 2 {
			f[more[i]] = more[i+1]
		}
		return f
	}
	want := []row{
		{ledger.ActionMerchantResumed, m.ID.String(), person, ledger.Facts{"suspended": "true"}, ledger.Facts{"suspended": "false"}},
		{ledger.ActionMerchantSuspended, m.ID.String(), person, ledger.Facts{"suspended": "false"}, ledger.Facts{"suspended": "true"}},
		{ledger.ActionKeyRevoked, next.ID.String(), owner, till, with(till, "revoked_at", "2026-03-01T12:00:00Z")},
		{ledger.ActionKeyRotated, k.ID.String(), owner, till, with(till, "expires_at", "2026-03-01T12:01:00Z", "successor", next.ID.String())},
		{ledger.ActionKeyCreated, next.ID.String(), owner, nil, till},
		{ledger.ActionKeyCreated, k.ID.String(), person, nil, till},
		{ledger.ActionMerchantCreated, m.ID.String(), person, nil, ledger.Facts{"name": "Bodega", "client_id": c.ID.String()}},
		{ledger.ActionClientCreated, c.ID.String(), person, nil, ledger.Facts{"name": "Ana"}},
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []row
		var after *ingest.Cursor
		for more := true; more; more = after != nil {
			list, next, err := w.changes("", limit, after)
			if err != nil || len(list) > limit {
				t.Fatal(len(list), err)
			}
			for _, c := range list {
				got = append(got, row{c.Action, c.About, c.By, c.Before, c.After})
				if since := time.Since(c.At); since < -time.Minute || since > time.Minute || c.Login == "" || c.ID == (ledger.ChangeID{}) {
					t.Errorf("%s at %s by %q", c.Action, c.At, c.Login)
				}
			}
			after = next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d a page (-want +got):\n%s", limit, diff)
		}
	}
	list, _, err := w.changes(m.ID.String(), 10, nil)
	if err != nil || len(list) != 3 {
		t.Errorf("of the merchant: %v, %v", list, err)
	}
	w.verified()
}

// A change whose row cannot be written is not made.
func TestNoChangeWithoutItsRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := ledger.Key{ID: newID(), Party: ledger.Party{Role: ledger.RoleOperator}, Name: "x", CreatedAt: w.now}
	shop := w.merchant(ledger.ClientID{})
	if _, _, err := w.store.CreateKey(t.Context(), k, byTest); err != nil {
		t.Fatal(err)
	}
	if _, err := w.schemaOwner().Exec(t.Context(), "alter table changes add constraint refused check (reason <> 'a test') not valid"); err != nil {
		t.Fatal(err)
	}
	other := k
	other.ID = newID()
	for what, err := range map[string]error{
		"client":   second(w.store.CreateClient(t.Context(), ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest)),
		"merchant": second(w.store.CreateMerchant(t.Context(), ledger.Merchant{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest)),
		"key":      second(w.store.CreateKey(t.Context(), other, byTest)),
		"rotate":   second(w.store.RotateKey(t.Context(), k.ID, other, 0, byTest)),
		"revoke":   func() error { _, err := w.store.RevokeKey(t.Context(), k.ID, w.now, byTest); return err }(),
		"suspend":  func() error { _, err := w.store.Suspend(t.Context(), shop, true, byTest); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	got, err := w.store.Key(t.Context(), k.ID)
	if m, err := w.store.Merchant(t.Context(), shop); err != nil || m.Suspended {
		t.Errorf("%+v, %v", m, err)
	}
	var keys, clients, merchants int
	if err := w.schemaOwner().QueryRow(t.Context(), "select (select count(*) from api_keys), (select count(*) from clients), (select count(*) from merchants)").
		Scan(&keys, &clients, &merchants); err != nil || keys != 1 || clients != 0 || merchants != 1 {
		t.Errorf("%d keys, %d clients, %d merchants, %v", keys, clients, merchants, err)
	}
	if diff := cmp.Diff(k, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// Changes of many at once make one chain.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 24
	done := make(chan error, many)
	for i := range many {
		go func() {
			if i%2 == 0 {
				done <- second(w.store.CreateClient(t.Context(), ledger.Client{ID: newID(), Name: "Ana", CreatedAt: w.now}, byTest))
				return
			}
			done <- w.store.Resolve(t.Context(), repair.Resolution{
				Of: repair.LetterPlace{Partition: 1, Place: ledger.Place{Log: 1, Offset: int64(i)}}, Number: 1, Action: repair.ActionDiscarded, By: "x", Reason: "y",
			})
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var numbers []int64
	if err := w.schemaOwner().QueryRow(t.Context(), "select array_agg(number order by number) from changes where chain = -1").Scan(&numbers); err != nil {
		t.Fatal(err)
	}
	for i, n := range numbers {
		if n != int64(i)+1 || len(numbers) != many/2 {
			t.Fatalf("the chain is %v", numbers)
		}
	}
	report, err := w.store.Verify(t.Context())
	if err != nil || slices.ContainsFunc(report.Violations, func(v postgres.Violation) bool { return v.Rule == postgres.RuleChange }) {
		t.Error(err, report.Violations)
	}
}

func second[T any](_ T, _ bool, err error) error { return err }

// What people did before there was one log of it is in the log, in order and sealed.
func TestMigrationKeepsChanges(t *testing.T) {
	t.Parallel()
	address := pgtest.Empty(t)
	conn := migratedTo(t, address, 20)
	if _, err := conn.PgConn().Exec(t.Context(), `
		insert into deployment_changes (changed_at, what, from_value, to_value, changed_by, login, reason)
		values ('2026-01-01', 'cluster_id', 'a', 'b', 'ana', 'owner', 'moved');
		insert into progress_changes (changed_at, partition, from_log, from_offset, to_log, to_offset, epoch, failed, dead, changed_by, login, reason)
		values ('2026-01-02', 1, null, null, 1, 5, 3, 0, 0, 'ana', 'owner', 'lost'), ('2026-01-04', 1, 1, 5, 2, 9, 4, 1, 2, 'ana', 'owner', 'new log');
		insert into dead_letter_resolutions (created_at, partition, log, log_offset, number, action, operation_id, to_partition, to_offset, resolved_by, login, reason)
		values ('2026-01-03', 1, 1, 7, 1, 'submitting', gen_random_uuid(), null, null, 'eva', 'service', null),
			('2026-01-03', 1, 1, 7, 2, 'submitted', gen_random_uuid(), 0, 8, 'eva', 'service', 'why')`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `select concat_ws(' ', chain, number, to_char(at, 'DD'), action, about, person, login, reason, before::text, after::text, operation_id is null)
		from changes order by at, number`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{
		`-1 1 01 deployment_changed cluster_id ana owner moved {"value": "a"} {"value": "b"} t`,
		`1 1 02 progress_set partition 1 ana owner lost {"log": "1", "dead": "0", "epoch": "3", "failed": "0", "offset": "5"} t`,
		`1 2 03 dead_letter_submitting 1/1/7 eva service {"step": "1"} f`,
		`1 3 03 dead_letter_submitted 1/1/7 eva service why {"step": "2", "offset": "8", "partition": "0"} f`,
		`1 4 04 progress_set partition 1 ana owner new log {"log": "1", "offset": "5"} {"log": "2", "dead": "2", "epoch": "4", "failed": "1", "offset": "9"} t`,
	}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
