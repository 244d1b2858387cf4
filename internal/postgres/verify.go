package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/verify_progress.sql
	verifyProgressSQL string
	//go:embed queries/verify_records.sql
	verifyRecordsSQL string
	//go:embed queries/verify_places.sql
	verifyPlacesSQL string
	//go:embed queries/verify_positions.sql
	verifyPositionsSQL string
	//go:embed queries/verify_seals.sql
	verifySealsSQL string
	//go:embed queries/verify_orphans.sql
	verifyOrphansSQL string
	//go:embed queries/verify_balances.sql
	verifyBalancesSQL string
	//go:embed queries/verify_holds.sql
	verifyHoldsText string
	//go:embed queries/verify_mandates.sql
	verifyMandatesText string
	//go:embed queries/verify_sums.sql
	verifySumsSQL string
	//go:embed queries/verify_changes.sql
	verifyChangesSQL string
	//go:embed queries/verify_strays.sql
	verifyStraysSQL string
)

// scanSettings undo, for one transaction, what makes short statements safe and
// long ones slow.
const scanSettings = `set local statement_timeout = 0; set local plan_cache_mode = auto; set local enable_seqscan = on;
set local idle_in_transaction_session_timeout = 0`

// Scope narrows what [Store.VerifyScope] looks at. The zero value is everything.
type Scope struct {
	Partitions []int           // only these; empty: all
	Wallet     ledger.WalletID // only this wallet's history, and nothing else; zero: all
	Since      time.Time       // only histories in which something was decided since then; zero: all
}

// verifyAtOnce is how many partitions are looked at at once.
const verifyAtOnce = 4

// Verify checks everything that must always hold; see [Store.VerifyScope].
func (s *Store) Verify(ctx context.Context) (Report, error) { return s.VerifyScope(ctx, Scope{}) }

// VerifyScope checks everything in the scope that must always hold, while the
// system is live. What goes together is read in one read-only snapshot, and no
// snapshot grows old: histories, which only ever get longer, are read on in the
// next one. It keeps only what one wallet needs. An error means that it could not
// look at all, never that something is wrong: that is in the report, which then
// holds what was found until there.
func (s *Store) VerifyScope(ctx context.Context, scope Scope) (Report, error) {
	if !scope.Wallet.IsZero() {
		scope.Partitions = []int{s.partition(scope.Wallet)}
	}
	if err := s.deployment.Check(scope.Partitions...); err != nil {
		return Report{}, err
	}
	whole := len(scope.Partitions) == 0
	if whole {
		for p := range s.deployment.Partitions {
			scope.Partitions = append(scope.Partitions, p)
		}
	}
	reports := make([]Report, len(scope.Partitions)+1)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifyAtOnce)
	for i, partition := range scope.Partitions {
		group.Go(func() error {
			reports[i].Partitions = 1
			p := partitionCheck{
				store: s, scope: scope, topic: s.deployment.Topic, partition: partition, partitions: s.deployment.Partitions,
				report: &reports[i],
			}
			if err := p.run(ctx); err != nil {
				return fmt.Errorf("verify partition %d: %w", partition, err)
			}
			return nil
		})
	}
	if whole {
		group.Go(func() error { return s.strays(ctx, &reports[len(scope.Partitions)]) })
	}
	err := group.Wait()
	var r Report
	for i := range reports {
		r.merge(&reports[i])
	}
	return r, err
}

// strays looks for rows in partitions that the topic does not have, and at the changes that
// are of none.
func (s *Store) strays(ctx context.Context, r *Report) error {
	return s.snapshot(ctx, scanSettings, func(tx pgx.Tx) error {
		if err := changes(ctx, tx, noPartition, r); err != nil {
			return err
		}
		var table string
		var rows int64
		return forEach(ctx, tx, verifyStraysSQL, []any{s.deployment.Partitions}, []any{&table, &rows}, func() {
			r.add(Violation{Partition: noPartition, Rule: RulePartition, Detail: fmt.Sprintf("%d rows of %s lie in no partition of the topic", rows, table)})
		})
	})
}

// changes looks at one chain of the audit log.
func changes(ctx context.Context, tx pgx.Tx, chain int, r *Report) error {
	var number int64
	var fault string
	return forEach(ctx, tx, verifyChangesSQL, []any{chain}, []any{&number, &fault}, func() {
		r.add(Violation{Partition: chain, Rule: RuleChange, Detail: fmt.Sprintf("%d %s", number, fault)})
	})
}

func (s *Store) snapshot(ctx context.Context, settings string, look func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, settings).ReadAll(); err != nil {
			return fmt.Errorf("prepare to scan: %w", err)
		}
		return look(tx)
	})
}

// partitionCheck looks at one partition.
type partitionCheck struct {
	store                 *Store
	scope                 Scope
	topic                 string
	partition, partitions int
	report                *Report
}

// run looks at the sums of the partition in one snapshot, which the database adds
// up, and at its histories in as many as it takes.
func (p *partitionCheck) run(ctx context.Context) error {
	look := p.sums
	if !p.scope.Wallet.IsZero() {
		look = p.orphans
	}
	if err := p.store.snapshot(ctx, scanSettings, func(tx pgx.Tx) error { return look(ctx, tx) }); err != nil {
		return err
	}
	return p.histories(ctx)
}

// orphans looks for wallets that no operation made; of one wallet, for that one.
func (p *partitionCheck) orphans(ctx context.Context, tx pgx.Tx) error {
	var wallet ledger.WalletID
	return forEach(ctx, tx, verifyOrphansSQL, []any{p.partition, idOrNull(p.scope.Wallet)}, []any{(*[16]byte)(&wallet)}, func() {
		p.report.Wallets++
		p.violation(RuleWallet, ledger.Operation{Request: ledger.Request{Wallet: wallet}}, "has no operation that made it")
	})
}

