package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// busyWorld has histories of every kind in two partitions.
func busyWorld(t testing.TB) (*world, []ledger.WalletID) {
	t.Helper()
	w := newWorld(t)
	shop, second := w.merchant(ledger.ClientID{}), w.merchant(ledger.ClientID{})
	var list []ledger.WalletID
	for i := range 6 {
		id := w.wallet(1 + i%2)
		list = append(list, id)
		w.now = w.now.Add(time.Second)
		w.settle(1+i%2, request(w.topUp(id, 1000)), request(w.charge(id, shop, 300, "INV-1")), request(w.charge(id, second, 40, "INV-1")),
			request(w.charge(id, shop, 5000, "")), request(w.charge(walletID(1+i%2), shop, 1, "")), dead())
	}
	w.apply(ledger.Request{Kind: ledger.KindFreeze, Wallet: list[0]})
	empty := w.wallet(2)
	w.apply(ledger.Request{Kind: ledger.KindClose, Wallet: empty})
	return w, append(list, empty)
}

// projections are all rows of the projections, as text.
func (w *world) projections() []string {
	w.t.Helper()
	rows, err := w.schemaOwner().Query(w.t.Context(), `select w::text from wallets w union all select b::text from account_balances b
		union all select h::text from holds h union all select m::text from mandates m order by 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

func (w *world) rebuild(only ...int) (changed int64) {
	w.t.Helper()
	if err := postgres.Rebuild(w.t.Context(), w.url, only, func(r postgres.Rebuilt) {
		changed += r.WalletsChanged + r.HoldsChanged + r.MandatesChanged + r.BalancesChanged
	}); err != nil {
		w.t.Fatal(err)
	}
	return changed
}

// Whatever happened to the projections, the history brings them back byte by
// byte, and what was right is left alone.
func TestRebuild(t *testing.T) {
	t.Parallel()
	w, _ := busyWorld(t)
	before := w.projections()
	if len(before) != 7+6 {
		t.Fatalf("%d rows: %v", len(before), before)
	}
	if n := w.rebuild(); n != 0 {
		t.Errorf("%d rows changed of projections that were right", n)
	}
	for _, c := range []struct {
		sql     string
		changed int64
	}{
		{"truncate wallets, account_balances", 13},
		{"delete from wallets where partition = 1", 3},
		{"update wallets set balance = 7, credit_limit = 5, last_sequence = 99, opened_at = now(), client_id = gen_random_uuid()", 7},
		{"update wallets set currency = 'USD', status = 'closed', last_digest = decode(repeat('00', 32), 'hex')", 7},
		{"update account_balances set balance = balance * 2", 6},
		{"insert into account_balances values (1, gen_random_uuid(), 'EUR', 5)", 1},
		{"insert into wallets select balance, credit_limit, last_sequence, opened_at, partition, gen_random_uuid(), client_id, currency, status, last_digest from wallets", 7},
	} {
		if _, err := w.schemaOwner().Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		if n := w.rebuild(); n != c.changed {
			t.Errorf("%s: %d rows changed, not %d", c.sql, n, c.changed)
		}
		if diff := cmp.Diff(before, w.projections()); diff != "" {
			t.Errorf("%s:\n%s", c.sql, diff)
		}
	}
	w.verified()
}

// The projections of what lasts longer than one operation, too.
func TestRebuildHoldsAndMandates(t *testing.T) {
	t.Parallel()
	w := tamperWorld(t)
	before := w.projections()
	if n := w.rebuild(); n != 0 {
		t.Errorf("%d rows changed of projections that were right", n)
	}
	for _, c := range []struct {
		sql     string
		changed int64
	}{
		{"truncate holds, mandates", 2 + 2},
		{"update holds set expires_at = expires_at + interval '1 day', invoice_key = gen_random_uuid()", 2},
		{"insert into holds select expires_at, partition, gen_random_uuid(), wallet_id, merchant_id from holds limit 1", 1},
		{"update wallets set charges = null where charges is not null", 1},
		{"update mandates set given = not given", 2},
		{"update mandates set max_amount = 1, per_day = 1, per_month = 1, total = 1, valid_until = now()", 2},
		{"update mandates set used_on_day = 1, used_in_month = 2, used = 3 where used > 0", 1},
		{"update mandates set day = day + 1", 2},
		{"insert into mandates (partition, wallet_id, merchant_id, given, day, used_on_day, used_in_month, used) select partition, wallet_id, gen_random_uuid(), true, 0, 0, 0, 0 from mandates limit 1", 1},
	} {
		if _, err := w.schemaOwner().Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		if report, err := w.store.Verify(t.Context()); err != nil || report.OK() {
			t.Errorf("%s: verify finds nothing: %v", c.sql, err)
		}
		if n := w.rebuild(); n != c.changed {
			t.Errorf("%s: %d rows changed, not %d", c.sql, n, c.changed)
		}
		if diff := cmp.Diff(before, w.projections()); diff != "" {
			t.Errorf("%s:\n%s", c.sql, diff)
		}
	}
	w.verified()
}

func TestRebuildOnePartition(t *testing.T) {
	t.Parallel()
	w, _ := busyWorld(t)
	if _, err := w.schemaOwner().Exec(t.Context(), "truncate wallets, account_balances"); err != nil {
		t.Fatal(err)
	}
	if n := w.rebuild(2); n != 4+3 {
		t.Errorf("%d rows changed", n)
	}
	if err := postgres.Rebuild(t.Context(), w.url, []int{partitions}, nil); !errors.Is(err, postgres.ErrNoPartition) {
		t.Errorf("a partition that is not there: %v", err)
	}
	if _, err := w.schemaOwner().Exec(t.Context(), "delete from partition_progress where partition = 3"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Rebuild(t.Context(), w.url, []int{3}, nil); !errors.Is(err, processor.ErrNoProgress) {
		t.Errorf("a partition without progress: %v", err)
	}
}

// A rebuild waits for those who are at work, and they for it.
func TestRebuildBesideSettlesAndDirectOperations(t *testing.T) {
	t.Parallel()
	w, wallets := busyWorld(t)
	frozen, hot := wallets[0], wallets[2] // both in partition 1
	shop := w.merchant(ledger.ClientID{})
	client := w.client()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const rounds = 25
	var direct []ledger.Request
	for range rounds {
		direct = append(direct, *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: frozen}),
			*w.minted(ledger.Request{Kind: ledger.KindOpen, Wallet: walletID(1), Client: client, Currency: "EUR"}))
	}
	claim := w.claim(1)
	var slices []processor.Slice
	for i := range int64(rounds) {
		slices = append(slices, slice(claim.NextOffset+2*i, request(w.charge(hot, shop, 1, "")), request(w.topUp(hot, 2))))
	}
	var work, rebuilds sync.WaitGroup
	ended := make(chan struct{})
	rebuilds.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
				if err := postgres.Rebuild(ctx, w.url, []int{1}, func(r postgres.Rebuilt) {
					if r.WalletsChanged+r.HoldsChanged+r.MandatesChanged+r.BalancesChanged != 0 {
						t.Errorf("the rebuild found the projections wrong: %+v", r)
					}
				}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	work.Go(func() {
		for _, r := range direct {
			if _, _, err := w.store.Apply(ctx, r); err != nil {
				t.Error(err)
			}
		}
	})
	work.Go(func() {
		for _, s := range slices {
			if _, err := w.store.Settle(ctx, claim, s); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	close(ended)
	rebuilds.Wait()
	if report := w.verified(); report.Wallets != 7+rounds {
		t.Errorf("report: %s", report)
	}
}

// While a rebuild holds the partition, a direct operation gives up after a
// second, a settle waits, and neither leaves a trace before the rebuild ends.
func TestRebuildHoldsOffBoth(t *testing.T) {
	t.Parallel()
	w, wallets := busyWorld(t)
	claim := w.claim(1)
	holding := w.schemaOwner()
	begin(t, holding)
	if _, err := holding.Exec(t.Context(), "select from partition_progress where partition = 1 for update"); err != nil {
		t.Fatal(err)
	}
	settled := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := slice(claim.NextOffset, request(w.topUp(wallets[0], 5)))
	go func() {
		_, err := w.store.Settle(ctx, claim, s)
		settled <- err
	}()
	began := time.Now()
	_, _, err := w.store.Apply(ctx, *w.minted(ledger.Request{Kind: ledger.KindFreeze, Wallet: wallets[2]}))
	if state(err) != "55P03" || errors.Is(err, ledger.ErrNotFound) || time.Since(began) < 900*time.Millisecond {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	select {
	case err := <-settled:
		t.Errorf("the settle did not wait: %v", err)
	default:
	}
	if _, err := holding.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-settled; err != nil {
		t.Error(err)
	}
	w.verified()
}

func begin(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
}
