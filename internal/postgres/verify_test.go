package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/repair"
)

// tamper changes one thing as an owner that goes round the triggers could.
var tamperings = map[string]struct {
	sql  string
	want []ledger.Rule
}{
	"amount":                          {"update operations set amount = amount + 1 where kind = 'charge' and reason is null", []ledger.Rule{ledger.RuleDigest, ledger.RuleFingerprint, ledger.RuleOutcome, postgres.RuleAccount}},
	"balance_after":                   {"update operations set balance_after = balance_after + 1 where kind = 'top_up'", []ledger.Rule{ledger.RuleDigest, ledger.RuleOutcome}},
	"description":                     {"update operations set description = 'tea' where description is not null", []ledger.Rule{ledger.RuleDigest, ledger.RuleFingerprint}},
	"time of decision":                {"update operations set decided_at = decided_at - interval '1 microsecond'", []ledger.Rule{ledger.RuleDigest}},
	"reason":                          {"update operations set reason = 'wallet_frozen' where reason = 'insufficient_funds'", []ledger.Rule{ledger.RuleDigest, ledger.RuleOutcome}},
	"offset":                          {"update operations set log_offset = 99 where kind = 'top_up'", []ledger.Rule{ledger.RuleDigest, ledger.RuleOrder, postgres.RulePlace}},
	"log":                             {"update operations set log = 2 where kind = 'top_up'", []ledger.Rule{ledger.RuleDigest, postgres.RulePlace}},
	"key":                             {"update operations set idempotency_key = 'x' where kind = 'top_up'", []ledger.Rule{ledger.RuleDigest}},
	"null in place of zero":           {"update operations set log_offset = null where log_offset = 0", []ledger.Rule{postgres.RuleWhole}},
	"no limit in place of zero":       {"update operations set limit_after = null where sequence = 1", []ledger.Rule{postgres.RuleWhole}},
	"zero left in place of null":      {"update operations set left_after = 0 where kind = 'charge' and left_after is null", []ledger.Rule{postgres.RuleWhole}},
	"zero moved in place of null":     {"update operations set moved = 0 where kind = 'charge' and moved is null", []ledger.Rule{postgres.RuleWhole}},
	"a shorter hash":                  {"update operations set fingerprint = substr(fingerprint, 1, 31) where kind = 'top_up'", []ledger.Rule{ledger.RuleDigest, ledger.RuleFingerprint, postgres.RuleWhole}},
	"a longer hash":                   {`update operations set fingerprint = fingerprint || '\x00' where kind = 'top_up'`, []ledger.Rule{postgres.RuleWhole}},
	"a longer last digest":            {`update wallets set last_digest = last_digest || '\x00'`, []ledger.Rule{postgres.RuleWallet}},
	"a longer hash, without sequence": {`update operations set digest = digest || '\x00' where sequence is null`, []ledger.Rule{postgres.RuleWhole}},
	"invoice key":                     {"update operations set invoice_key = '00112233445566778899aabbccddeeff' where invoice is not null and reason is null", []ledger.Rule{postgres.RuleInvoiceKey}},
	"partition":                       {"update operations set partition = 2 where kind = 'open'", []ledger.Rule{postgres.RulePartition}},
	"no partition":                    {"update wallets set partition = 9", []ledger.Rule{postgres.RulePartition, postgres.RuleWallet}},
	"a row removed":                   {"delete from operations where reason = 'insufficient_funds'", []ledger.Rule{ledger.RuleSequence, ledger.RuleDigest, postgres.RuleProgress}},
	"the last removed":                {"delete from operations where sequence = (select max(sequence) from operations)", []ledger.Rule{postgres.RuleWallet, postgres.RuleProgress}},
	"the first of an invoice removed": {"delete from operations where invoice = 'INV-1' and reason is null", []ledger.Rule{ledger.RuleSequence, ledger.RuleOutcome}},
	"an invoice twice":                {"drop index operations_invoice_accepted_key; update operations set reason = null, duplicate_of = null where reason = 'duplicate_invoice'", []ledger.Rule{ledger.RuleOutcome, ledger.RuleDigest}},
	"wallet":                          {"update wallets set balance = balance + 1", []ledger.Rule{postgres.RuleWallet, postgres.RuleSum}},
	"last digest":                     {"update wallets set last_digest = decode(repeat('00', 32), 'hex')", []ledger.Rule{postgres.RuleWallet}},
	"limit":                           {"update wallets set credit_limit = 5", []ledger.Rule{postgres.RuleWallet}},
	"time of opening":                 {"update wallets set opened_at = opened_at - interval '1 microsecond'", []ledger.Rule{postgres.RuleWallet}},
	"topic":                           {"update partition_progress set topic = 'another'", []ledger.Rule{postgres.RuleProgress}},
	"wallet removed":                  {"delete from wallets", []ledger.Rule{postgres.RuleWallet, postgres.RuleSum}},
	"wallet made up":                  {"insert into wallets select balance, credit_limit, last_sequence, opened_at, partition, gen_random_uuid(), client_id, currency, status, last_digest from wallets", []ledger.Rule{postgres.RuleWallet, postgres.RuleSum}},
	"account":                         {"update account_balances set balance = balance + 1", []ledger.Rule{postgres.RuleAccount, postgres.RuleSum}},
	"account removed":                 {"delete from account_balances", []ledger.Rule{postgres.RuleAccount, postgres.RuleSum}},
	"resolution's partition":          {"update changes set chain = 99 where chain = 1", []ledger.Rule{postgres.RulePartition}},
	"a change":                        {"update changes set reason = 'another' where chain = 1", []ledger.Rule{postgres.RuleChange}},
	"a change of master data":         {"update changes set role = 'client' where chain = -1 and number = 1", []ledger.Rule{postgres.RuleChange}},
	"the first change removed":        {"delete from changes where chain = -1 and number = 1", []ledger.Rule{postgres.RuleChange}},
	"the last change removed":         {"delete from changes where chain = -1 and number = (select last_number from change_chains where chain = -1)", []ledger.Rule{postgres.RuleChange}},
	"all changes removed":             {"delete from changes where chain = 1", []ledger.Rule{postgres.RuleChange}},
	"a chain removed":                 {"delete from changes where chain = 1; delete from change_chains where chain = -1", []ledger.Rule{postgres.RuleChange}},
	"a change inserted":               {"insert into changes select (c).* from (select jsonb_populate_record(c, jsonb_build_object('number', number + 1, 'id', gen_random_uuid())) as c from changes c where chain = -1 and number = (select last_number from change_chains where chain = -1)) made", []ledger.Rule{postgres.RuleChange}},
	"a change renumbered":             {"update changes set number = 9 where chain = -1 and number = (select last_number from change_chains where chain = -1)", []ledger.Rule{postgres.RuleChange}},
	"counts":                          {"update partition_progress set settled = settled + 1, next_offset = next_offset + 1 where partition = 1", []ledger.Rule{postgres.RuleProgress}},
	"counts of dead":                  {"update partition_progress set dead = dead + 1, duplicates = duplicates - 1 where partition = 1", []ledger.Rule{postgres.RuleProgress}},
	"no sum":                          {"alter table partition_progress drop constraint partition_progress_counts_check; update partition_progress set gaps = 7", []ledger.Rule{postgres.RuleProgress}},
	"no progress":                     {"delete from partition_progress where partition = 3", []ledger.Rule{postgres.RuleProgress}},
	"dead letter":                     {"delete from dead_letters", []ledger.Rule{postgres.RulePlace, postgres.RuleProgress}},
	"conflict":                        {"delete from conflicts", []ledger.Rule{postgres.RuleProgress}},
	"conflict's name":                 {"update conflicts set operation_id = gen_random_uuid()", []ledger.Rule{postgres.RulePlace}},
}