func (p *partitionCheck) sums(ctx context.Context, tx pgx.Tx) error {
	if err := p.progress(ctx, tx); err != nil {
		return err
	}
	var place ledger.Place
	var fault string
	if err := forEach(ctx, tx, verifySealsSQL, []any{p.partition}, []any{&place.Log, &place.Offset, &fault}, func() {
		p.violation(RuleRecord, ledger.Operation{Place: place}, "%s", fault)
	}); err != nil {
		return err
	}
	if err := changes(ctx, tx, p.partition, p.report); err != nil {
		return err
	}
	if err := forEach(ctx, tx, verifyPositionsSQL, []any{p.partition}, []any{&fault}, func() {
		p.violation(ledger.RulePosition, ledger.Operation{}, "%s", fault)
	}); err != nil {
		return err
	}
	if err := p.orphans(ctx, tx); err != nil {
		return err
	}
	var hold ledger.OperationID
	if err := forEach(ctx, tx, verifyHoldsSQL, []any{p.partition}, []any{(*[16]byte)(&hold), &fault}, func() {
		p.violation(RuleHold, ledger.Operation{Request: ledger.Request{ID: hold}}, "%s", fault)
	}); err != nil {
		return err
	}
	var mandate ledger.WalletMerchant
	targets := []any{(*[16]byte)(&mandate.Wallet), (*[16]byte)(&mandate.Merchant), &fault}
	if err := forEach(ctx, tx, verifyMandatesSQL, []any{p.partition}, targets, func() {
		p.violation(RuleMandate, ledger.Operation{Request: ledger.Request{Wallet: mandate.Wallet}}, "of %s %s", mandate.Merchant, fault)
	}); err != nil {
		return err
	}
	var account ledger.AccountID
	var currency, has, moved, sum string
	targets = []any{(*[16]byte)(&account), &currency, &has, &moved}
	if err := forEach(ctx, tx, verifyBalancesSQL, []any{p.partition}, targets, func() {
		p.violation(RuleAccount, ledger.Operation{}, "%s has %s %s, its operations moved %s", accountName(account), has, currency, moved)
	}); err != nil {
		return err
	}
	return forEach(ctx, tx, verifySumsSQL, []any{p.partition}, []any{&currency, &sum}, func() {
		p.violation(RuleSum, ledger.Operation{}, "over all wallets and accounts is %s in %s, not zero", sum, currency)
	})
}

// progress checks that the counts account for every offset, and that the rows
// which came from records go together with the counts and with each other.
//
// A replay of the log settles nothing twice: it counts as duplicates what is
// there already, and dead letters and conflicts once more. So there may be more
// operations than the count says, but never fewer.
func (p *partitionCheck) progress(ctx context.Context, tx pgx.Tx) error {
	var topic string
	var log int32
	var first, next, settled, duplicates, conflicts, dead, gaps, reached int64
	var towardsGoal bool
	err := tx.QueryRow(ctx, verifyProgressSQL, p.partition).
		Scan(&topic, &log, &first, &next, &settled, &duplicates, &conflicts, &dead, &gaps, &reached, &towardsGoal)
	if errors.Is(err, pgx.ErrNoRows) {
		p.violation(RuleProgress, ledger.Operation{}, "has no row")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	p.report.Offsets += next - first
	if topic != p.topic {
		p.violation(RuleProgress, ledger.Operation{}, "is of the topic %q, not of %q", topic, p.topic)
	}
	if !towardsGoal {
		p.violation(RuleProgress, ledger.Operation{}, "has another goal than its last move gave it")
	}
	if sum := settled + duplicates + conflicts + dead + gaps; sum != next-first {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d of %d offsets", sum, next-first)
	}
	var operations, conflictRows, deadRows, allConflicts, allLetters int64
	err = tx.QueryRow(ctx, verifyRecordsSQL, p.partition, log, first, next).
		Scan(&operations, &conflictRows, &deadRows, &allConflicts, &allLetters)
	if err != nil {
		return fmt.Errorf("count records: %w", err)
	}
	p.report.Conflicts += allConflicts
	p.report.DeadLetters += allLetters
	if operations < settled || operations > next-first-gaps {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d settled records, there are %d operations", settled, operations)
	}
	if conflictRows != conflicts {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d conflicts, there are %d", conflicts, conflictRows)
	}
	if deadRows != dead {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d dead letters, there are %d", dead, deadRows)
	}
	var place ledger.Place
	var fault string
	return forEach(ctx, tx, verifyPlacesSQL, []any{p.partition, log, reached}, []any{&place.Log, &place.Offset, &fault}, func() {
		p.violation(RulePlace, ledger.Operation{Place: place}, "%s", fault)
	})
}

func (p *partitionCheck) violation(rule ledger.Rule, o ledger.Operation, format string, args ...any) {
	p.report.add(Violation{
		Partition: p.partition, Rule: rule, Wallet: o.Wallet, Operation: o.ID, Place: o.Place, Detail: fmt.Sprintf(format, args...),
	})
}

func accountName(id ledger.AccountID) string {
	if id == ledger.FundingAccount() {
		return "the funding account"
	}
	return ledger.MerchantID(id).String()
}

// forEach runs the query and scans every row into the targets.
func forEach(ctx context.Context, tx pgx.Tx, sql string, args, targets []any, row func()) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, targets, func() error {
		row()
		return nil
	}); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}
