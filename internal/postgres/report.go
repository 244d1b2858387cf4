package postgres

import (
	"fmt"
	"strings"

	"github.com/monedero/monedero/internal/ledger"
)

// maxViolations is how many violations a report lists; it counts the others.
const maxViolations = 100

// Report is what [Store.Verify] looked at, and what it found.
type Report struct {
	Partitions  int64
	Offsets     int64 // settled, since each partition's counts began
	Wallets     int64
	Operations  int64
	Accepted    int64
	Failed      int64
	Conflicts   int64
	DeadLetters int64
	Violations  []Violation // the first hundred
	More        int64       // violations that are not listed
}

// Violation is one thing that should always hold and does not.
type Violation struct {
	Partition int // -1: of none
	Rule      ledger.Rule
	Wallet    ledger.WalletID    // zero: not about one wallet
	Operation ledger.OperationID // zero: not about one operation
	Place     ledger.Place       // zero: not about one record
	Detail    string
}

// The rules besides those of a wallet's history.
const (
	RulePartition  ledger.Rule = "partition"   // a row lies where its wallet belongs
	RuleWhole      ledger.Rule = "whole"       // the parts of a row go together
	RuleInvoiceKey ledger.Rule = "invoice_key" // follows from merchant and invoice
	RuleWallet     ledger.Rule = "wallet"      // is what its operations made of it
	RuleHold       ledger.Rule = "hold"        // open holds are those that nothing ended
	RuleMandate    ledger.Rule = "mandate"     // is what grants, revocations and what used it made of it
	RuleAccount    ledger.Rule = "account"     // is the sum of what moved
	RuleSum        ledger.Rule = "sum"         // over all wallets and accounts is zero
	RuleProgress   ledger.Rule = "progress"    // accounts for every offset
	RulePlace      ledger.Rule = "place"       // rows and records go together
	RuleRecord     ledger.Rule = "record"      // dead letters, conflicts and resolutions are as they were written
	RuleChange     ledger.Rule = "change"      // the audit log is as it was written, and whole
)

// OK reports whether everything held.
func (r Report) OK() bool { return len(r.Violations) == 0 }

// Count is how many violations there are, listed or not.
func (r Report) Count() int64 { return int64(len(r.Violations)) + r.More }

// String is one line: what was verified, with counts, and how it came out.
func (r Report) String() string {
	verdict := "all of it holds"
	if !r.OK() {
		verdict = fmt.Sprintf("%d violations", r.Count())
	}
	return fmt.Sprintf("verified %d operations (%d accepted, %d failed) of %d wallets and %d offsets in %d partitions, "+
		"%d conflicts, %d dead letters: %s", r.Operations, r.Accepted, r.Failed, r.Wallets, r.Offsets, r.Partitions,
		r.Conflicts, r.DeadLetters, verdict)
}

// String is one line: where, what, how.
func (v Violation) String() string {
	var b strings.Builder
	if v.Partition == noPartition {
		b.WriteString("outside of all partitions")
	} else {
		fmt.Fprintf(&b, "partition %d", v.Partition)
	}
	if !v.Place.IsZero() {
		fmt.Fprintf(&b, ", log %d, offset %d", v.Place.Log, v.Place.Offset)
	}
	if !v.Wallet.IsZero() {
		fmt.Fprintf(&b, ", wallet %s", v.Wallet)
	}
	if !v.Operation.IsZero() {
		fmt.Fprintf(&b, ", operation %s", v.Operation)
	}
	fmt.Fprintf(&b, ": %s %s", v.Rule, v.Detail)
	return b.String()
}

func (r *Report) add(v Violation) {
	if len(r.Violations) == maxViolations {
		r.More++
		return
	}
	r.Violations = append(r.Violations, v)
}

// merge adds what another report counted and found.
func (r *Report) merge(other *Report) {
	r.Partitions += other.Partitions
	r.Offsets += other.Offsets
	r.Wallets += other.Wallets
	r.Operations += other.Operations
	r.Accepted += other.Accepted
	r.Failed += other.Failed
	r.Conflicts += other.Conflicts
	r.DeadLetters += other.DeadLetters
	r.More += other.More
	for _, v := range other.Violations {
		r.add(v)
	}
}
