package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
)

// decide stores operations at the positions from + 1 to to of a partition, each decided at
// what the SQL makes of its position p, with a description of so many bytes.
func (w *world) decide(partition, from, to int, at string, bytes int) {
	w.t.Helper()
	if _, err := w.schemaOwner().Exec(w.t.Context(), `
		insert into operations (position, seal, asker_role, amount, received_at, decided_at, partition, id, wallet_id, kind, reason, currency,
			fingerprint, digest, idempotency_key, description)
		select p, 3, 'operator', 5, now(), `+at+`, $1::int, gen_random_uuid(), md5('wallet' || p % 64)::uuid, 'top_up', 'wallet_not_found', 'EUR',
			sha256('request'), sha256('row'), $1 || '/' || p, nullif(repeat('x', $4::int), '')
		from generate_series($2::int + 1, $3::int) p`, partition, from, to, bytes); err != nil {
		w.t.Fatal(err)
	}
}

// auditPages reads everything that was done, page by page, and calls between behind the first one.
func (w *world) auditPages(limit int, between func()) (all []ingest.AuditEntry) {
	w.t.Helper()
	f := ingest.AuditFilter{Limit: limit}
	for {
		page, err := w.store.Audit(w.t.Context(), f)
		if err != nil || len(page.Entries) > limit || len(page.Entries) == 0 {
			w.t.Fatal(len(page.Entries), err)
		}
		if all = append(all, page.Entries...); page.Next == nil {
			return all
		}
		if f.After == nil {
			between()
		}
		f.After = page.Next
	}
}

// done is what was done, and when: of an operation its partition and position, of a change what it was about.
func done(e ingest.AuditEntry) (string, time.Time) {
	if e.Change != nil {
		return e.Change.About, e.Change.At
	}
	return e.Operation.IdempotencyKey, e.Operation.DecidedAt
}

// TestAuditOfEverything merges changes with the operations of all partitions: each comes once, the
// newest first, however many each partition has, and without what is done when the first page was read.
func TestAuditOfEverything(t *testing.T) {
	t.Parallel()
	const day = "'2026-01-01'::timestamptz + "
	for name, c := range map[string]struct {
		operations [partitions]int
		at         [partitions]string
		unordered  bool
	}{
		"by turns":                  {[...]int{60, 60, 60, 60}, [...]string{"p * '4 s'::interval", "p * '4 s'::interval + '1 s'", "p * '4 s'::interval + '2 s'", "p * '4 s'::interval"}, false},
		"one after the other":       {[...]int{150, 40, 9, 8}, [...]string{"'4 days'::interval + p * '1 s'::interval", "'3 days'::interval + p * '1 s'::interval", "'2 days'::interval + p * '1 s'::interval", "p * '1 s'::interval"}, false},
		"one alone":                 {[...]int{0, 230, 0, 0}, [...]string{"", "p * '1 s'::interval", "", ""}, false},
		"settled at once":           {[...]int{120, 120, 30, 1}, [...]string{"p / 50 * '1 s'::interval", "p / 50 * '1 s'::interval", "'0 s'", "'1 s'"}, false},
		"a clock that was put back": {[...]int{100, 100, 100, 10}, [...]string{"p % 17 * '1 day'::interval", "p * '1 hour'::interval", "p * '-1 hour'::interval", "'9 days'"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			want := map[string]int{}
			for partition, operations := range c.operations {
				if operations > 0 {
					w.decide(partition, 0, operations, day+c.at[partition], 0)
				}
				for position := range operations {
					want[fmt.Sprintf("%d/%d", partition, position+1)] = 1
				}
			}
			for range 5 {
				want[w.client().String()] = 1
			}
			for _, limit := range []int{1, 50, 1000, 7} {
				got := map[string]int{}
				all := w.auditPages(limit, func() {
					if limit != 7 { // the last one
						return
					}
					for partition, operations := range c.operations {
						w.decide(partition, operations, operations+3, "now()", 0)
					}
					w.client()
				})
				var before time.Time
				for i, e := range all {
					what, at := done(e)
					got[what]++
					if i > 0 && at.After(before) && !c.unordered {
						t.Errorf("by %d: %s at %s comes behind %s", limit, what, at, before)
					}
					before = at
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("by %d (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}

// TestAuditPagesAreBounded: a page ends where its texts take too much, and reads of each partition what it shows,
// and not what there is.
func TestAuditPagesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for partition := range partitions {
		w.decide(partition, 0, 5000, "'2026-01-01'::timestamptz + p * '1 s'::interval", 8000)
	}
	page, err := w.store.Audit(t.Context(), ingest.AuditFilter{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(page.Entries); n != 132 || page.Next == nil { // behind the one with which they reach a MiB
		t.Errorf("a page of %d, and then %v", n, page.Next)
	}
	before := w.rowsRead()
	const pages = 20
	for range pages {
		if page, err = w.store.Audit(t.Context(), ingest.AuditFilter{Limit: 50, After: page.Next}); err != nil || len(page.Entries) != 50 {
			t.Fatal(len(page.Entries), err)
		}
	}
	if read := (w.rowsRead() - before) / pages; read == 0 || read > 4*50 {
		t.Errorf("a page of 50 reads %d rows", read)
	} else {
		t.Logf("a page of 50 reads %d rows", read)
	}
}

// rowsRead is how many rows the store's sessions fetched by way of the index of positions.
func (w *world) rowsRead() (rows int) {
	w.t.Helper()
	for _, conn := range w.store.Pool().AcquireAllIdle(w.t.Context()) {
		if _, err := conn.Exec(w.t.Context(), "select pg_stat_force_next_flush()"); err != nil {
			w.t.Fatal(err)
		}
		conn.Release()
	}
	if err := w.schemaOwner().QueryRow(w.t.Context(), "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'operations_position_key'").
		Scan(&rows); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// A list of everything is of partitions that can be merged; without operations it is of any.
func TestAuditOfTooManyPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.schemaOwner().Exec(t.Context(), "alter table deployment disable trigger user"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.schemaOwner().Exec(t.Context(), "update deployment set partitions = 2048"); err != nil {
		t.Fatal(err)
	}
	w.store = w.connect("wide")
	if _, err := w.store.Audit(t.Context(), ingest.AuditFilter{Limit: 1}); err == nil || !strings.Contains(err.Error(), ingest.ErrTooWide.Error()) {
		t.Errorf("of everything: %v", err)
	}
	for _, f := range []ingest.AuditFilter{{Limit: 1, ChangesOnly: true}, {Limit: 1, About: "history"}} {
		if _, err := w.store.Audit(t.Context(), f); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