func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	for name, c := range tamperings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			wallet, shop := w.wallet(1), w.merchant(ledger.ClientID{})
			known := w.charge(wallet, shop, 300, "INV-1")
			other := *known
			other.Amount++
			bare := w.minted(ledger.Request{Kind: ledger.KindTopUp, Wallet: wallet})
			w.settle(1, request(w.topUp(wallet, 1000)), request(w.charge(wallet, shop, 5000, "")), request(known),
				request(w.charge(wallet, shop, 10, "INV-1")), request(known), request(&other), refusal(bare.ID, wallet, "x"), dead(),
				request(w.charge(wallet, shop, 20, "")), request(w.charge(walletID(1), shop, 20, "")))
			if err := w.store.Resolve(t.Context(), repair.Resolution{
				Of:     repair.LetterPlace{Partition: 1, Place: ledger.Place{Log: 1, Offset: 7}},
				Number: 1, Action: repair.ActionDiscarded, By: "somebody", Reason: "why",
			}); err != nil {
				t.Fatal(err)
			}
			w.verified()

			sql := "set session_replication_role = replica; alter table operations disable trigger all; " + c.sql
			if _, err := w.schemaOwner().PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
				t.Fatal(err)
			}
			report, err := w.store.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			found := map[ledger.Rule]bool{}
			var text strings.Builder
			for _, v := range report.Violations {
				found[v.Rule] = true
				text.WriteString(v.String() + "\n")
			}
			for _, rule := range c.want {
				if !found[rule] {
					t.Errorf("the report says nothing of %s:\n%s", rule, text.String())
				}
			}
		})
	}
}

