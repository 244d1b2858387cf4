package postgres_test

import (
	"strings"
	"testing"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
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
	"invoice key":                     {"update operations set invoice_key = decode('00112233445566778899aabbccddeeff', 'hex') where invoice is not null and reason is null", []ledger.Rule{postgres.RuleInvoiceKey}},
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
				request(w.charge(wallet, shop, 20, "")))
			w.verified()

			sql := "set session_replication_role = replica; alter table operations disable trigger all; " + c.sql
			if _, err := w.owner().PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
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

func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(1)
	w.settle(1, request(w.topUp(wallet, 5)))
	conn := w.owner()
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
