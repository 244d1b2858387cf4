package processor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// refuseBySQLState makes the database refuse each operation whose idempotency key
// looks like a SQLSTATE, with that state. What a request may say is checked so
// that none of it fails in the columns as they are; this stands for a column, an
// index or a setting that is not as it was.
const refuseBySQLState = `
	create function refuse() returns trigger language plpgsql as $$
	begin
		if new.idempotency_key ~ '^[0-9A-Z]{5}$' then
			raise exception 'refused' using errcode = new.idempotency_key;
		end if;
		return new;
	end $$;
	create trigger refuse before insert on operations for each row execute function refuse()`

// mend undoes it.
const mend = "drop trigger refuse on operations; drop function refuse"

func (f *fixture) exec(sql string) {
	f.t.Helper()
	conn, err := pgconn.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = conn.Exec(f.t.Context(), sql).ReadAll()
	if err := errors.Join(err, conn.Close(f.t.Context())); err != nil {
		f.t.Fatal(err)
	}
}

// Every class 22 state that a value can cause: the one operation fails, and its
// neighbours in the same batch do not.
func TestEachRefusalOfDataFailsItsOperationAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(refuseBySQLState)
	settler, claim := f.settler(f.store), f.claim()
	states := []string{
		"22000", // data_exception
		"22001", // string_data_right_truncation
		"22003", // numeric_value_out_of_range
		"22004", // null_value_not_allowed
		"22007", // invalid_datetime_format
		"22008", // datetime_field_overflow
		"22009", // invalid_time_zone_displacement_value
		"22012", // division_by_zero
		"22021", // character_not_in_repertoire
		"22023", // invalid_parameter_value
		"22025", // invalid_escape_sequence
		"22026", // string_data_length_mismatch
		"2202E", // array_subscript_error
		"22030", // duplicate_json_object_key_value
		"22032", // invalid_json_text
		"2203G", // sql_json_item_cannot_be_cast_to_target_type
		"22P02", // invalid_text_representation
		"22P03", // invalid_binary_representation
		"22P04", // bad_copy_file_format
		"22P05", // untranslatable_character
	}
	for _, state := range states {
		before, bad, after := f.charge("before "+state, 1), f.charge(state, 1), f.charge("after "+state, 1)
		f.append(f.encoded(before), f.encoded(bad), f.encoded(after))
		batch := f.batch(claim)
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
			t.Fatalf("%s: %v", state, got)
		}
		got := []string{f.outcome(before.ID), f.outcome(bad.ID), f.outcome(after.ID)}
		if diff := cmp.Diff([]string{"accepted", "processing_error", "accepted"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
		claim.NextOffset = batch.To
		f.clock = f.clock.Add(processor.FloodWindow) // each is one of its own, and no flood
	}
	if got, want := f.balance(), int64(1000-2*len(states)); got != want {
		t.Errorf("balance %d, want %d", got, want)
	}
	if got := f.strings("select operation_id::text from dead_letters"); len(got) != len(states) {
		t.Errorf("%d dead letters, want %d", len(got), len(states))
	}
	f.verify()
}

// Whatever else the database answers is tried again until it answers otherwise,
// and stays no charge's fault.
func TestEachTroubleOfTheDatabaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	settler, claim := f.settler(f.store), f.claim()
	for i, state := range []string{
		"0A000", // feature_not_supported: a plan that a migration made invalid
		"08006", // connection_failure
		"25006", // read_only_sql_transaction
		"25P02", // in_failed_sql_transaction
		"40001", // serialization_failure
		"40P01", // deadlock_detected
		"42501", // insufficient_privilege
		"42703", // undefined_column
		"42883", // undefined_function
		"42P01", // undefined_table
		"53100", // disk_full
		"53200", // out_of_memory
		"53300", // too_many_connections
		"53400", // configuration_limit_exceeded
		"54000", // program_limit_exceeded
		"55P03", // lock_not_available
		"57014", // query_canceled
		"57P01", // admin_shutdown
		"58030", // io_error
		"P0001", // raise_exception
		"XX000", // internal_error
		"XX001", // data_corrupted
	} {
		f.exec(refuseBySQLState)
		neighbour, met := f.charge("beside "+state, 1), f.charge(state, 1)
		f.append(f.encoded(neighbour), f.encoded(met))
		batch := f.batch(claim)
		for range 2 {
			got := settler.Settle(t.Context(), batch)
			var answer *pgconn.PgError
			if got.Kind != processor.ResultAgain || !errors.As(got.Cause, &answer) || answer.Code != state {
				t.Fatalf("%s: got %v", state, got)
			}
			if got := f.nextOffset(); got != claim.NextOffset {
				t.Fatalf("%s: next offset %d, want %d", state, got, claim.NextOffset)
			}
		}
		f.exec(mend)
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
			t.Fatalf("%s is over: %v", state, got)
		}
		if got := []string{f.outcome(neighbour.ID), f.outcome(met.ID)}; got[0] != "accepted" || got[1] != "accepted" {
			t.Errorf("%s is over, and the charges are %v", state, got)
		}
		if got, want := f.balance(), int64(1000-2*(i+1)); got != want {
			t.Errorf("%s is over, balance %d, want %d", state, got, want)
		}
		claim.NextOffset = batch.To
	}
	f.verify()
}