// TestChecks tries what the database itself refuses.
func TestChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet, shop := w.wallet(1), w.merchant(ledger.ClientID{})
	w.settle(1, request(w.topUp(wallet, 1000)), request(w.charge(wallet, shop, 300, "INV-1")))
	const anew = "insert into operations select (jsonb_populate_record(o, '%s')).* from operations o where invoice is not null"
	for _, c := range []struct{ constraint, sql string }{
		{"wallets_check", "update wallets set balance = -1"},
		{"wallets_check", "update wallets set credit_limit = -701"},
		{"wallets_check", "update wallets set balance = 9007199254740992"},
		{"wallets_check", "update wallets set held = -1"},
		{"wallets_check", "update wallets set held = 701"},
		{"wallets_check", "update wallets set charges = ''"},
		{"operations_check", fmt.Sprintf(anew, `{"amount": 0}`)},
		{"operations_check", fmt.Sprintf(anew, `{"amount": 9007199254740992}`)},
		{"operations_check", fmt.Sprintf(anew, `{"invoice_key": null}`)},
		{"operations_check", fmt.Sprintf(anew, `{"invoice": null}`)},
		{"partition_progress_counts_check", "update partition_progress set settled = settled + 1"},
		{"partition_progress_counts_check", "update partition_progress set next_offset = next_offset + 1"},
		{"partition_progress_counts_check", "update partition_progress set gaps = gaps + 1, dead = dead - 1"},
		{"partition_progress_counts_check", "update partition_progress set first_offset = -1, gaps = gaps + 1"},
		{"partition_progress_counts_check", "update partition_progress set moved_epoch = epoch + 1"},
		{"partition_progress_goal_check", "update partition_progress set goal = next_offset + 1"},
		{"partition_progress_last_record_check", "update partition_progress set last_record = ''"},
	} {
		_, err := w.schemaOwner().Exec(t.Context(), c.sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "23514" || refused.ConstraintName != c.constraint {
			t.Errorf("%s: %v, not refused by %s", c.sql, err, c.constraint)
		}
	}
}

