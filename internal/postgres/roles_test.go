package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/ledger"
)

// The history cannot be changed: services lack the right, the owner meets the
// triggers.
func TestHistoryIsAppendOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wallet(0)
	owner := w.schemaOwner()
	for _, sql := range []string{
		"update operations set description = 'x'", "delete from operations", "truncate operations",
		"insert into operations select * from operations on conflict (partition, id) do update set reason = 'expired'",
	} {
		_, err := w.store.Pool().Exec(t.Context(), sql)
		if code := state(err); code != "42501" {
			t.Errorf("the service: %s: %v", sql, err)
		}
		if _, err = owner.Exec(t.Context(), sql); state(err) != "23001" {
			t.Errorf("the owner: %s: %v", sql, err)
		}
	}
}

// What a service may not do it cannot do.
func TestServiceRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, sql := range []string{
		"update deployment set partitions = 8", "delete from wallets", "delete from partition_progress",
		"insert into partition_progress (partition, topic) values (9, 'x')", "update dead_letters set reason = ''",
		"delete from conflicts", "create table x ()", "alter table operations disable trigger all",
		"drop trigger operations_refuse_change on operations", "delete from api_keys", "delete from goose_db_version", "delete from verifications", "update verifications set violations = 0",
		"update clients set name = ''", "update merchants set owner = null", "update merchants set name = ''", "update changes set reason = ''", "delete from changes",
		"insert into changes (chain, role, action, about, at) values (-1, 'operator', 'client_created', 'x', now())",
		"update change_chains set last_number = 0", "delete from change_chains",
	} {
		if _, err := w.store.Pool().Exec(t.Context(), sql); state(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// An owner that is no superuser migrates, and its services run.
func TestMigrateAsAnOrdinaryOwner(t *testing.T) {
	t.Parallel()
	w := newOrdinaryOwner(t)
	w.wallet(0)
	w.settle(1, request(w.topUp(w.wallet(1), 5)))
	w.hold("stopped", lockProgress)
	w.claim(0)
	w.verified()
	if _, made, err := w.store.Apply(context.Background(), *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: w.wallet(2)})); err != nil || !made {
		t.Error(made, err)
	}
}

func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