func TestFloodOfDataThatTheDatabaseRefusesHalts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(refuseBySQLState)
	for i := range processor.FloodLimit + 5 {
		f.append(f.encoded(f.charge(fmt.Sprintf("22%03d", i), 1)))
	}
	behind := f.charge("behind", 1)
	f.append(f.encoded(behind))
	batch := f.batch(f.claim())
	if got := f.settler(f.store).Settle(t.Context(), batch); got.Kind != processor.ResultHalt {
		t.Fatalf("got %v; want a halt", got)
	}
	const halted = 1 + processor.FloodLimit + 1 // behind the top-up and one refusal too many
	if got := f.nextOffset(); got != halted {
		t.Errorf("next offset %d, want %d", got, halted)
	}
	if got := f.outcome(behind.ID); got != "pending" {
		t.Errorf("the charge behind the flood is %s", got)
	}
	f.verify()
}

// A request that cannot be encoded as a row is refused before a byte of it is
// sent. Our own decoder lets none pass; one that forgets a check would.
func TestRequestThatCannotBeEncodedFailsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before, timeless, far, after := f.charge("before", 1), f.charge("timeless", 2), f.charge("far", 3), f.charge("after", 4)
	f.append(f.encoded(before), f.encoded(timeless), f.encoded(far), f.encoded(after))
	settler := f.decoding(f.store, func(r record.Record) (record.Decoded, error) {
		d, err := record.Decode(r)
		switch d.ID {
		case timeless.ID:
			d.Request.ReceivedAt = time.Time{}
		case far.ID:
			d.Request.ApplyBefore = f.clock.AddDate(10_000, 0, 0)
		}
		return d, err
	})
	if got := settler.Settle(t.Context(), f.batch(f.claim())); got.Kind != processor.ResultSettled {
		t.Fatal(got)
	}
	got := []string{f.outcome(before.ID), f.outcome(timeless.ID), f.outcome(far.ID), f.outcome(after.ID)}
	if diff := cmp.Diff([]string{"accepted", "processing_error", "processing_error", "accepted"}, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	f.verify()
}

// The clock of a processor may jump, forth and back: histories keep their order,
// and an outcome stays what it was.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	settler, claim := f.settler(f.store), f.claim()
	start := f.clock
	settle := func(jump time.Duration, records ...record.Record) {
		t.Helper()
		f.clock = start.Add(jump)
		f.append(records...)
		batch := f.batch(claim)
		if got := settler.Settle(t.Context(), batch); got.Kind != processor.ResultSettled {
			t.Fatal(got)
		}
		claim.NextOffset = batch.To
	}
	until := func(key string, limit time.Duration) (record.Record, func() string) {
		r := f.charge(key, 10)
		r.ApplyBefore = start.Add(limit)
		return f.encoded(r), func() string { return f.outcome(r.ID) }
	}
	for i, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour, 365 * 24 * time.Hour, -time.Nanosecond} {
		settle(jump, f.encoded(f.charge(fmt.Sprint("charge ", i), 1)))
	}
	late, lateIs := until("late", time.Hour)
	timely, timelyIs := until("timely", time.Hour)
	settle(2*time.Hour, late)
	settle(0, timely, late) // what was too late then has not come in time now
	if lateIs() != "expired" || timelyIs() != "accepted" {
		t.Errorf("the late one is %s, the timely one %s", lateIs(), timelyIs())
	}
	settle(2*time.Hour, timely)
	if timelyIs() != "accepted" {
		t.Errorf("once more, and late, the timely one is %s", timelyIs())
	}
	order := f.strings("select sequence || ' at ' || coalesce(log_offset::text, '-') from operations order by sequence")
	want := []string{"1 at -", "2 at 0", "3 at 1", "4 at 2", "5 at 3", "6 at 4", "7 at 5", "8 at 6", "9 at 7"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if got := f.balance(); got != 1000-5-10 {
		t.Errorf("balance %d, want %d", got, 1000-5-10)
	}
	f.verify()
}
