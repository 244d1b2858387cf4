// Package repair is what operators do by hand where something went wrong: move the
// progress of a partition, let restored partitions go on, discard a dead letter or
// submit it again. It decides what is refused, in which order the steps come, and what
// is reported. What it needs of Postgres and of Kafka it says in small interfaces.
//
// Two procedures are in package postgres and not here. Verify and rebuild know no other
// technology and take no decision: they are statements over one snapshot each, and the
// rules that they check are those of [ledger.Audit].
package repair