func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(1)
	w.settle(1, request(w.topUp(wallet, 5)))
	conn := w.schemaOwner()
	_, err := conn.PgConn().Exec(t.Context(), `alter table operations disable trigger all;
		insert into wallets select balance, credit_limit, last_sequence, opened_at, partition, gen_random_uuid(), client_id, currency,
		status, last_digest from wallets, generate_series(1, 150)`).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	report, err := w.store.Verify(t.Context())
	if err != nil || report.OK() || len(report.Violations) != 100 || report.More != 51 || report.Wallets != 151 {
		t.Errorf("%d listed, %d more, %v: %s", len(report.Violations), report.More, err, report)
	}
}

// A scope leaves out what lies beside it, and nothing within.
func TestVerifyScope(t *testing.T) {
	t.Parallel()
	w, wallets := busyWorld(t)
	late := w.now.Add(time.Hour)
	w.now = late
	w.settle(1, request(w.topUp(wallets[2], 5)))
	conn := w.schemaOwner()
	if _, err := conn.Exec(t.Context(), "set session_replication_role = replica"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "update operations set description = 'tea' where sequence = 2"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scope                           postgres.Scope
		partitions, wallets, violations int64
	}{
		"all":                     {postgres.Scope{}, partitions, 7, 14},
		"a partition":             {postgres.Scope{Partitions: []int{1}}, 1, 3, 6},
		"a partition without any": {postgres.Scope{Partitions: []int{0}}, 1, 0, 0},
		"a wallet":                {postgres.Scope{Wallet: wallets[1]}, 1, 1, 2},
		"a wallet that is none":   {postgres.Scope{Wallet: walletID(1)}, 1, 0, 0},
		"since then":              {postgres.Scope{Since: late}, partitions, 1, 2},
		"since the future":        {postgres.Scope{Since: late.Add(time.Second)}, partitions, 0, 0},
	} {
		r, err := w.store.VerifyScope(t.Context(), c.scope)
		if err != nil || r.Partitions != c.partitions || r.Wallets != c.wallets || int64(len(r.Violations)) != c.violations {
			t.Errorf("%s: %v: %s: %v", name, err, r, r.Violations)
		}
	}
	if _, err := w.store.VerifyScope(t.Context(), postgres.Scope{Partitions: []int{partitions}}); err == nil {
		t.Error("a partition that is not there")
	}
	orphan := wallets[3]
	if _, err := conn.Exec(t.Context(), "delete from operations where wallet_id = $1", [16]byte(orphan)); err != nil {
		t.Fatal(err)
	}
	r, err := w.store.VerifyScope(t.Context(), postgres.Scope{Wallet: orphan})
	if err != nil || r.Wallets != 1 || len(r.Violations) != 1 || r.Violations[0].Wallet != orphan {
		t.Errorf("a wallet without any operation: %v: %s: %v", err, r, r.Violations)
	}
}

// A history that is longer than what one snapshot reads is read on in the next
// one, while it grows.
func TestVerifyReadsOnWhileSettling(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("settles more than one snapshot reads")
	}
	w := newWorld(t)
	wallet := w.wallet(1)
	claim := w.claim(1)
	const rounds, size = 50, 500
	verified := make(chan int64, 1)
	for i := range int64(rounds) {
		items := make([]processor.Item, size)
		for j := range items {
			items[j] = request(w.topUp(wallet, 1))
			if j%5 == 0 {
				items[j] = request(w.topUp(walletID(1), 1)) // a wallet that is none
			}
		}
		if _, err := w.store.Settle(t.Context(), claim, slice(i*size, items...)); err != nil {
			t.Fatal(err)
		}
		if i == rounds*9/10 {
			go func() { verified <- w.verified().Operations }()
		}
	}
	if n := <-verified; n < rounds*9/10*size {
		t.Errorf("%d operations verified while settling", n)
	}
	if n := w.verified().Operations; n != rounds*size+1 {
		t.Errorf("%d operations verified", n)
	}
}
