package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/verify_progress.sql
	verifyProgressSQL string
	//go:embed queries/verify_records.sql
	verifyRecordsSQL string
	//go:embed queries/verify_places.sql
	verifyPlacesSQL string
	//go:embed queries/verify_operations.sql
	verifyOperationsSQL string
	//go:embed queries/verify_orphans.sql
	verifyOrphansSQL string
	//go:embed queries/verify_balances.sql
	verifyBalancesSQL string
	//go:embed queries/verify_sums.sql
	verifySumsSQL string
	//go:embed queries/verify_strays.sql
	verifyStraysSQL string
)

// scanSettings undo, for one transaction, what makes short statements safe and
// long ones slow.
const scanSettings = `set local statement_timeout = 0; set local plan_cache_mode = auto; set local enable_seqscan = on;
set local idle_in_transaction_session_timeout = 0`

// Verify checks everything that must always hold: each partition in one
// read-only snapshot, so that it neither holds up a settle nor sees half of one.
// It reads the operations as a stream and keeps only what one wallet and the
// partition's accounts need. An error means that it could not look, never that
// something is wrong: that is in the report.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	var r Report
	for partition := range s.deployment.Partitions {
		err := s.snapshot(ctx, func(tx pgx.Tx) error {
			p := partitionCheck{topic: s.deployment.Topic, partition: partition, partitions: s.deployment.Partitions, report: &r}
			return p.run(ctx, tx)
		})
		if err != nil {
			return r, fmt.Errorf("verify partition %d: %w", partition, err)
		}
		r.Partitions++
	}
	err := s.snapshot(ctx, func(tx pgx.Tx) error {
		var table string
		var rows int64
		return forEach(ctx, tx, verifyStraysSQL, []any{s.deployment.Partitions}, []any{&table, &rows}, func() {
			r.add(Violation{Rule: RulePartition, Detail: fmt.Sprintf("%d rows of %s lie in no partition of the topic", rows, table)})
		})
	})
	if err != nil {
		return r, fmt.Errorf("verify partitions: %w", err)
	}
	return r, nil
}

func (s *Store) snapshot(ctx context.Context, look func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, scanSettings).ReadAll(); err != nil {
			return fmt.Errorf("prepare to scan: %w", err)
		}
		return look(tx)
	})
}

// partitionCheck looks at one partition.
type partitionCheck struct {
	topic                 string
	partition, partitions int
	report                *Report
	moved                 map[ledger.Movement]*big.Int // by account and currency
}

func (p *partitionCheck) run(ctx context.Context, tx pgx.Tx) error {
	p.moved = map[ledger.Movement]*big.Int{}
	if err := p.progress(ctx, tx); err != nil {
		return err
	}
	if err := p.operations(ctx, tx); err != nil {
		return err
	}
	var wallet ledger.WalletID
	if err := forEach(ctx, tx, verifyOrphansSQL, []any{p.partition}, []any{(*[16]byte)(&wallet)}, func() {
		p.report.Wallets++
		p.violation(RuleWallet, ledger.Operation{Request: ledger.Request{Wallet: wallet}}, "has no operation that made it")
	}); err != nil {
		return err
	}
	if err := p.balances(ctx, tx); err != nil {
		return err
	}
	var currency, sum string
	return forEach(ctx, tx, verifySumsSQL, []any{p.partition}, []any{&currency, &sum}, func() {
		p.violation(RuleSum, ledger.Operation{}, "over all wallets and accounts is %s in %s, not zero", sum, currency)
	})
}

// progress checks that the counts account for every offset, and that the rows
// which came from records go together with the counts and with each other.
//
// A replay of the log settles nothing twice: it counts as duplicates what is
// there already. So the rows may be more than a count, but never fewer.
func (p *partitionCheck) progress(ctx context.Context, tx pgx.Tx) error {
	var topic string
	var log int32
	var first, next, settled, duplicates, conflicts, dead, gaps, reached int64
	err := tx.QueryRow(ctx, verifyProgressSQL, p.partition).
		Scan(&topic, &log, &first, &next, &settled, &duplicates, &conflicts, &dead, &gaps, &reached)
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
	if conflictRows < conflicts {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d conflicts, there are %d", conflicts, conflictRows)
	}
	if deadRows < dead {
		p.violation(RuleProgress, ledger.Operation{}, "counts %d dead letters, there are %d", dead, deadRows)
	}
	var place ledger.Place
	var fault string
	return forEach(ctx, tx, verifyPlacesSQL, []any{p.partition, log, reached}, []any{&place.Log, &place.Offset, &fault}, func() {
		p.violation(RulePlace, ledger.Operation{Place: place}, "%s", fault)
	})
}

// balances compares the accounts with what moved.
func (p *partitionCheck) balances(ctx context.Context, tx pgx.Tx) error {
	var m ledger.Movement
	var text string
	targets := []any{(*[16]byte)(&m.Account), (*string)(&m.Currency), &text}
	if err := forEach(ctx, tx, verifyBalancesSQL, []any{p.partition}, targets, func() {
		sum := p.moved[m]
		if sum == nil {
			sum = new(big.Int)
		}
		delete(p.moved, m)
		if text != sum.String() {
			p.violation(RuleAccount, ledger.Operation{}, "%s has %s %s, its operations moved %s", accountName(m.Account), text, m.Currency, sum)
		}
	}); err != nil {
		return err
	}
	for m, sum := range p.moved {
		p.violation(RuleAccount, ledger.Operation{}, "%s has no balance, its operations moved %s %s", accountName(m.Account), sum, m.Currency)
	}
	return nil
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
